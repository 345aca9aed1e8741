// Attributions of captum (tests/goldens/make_estimator_goldens.py).
#include <gtest/gtest.h>

#include "data/npy.h"
#include "explain/explainer.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

class EstimatorGoldens : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(EstimatorGoldens, EveryRecipeAgreesWithCaptum) {
  const std::string name = GetParam();
  const auto samples = read_npz(golden(name + ".npz"));
  const auto arrays = read_npz(golden(name + "_estimators.npz"));
  const Network network = network_of(golden(name + ".onnx"));
  const auto targets = samples.at("target").data<std::int64_t>();
  for (const auto& [text, expected] : arrays) {
    if (text.starts_with("error ")) continue;
    SCOPED_TRACE(text);
    Explainer explainer(network, {parse_recipe(text)}, {});
    const Tensor relevance = explainer.explain(samples.at("input"), targets).relevance[0];
    ASSERT_EQ(relevance.shape(), expected.shape());
    // Where captum's own float32 result is further from its float64 one, nobody can be closer.
    const double error = arrays.at("error " + text).data<float>()[0];
    EXPECT_LT(deviation(relevance, expected), std::max(1e-5, 10 * error));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, EstimatorGoldens,
                         ::testing::Values("cnn", "dense", "mlp", "mobile", "pools", "resnet", "signal",
                                           "smooth", "stacked", "strided"),
                         [](const auto& network) { return std::string(network.param); });

}  // namespace heatproof
