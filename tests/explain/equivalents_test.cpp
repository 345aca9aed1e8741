#include "explain/equivalents.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network golden_network(const std::string& name) {
  return Network([model = Model::load(golden(name + ".onnx"))](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    return model.specialize(s);
  });
}

double deviation(const Tensor& a, const Tensor& b) {
  double gap = 0;
  double most = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    gap = std::max(gap, std::fabs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]));
    most = std::max(most, std::fabs(static_cast<double>(a.data<float>()[i])));
  }
  return gap / most;
}

Network rewritten(const Network& network, const Equivalent& e) {
  return Network([&network, &e](std::int64_t batch) { return e.rewrite(network.graph(batch)); });
}

}  // namespace

TEST(Equivalents, ComputeTheSameFunction) {
  for (const char* name : {"cnn", "resnet", "pools", "mlp", "dense", "strided"}) {
    const Network network = golden_network(name);
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    const Tensor expected = network.predict(x);
    for (const Equivalent& e : equivalents()) {
      SCOPED_TRACE(std::string(name) + " " + e.name);
      EXPECT_LT(deviation(expected, rewritten(network, e).predict(x)), 1e-4);
    }
  }
}

TEST(Equivalents, ChangeTheGraph) {
  const Network network = golden_network("cnn");
  for (const Equivalent& e : equivalents()) {
    if (e.name == "unfold_batch_norm") continue;  // canonicalization folds it again: that is its purpose
    EXPECT_NE(to_string(rewritten(network, e).graph(1)), to_string(network.graph(1))) << e.name;
  }
}

TEST(Equivalents, GradientsAreInvariantAndLrpIsNot) {
  const Network network = golden_network("cnn");
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

TEST(RandomizeLayers, ChangesTheLayersAskedForAndNoOthers) {
  const Network network = golden_network("cnn");
  const Graph& graph = network.graph(1);
  ASSERT_EQ(weight_layers(graph).size(), 4U);
  const auto changed = [&](std::size_t first, std::size_t last) {
    return to_string(randomize_layers(graph, first, last, 1));
  };
  EXPECT_EQ(changed(0, 4), changed(0, 4));
  const Tensor x = read_npz(golden("cnn.npz")).at("input");
  const auto predict = [&](std::size_t first, std::size_t last, std::uint64_t seed) {
    return Network([&, first, last, seed](std::int64_t b) {
             return randomize_layers(network.graph(b), first, last, seed);
           })
        .predict(x);
  };
  EXPECT_LT(deviation(network.predict(x), predict(2, 2, 1)), 1e-6);
  EXPECT_GT(deviation(network.predict(x), predict(3, 4, 1)), 1e-2);
  EXPECT_GT(deviation(predict(0, 4, 1), predict(0, 4, 2)), 1e-2);
  EXPECT_LT(deviation(predict(0, 4, 1), predict(0, 4, 1)), 1e-9);
}

TEST(Equivalents, UnknownNamesAreErrors) { EXPECT_THROW(find_equivalent("splitt"), UsageError); }

}  // namespace heatproof
