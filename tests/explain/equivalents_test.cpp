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
  return Network([&network, &e](std::int64_t batch) { return e.rewrite(network.graph(batch)); });
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
    if (e.name == "unfold_batch_norm") continue;  // canonicalization folds it again: that is its purpose
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
}

TEST(Equivalents, UnknownNamesAreErrors) { EXPECT_THROW(find_equivalent("splitt"), UsageError); }

}  // namespace heatproof
