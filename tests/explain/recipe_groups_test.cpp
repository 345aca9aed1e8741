// Many recipes in little memory are explained group by group, with the same result.
#include "explain/recipe_groups.h"

#include <gtest/gtest.h>

#include "onnx/model.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network network_with(std::size_t memory) {
  return Network(
      [model = Model::load(golden("resnet.onnx"))](std::int64_t batch) {
        Specialization s;
        s.batch = batch;
        return model.specialize(s);
      },
      {.memory = memory});
}

const std::vector<Recipe>& grid() {
  static const std::vector<Recipe> recipes =
      expand_recipes("lrp_epsilon_gamma_box:gamma=0.1/0.2/0.3/0.4/0.5/0.6/0.7/0.8/0.9/1");
  return recipes;
}

std::vector<std::size_t> sizes_of(RecipeGroups& groups) {
  std::vector<std::size_t> sizes;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    groups.explainer(g);
    sizes.push_back(groups.recipes(g).size());
  }
  return sizes;
}

}  // namespace

TEST(RecipeGroups, AreOneWhereEverythingFits) {
  const Network network = network_with(std::size_t{1} << 30);
  RecipeGroups groups(network, grid(), {}, 2);
  Explainer* first = &groups.explainer(0);
  EXPECT_EQ(sizes_of(groups), std::vector<std::size_t>{10});
  EXPECT_EQ(&groups.explainer(0), first);  // and stay compiled
}

TEST(RecipeGroups, ExplainAsOneGraphDoes) {
  const Network plenty = network_with(std::size_t{1} << 30);
  Explainer together(plenty, grid(), {});
  const std::size_t one = Explainer(plenty, {grid()[0]}, {}).bytes();
  const std::size_t all = together.bytes();
  const Network tight = network_with((one + all) / 2);
  RecipeGroups groups(tight, grid(), {}, 2);
  Shape shape = plenty.input_shape();
  shape[0] = 2;
  const Tensor x = random_tensor(shape, 3);
  const std::vector<std::int64_t> targets{0, 1};
  const Explanation expected = together.explain(x, targets);
  std::vector<std::size_t> order;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    Explainer& explainer = groups.explainer(g);
    const Explanation part = explainer.explain(x, targets);
    EXPECT_LE(explainer.bytes(), tight.options().memory) << g;
    ASSERT_EQ(part.relevance.size(), groups.recipes(g).size());
    for (std::size_t k = 0; k < part.relevance.size(); ++k) {
      order.push_back(groups.recipes(g)[k]);
      EXPECT_LT(deviation(part.relevance[k], expected.relevance[order.back()]), 1e-5) << order.back();
    }
  }
  EXPECT_GT(groups.size(), 1U);
  EXPECT_LT(groups.size(), 5U);  // as many together as fit
  std::vector<std::size_t> every(grid().size());
  for (std::size_t r = 0; r < every.size(); ++r) every[r] = r;
  EXPECT_EQ(order, every);
}

TEST(Explainer, ExplainsOneRecipeAsAmongOthers) {
  const Network network = network_with(std::size_t{1} << 30);
  std::vector<Recipe> recipes{grid()[0], parse_recipe("random"), grid()[1], parse_recipe("gradient")};
  Explainer explainer(network, recipes, {});
  Shape shape = network.input_shape();
  shape[0] = 3;
  const Tensor x = random_tensor(shape, 3);
  const std::vector<std::int64_t> targets{0, 1, 0};
  const Explanation all = explainer.explain(x, targets);
  for (std::size_t r = 0; r < recipes.size(); ++r)
    expect_equal(explainer.explain_one(r, x, targets), all.relevance[r]);
}

TEST(RecipeGroups, AreSingleRecipesWhereNothingFits) {
  const Network network = network_with(1);
  RecipeGroups groups(network, grid(), {}, 2);
  EXPECT_EQ(sizes_of(groups), std::vector<std::size_t>(10, 1));
  EXPECT_EQ(groups.explainer(3).batch(), 1);
}

TEST(Memory, HoldsWeightsAndWorkingMemoryOfABatch) {
  const Network plenty = network_with(std::size_t{1} << 30);
  const std::size_t one = Explainer(plenty, {grid()[0]}, {}).bytes();
  EXPECT_EQ(Explainer(plenty, {grid()[0]}, {}).batch(), 8);
  const Network tight = network_with(one);  // one input, and no more
  EXPECT_EQ(Explainer(tight, {grid()[0]}, {}).batch(), 1);
  EXPECT_EQ(rows_that_fit(100, 40, 10, 16), 6);
  EXPECT_EQ(rows_that_fit(100, 200, 10, 16), 1);
  EXPECT_EQ(rows_that_fit(1000, 40, 10, 16), 16);
}

}  // namespace heatproof
