#include "explain/network_edits.h"

#include <gtest/gtest.h>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "support/compare.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

TEST(RandomizeLayers, ChangesTheLayersAskedForAndNoOthers) {
  const Network network = network_of(golden("cnn.onnx"));
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
  EXPECT_TRUE(differ(network.predict(x), predict(3, 4, 1)));
  EXPECT_TRUE(differ(predict(0, 4, 1), predict(0, 4, 2)));
  EXPECT_LT(deviation(predict(0, 4, 1), predict(0, 4, 1)), 1e-9);
}

TEST(ShiftInput, IsUndoneByTheFirstBias) {
  // metrics: a convolution without padding, where the bias takes up the shift; metrics_rgb and cnn: with
  // padding, where borders see less of it.
  for (const std::string name : {"metrics", "metrics_rgb", "cnn", "mlp"}) {
    SCOPED_TRACE(name);
    const Network network = network_of(golden(name + ".onnx"));
    const Tensor x = read_npz(golden(name + ".npz")).at("input");
    Tensor moved = x.clone();
    for (float& v : moved.data<float>()) v += 0.75F;
    const Network shifted([&](std::int64_t batch) { return shift_input(network.graph(batch), 0.75F); });
    EXPECT_LT(deviation(shifted.predict(moved), network.predict(x)), 1e-5);
    EXPECT_TRUE(differ(network.predict(moved), network.predict(x)));
  }
}

TEST(Representation, GathersTheNodesAskedFor) {
  const Network network = network_of(golden("metrics.onnx"));
  const Tensor x = read_npz(golden("metrics.npz")).at("input");
  const auto width = [&](const std::string& pattern) {
    return Network([&](std::int64_t b) { return representation(network.graph(b), pattern); })
        .predict(x)
        .shape();
  };
  EXPECT_EQ(width("?0?Conv"), (Shape{5, 6 * 10 * 10}));
  EXPECT_EQ(width("*Conv"), (Shape{5, 6 * 10 * 10 + 6 * 4 * 4}));
  EXPECT_THROW(width("nothing"), UsageError);
}

}  // namespace heatproof
