// RISE, LIME and Kernel SHAP: groups of positions that are shown or hidden.
#include "explain/estimators/coalitions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "explain/explainer.h"
#include "heatproof/error.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

/// Σ w (x − x₀) over the group of each position, for one channel of 3 x 5 cut into 2 x 2 cells.
std::vector<double> by_group(const Groups& groups, const Tensor& w, const Tensor& x, double x0) {
  std::vector<double> sums(static_cast<std::size_t>(groups.count), 0);
  for (std::size_t i = 0; i < groups.of.size(); ++i)
    sums[static_cast<std::size_t>(groups.of[i])] += w.data<float>()[i] * (x.data<float>()[i] - x0);
  return sums;
}

void expect_groups(const Tensor& r, const Groups& groups, const std::vector<double>& values) {
  for (std::size_t i = 0; i < groups.of.size(); ++i)
    EXPECT_NEAR(r.data<float>()[i], values[static_cast<std::size_t>(groups.of[i])], 2e-5);
}

}  // namespace

TEST(Groups, CutEachAxisIntoEqualParts) {
  const Groups groups = grid_groups({1, 3, 2, 5}, 2);
  EXPECT_EQ(groups.count, 4);
  EXPECT_EQ(groups.of, (std::vector<std::int64_t>{0, 0, 0, 1, 1, 2, 2, 2, 3, 3}));
  EXPECT_EQ(grid_groups({1, 3}, 7).of, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(KernelShap, OfALinearNetworkIsTheSumOverEachCell) {
  const Tensor w = random_tensor({1, 15}, 1);
  const Tensor x = random_tensor({1, 1, 3, 5}, 2);
  const Network network = linear_network({1, 3, 5}, w, floats({1}, {2}));
  for (const auto& [recipe, cells] : {std::pair{"kernel_shap:baseline=0.5,cells=2", 2},
                                      std::pair{"kernel_shap:baseline=0.5,cells=5,samples=200", 5}}) {
    const Groups groups = grid_groups({1, 1, 3, 5}, cells);
    expect_groups(explain_with(network, recipe, x), groups, by_group(groups, w, x, 0.5));
  }
}

TEST(KernelShap, ByHand) {
  // max(x₀, x₁) from 0 to (1, 2): x₀ adds 1 before x₁ and nothing after it: ½; x₁ adds the rest.
  const Network network =
      relu_network({2}, floats({2, 2}, {1, 0, -1, 1}), floats({2}, {0, 0}), floats({1, 2}, {1, 1}));
  expect_close(explain_with(network, "kernel_shap", floats({1, 2}, {1, 2})), floats({1, 2}, {0.5, 1.5}));
}

TEST(KernelShap, SumsToTheDifferenceOfTheScores) {
  const Network network =
      relu_network({30}, random_tensor({8, 30}, 1), random_tensor({8}, 2), random_tensor({2, 8}, 3));
  const Tensor x = random_tensor({2, 30}, 4);
  const Tensor r = explain_with(network, "kernel_shap:cells=30,samples=300", x, 1);
  const Tensor f = network.predict(x);
  const Tensor f0 = network.predict(Tensor::zeros(DType::f32, {1, 30}));
  for (std::int64_t n = 0; n < 2; ++n) {
    EXPECT_NEAR(sum_of_row(r, n), f.data<float>()[static_cast<std::size_t>(2 * n + 1)] - f0.data<float>()[1],
                1e-4);
  }
}

TEST(Lime, OfALinearNetworkIsTheSumOverEachCell) {
  const Tensor w = random_tensor({1, 15}, 1);
  const Tensor x = random_tensor({1, 1, 3, 5}, 2);
  const Network network = linear_network({1, 3, 5}, w, floats({1}, {2}));
  for (const auto& [recipe, cells] :
       {std::pair{"lime:ridge=0,cells=2", 2}, std::pair{"lime:ridge=0,cells=5,samples=300", 5}}) {
    const Groups groups = grid_groups({1, 1, 3, 5}, cells);
    expect_groups(explain_with(network, recipe, x), groups, by_group(groups, w, x, 0));
  }
}

TEST(Rise, WeighsMasksByTheScore) {
  const Tensor w = Tensor::zeros(DType::f32, {1, 64});
  const Network constant = linear_network({1, 8, 8}, w, floats({1}, {3}));
  const Tensor x = random_tensor({1, 1, 8, 8}, 2);
  // Through masks that show everything, the score is all that is left.
  expect_close(explain_with(constant, "rise:masks=4,share=1,output=logit", x),
               Tensor::filled({1, 1, 8, 8}, 3));
  // A constant score gives each position the mean of its masks, 1 on average.
  const Tensor flat = explain_with(constant, "rise:masks=3000,output=logit", x);
  for (float v : flat.data<float>()) EXPECT_NEAR(v, 3, 0.25);
}

TEST(Rise, FindsThePixelThatCounts) {
  Tensor w = Tensor::zeros(DType::f32, {1, 256});
  w.data<float>()[5 * 16 + 11] = 1;
  const Network network = linear_network({1, 16, 16}, w, floats({1}, {0}));
  const Tensor r =
      explain_with(network, "rise:masks=2000,cells=4,output=logit", Tensor::filled({1, 1, 16, 16}, 1));
  const auto best = std::ranges::max_element(r.data<float>()) - r.data<float>().begin();
  EXPECT_NEAR(static_cast<double>(best / 16), 5, 1);
  EXPECT_NEAR(static_cast<double>(best % 16), 11, 1);
}

TEST(Rise, NeedsImages) {
  const Network network = linear_network({4}, random_tensor({1, 4}, 1), floats({1}, {0}));
  EXPECT_THROW(explain_with(network, "rise", random_tensor({1, 4}, 2)), UsageError);
}

TEST(Estimators, DoNotDependOnOtherSamplesOrRecipes) {
  const Network network =
      relu_network({1, 6, 6}, random_tensor({8, 36}, 1), random_tensor({8}, 2), random_tensor({3, 8}, 3));
  const Tensor x = random_tensor({3, 1, 6, 6}, 4);
  const std::vector<std::int64_t> targets{0, 1, 2};
  const std::vector<std::uint64_t> ids{7, 8, 9};
  std::vector<Recipe> recipes;
  for (const char* text :
       {"rise:masks=50", "gradient", "lime:cells=5,samples=60", "kernel_shap:cells=5,samples=60", "random",
        "smoothgrad", "occlusion:patch=2,stride=1", "integrated_gradients:steps=5"})
    recipes.push_back(parse_recipe(text));
  const Explanation all = Explainer(network, recipes, {}).explain(x, targets, ids);
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    SCOPED_TRACE(recipes[i].text);
    const Tensor one =
        Explainer(network, {recipes[i]}, {})
            .explain(x.rows(1, 2), std::span(targets).subspan(1, 1), std::span(ids).subspan(1, 1))
            .relevance[0];
    expect_close(one, all.relevance[i].rows(1, 2), 1e-4, 1e-5);
  }
}

}  // namespace heatproof
