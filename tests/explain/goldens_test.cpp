// Networks and attributions of torch and zennit (tests/goldens/make_goldens.py).
#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/explainer.h"
#include "onnx/model.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

class Goldens : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(Goldens, EveryRecipeAgreesWithThePeers) {
  const std::string name = GetParam();
  const auto arrays = read_npz(golden(name + ".npz"));
  const Network network = network_of(golden(name + ".onnx"));
  const Tensor& inputs = arrays.at("input");
  const auto targets = arrays.at("target").data<std::int64_t>();
  EXPECT_LT(deviation(network.predict(inputs), arrays.at("output")), 1e-5);
  int recipes = 0;
  for (const auto& [text, expected] : arrays) {
    if (text == "input" || text == "output" || text == "target" || text.starts_with("error ")) continue;
    SCOPED_TRACE(text);
    Explainer explainer(network, {parse_recipe(text)}, {});
    const Tensor relevance = explainer.explain(inputs, targets).relevance[0];
    ASSERT_EQ(relevance.shape(), expected.shape());
    // Where the peer's own float32 result is further from its float64 one, nobody can be closer.
    const double error = arrays.contains("error " + text) ? arrays.at("error " + text).data<float>()[0] : 0;
    EXPECT_LT(deviation(relevance, expected), std::max(1e-5, 10 * error));
    ++recipes;
  }
  EXPECT_GE(recipes, 15);
}

TEST_P(Goldens, RecipesInOneGraphAgreeWithEachAlone) {
  const std::string name = GetParam();
  const auto arrays = read_npz(golden(name + ".npz"));
  const Network network = network_of(golden(name + ".onnx"));
  std::vector<Recipe> recipes;
  for (const char* text : {"gradient", "lrp_epsilon_plus", "lrp_zplus", "deep_taylor:gamma=0.25,input=w2"})
    recipes.push_back(parse_recipe(text));
  const auto targets = arrays.at("target").data<std::int64_t>();
  const Explanation together = Explainer(network, recipes, {}).explain(arrays.at("input"), targets);
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    SCOPED_TRACE(recipes[i].text);
    const Explanation alone = Explainer(network, {recipes[i]}, {}).explain(arrays.at("input"), targets);
    EXPECT_LT(deviation(together.relevance[i], alone.relevance[0]), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Goldens,
                         ::testing::Values("cnn", "dense", "mlp", "mobile", "pools", "resnet",
                                           "resnet_dynamo", "signal", "smooth", "strided", "stacked",
                                           "gates"),
                         [](const auto& network) { return std::string(network.param); });

}  // namespace heatproof
