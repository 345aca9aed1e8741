#include "explain/equivalents.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network rewritten(const Network& network, const Equivalent& e) {
  return Network([&network, &e](std::int64_t batch) { return e.rewrite(network.graph(batch)).graph; },
                 {.as_written = true});
}

}  // namespace

TEST(Equivalents, ComputeTheSameFunction) {
  for (const char* name : {"cnn", "resnet", "pools", "mlp", "dense", "strided"}) {
    const Network network = network_of(golden(std::string(name) + ".onnx"));
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    const Tensor expected = network.predict(x);
    for (const Equivalent& e : equivalents()) {
      SCOPED_TRACE(std::string(name) + " " + e.name);
      EXPECT_LT(deviation(expected, rewritten(network, e).predict(x)), 1e-4);
    }
  }
}

TEST(Equivalents, ChangeTheGraph) {
  const Network network = network_of(golden("cnn.onnx"));
  for (const Equivalent& e : equivalents()) {
    EXPECT_GT(e.rewrite(network.graph(1)).places, 0U) << e.name;
    EXPECT_NE(to_string(rewritten(network, e).graph(1)), to_string(network.graph(1))) << e.name;
  }
}

TEST(Equivalents, GradientsAreInvariantAndLrpIsNot) {
  const Network network = network_of(golden("cnn.onnx"));
  const auto arrays = read_npz(golden("cnn.npz"));
  const auto targets = arrays.at("target").data<std::int64_t>();
  const auto change = [&](const char* recipe, const Equivalent& e) {
    const Tensor before =
        Explainer(network, {parse_recipe(recipe)}, {}).explain(arrays.at("input"), targets).relevance[0];
    const Network other = rewritten(network, e);
    const Tensor after =
        Explainer(other, {parse_recipe(recipe)}, {}).explain(arrays.at("input"), targets).relevance[0];
    return deviation(before, after);
  };
  for (const Equivalent& e : equivalents()) {
    EXPECT_LT(change("gradient", e), 1e-3) << e.name;
    EXPECT_LT(change("gradient_x_input", e), 1e-3) << e.name;
  }
  EXPECT_GT(change("lrp_zplus", find_equivalent("max_difference")), 1e-2);
  EXPECT_GT(change("lrp_zplus", find_equivalent("max_halves")), 1e-2);
  EXPECT_LT(change("lrp_zplus", find_equivalent("permute")), 1e-3);
  // One rule everywhere does not see that a convolution became a dense layer; a composite does.
  EXPECT_LT(change("lrp_zplus", find_equivalent("matrix_product")), 1e-3);
  EXPECT_GT(change("lrp_epsilon_plus", find_equivalent("matrix_product")), 1e-2);
  // z+ of a layer that was divided by a number does not see it either, when biases take no share.
  EXPECT_LT(change("lrp_zplus:bias=ignore", find_equivalent("unfold_batch_norm")), 1e-3);
}

TEST(Equivalents, SayWhereThereIsNothingToRewrite) {
  const Network network = network_of(golden("mlp.onnx"));
  for (const char* name : {"matrix_product", "zero_taps", "unfold_batch_norm", "max_halves"})
    EXPECT_EQ(find_equivalent(name).rewrite(network.graph(1)).places, 0U) << name;
  EXPECT_GT(find_equivalent("split").rewrite(network.graph(1)).places, 0U);
}

TEST(Equivalents, UnfoldedBatchNormsStay) {
  const Network network = network_of(golden("cnn.onnx"));
  const std::string written = to_string(rewritten(network, find_equivalent("unfold_batch_norm")).graph(1));
  EXPECT_NE(written.find("BatchNormalization"), std::string::npos);
  EXPECT_EQ(to_string(network.graph(1)).find("BatchNormalization"), std::string::npos);
}

TEST(Equivalents, UnknownNamesAreErrors) { EXPECT_THROW(find_equivalent("splitt"), UsageError); }

}  // namespace heatproof
