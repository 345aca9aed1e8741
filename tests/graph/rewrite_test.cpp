#include "graph/rewrite.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "engine/program.h"
#include "graph/builder.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// One random layer that networks have, on top of x [N, C, H, W].
Value random_layer(Builder& g, Value x, int kind, std::uint64_t seed) {
  const std::int64_t c = x.shape()[1];
  const auto weights = [&](Shape shape) { return g.constant(random_tensor(shape, seed, -0.5, 0.5)); };
  switch (kind) {
    case 0:
      return g.add(kConv, {x, weights({6, c, 3, 3}), weights({6})},
                   {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
    case 1:
      return g.add(kBatchNormalization, {x, weights({c}), weights({c})});
    case 2:
      return g.add(kRelu, {x});
    case 3:
      return x + x;
    case 4:
      return x * g.constant(random_tensor({c, 1, 1}, seed, 0.5, 2));
    case 5:
      return x + g.constant(random_tensor({c, 1, 1}, seed));
    case 6:
      return g.add(kPad, {x}, {{"pads", Ints{0, 0, 1, 1, 0, 0, 0, 1}}, {"value", 0.0}});
    case 7:
      return g.add(kConvTranspose, {x, weights({c, 4, 2, 2}), weights({4})}, {{"kernel_shape", Ints{2, 2}}});
    case 8:
      return g.add(kMul, {x, g.add(kSigmoid, {x})});
    case 9:
      return g.add(kAveragePool, {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{1, 1}}});
    case 10:
      return g.add(kClip, {x}, {{"min", 0.0}, {"max", 6.0}});
    default:
      return transpose(transpose(x, {0, 2, 3, 1}), {0, 3, 1, 2});
  }
}

Graph random_network(const std::vector<int>& kinds) {
  Builder g;
  Value x = g.input("x", {DType::f32, {2, 3, 8, 8}});
  std::uint64_t seed = 1;
  for (int kind : kinds) x = random_layer(g, x, kind, seed++);
  g.output("y", x);
  return g.build();
}

}  // namespace

TEST(Canonicalize, KeepsTheFunctionOfRandomNetworks) {
  const bool ok = rc::check("outputs are equal", [] {
    auto kinds = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
    if (kinds.size() > 7) kinds.resize(7);
    const Graph graph = random_network(kinds);
    const Tensor x = random_tensor({2, 3, 8, 8}, 5);
    const Tensor before = Workspace(compile(graph)).run({x}).at(0);
    const Tensor after = Workspace(compile(canonicalize(graph))).run({x}).at(0);
    RC_ASSERT(before.shape() == after.shape());
    double size = 1e-3;
    for (float v : before.data<float>()) size = std::max(size, std::fabs(static_cast<double>(v)));
    RC_ASSERT(std::isfinite(size));
    for (std::size_t i = 0; i < before.data<float>().size(); ++i)
      RC_ASSERT(std::fabs(static_cast<double>(before.data<float>()[i]) - after.data<float>()[i]) <
                1e-5 * size);
  });
  EXPECT_TRUE(ok);
}

TEST(Canonicalize, FoldsBatchNormIntoTheConvolutionBefore) {
  const Graph graph = canonicalize(random_network({0, 1, 2}));
  for (const Node& node : graph.nodes()) EXPECT_NE(node.op, &kBatchNormalization);
}

/// Channels are axis 1, the outputs of a dense layer the last one: with as many of both, folding would be
/// wrong in silence; with another number, impossible.
TEST(Canonicalize, LeavesBatchNormBehindADenseLayerOfMoreAxes) {
  for (std::int64_t outputs : {3, 4}) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {2, 3, 5}});
    const Value y = g.add(kLinear, {x, g.constant(random_tensor({outputs, 5}, 1))});
    g.output("y", g.add(kBatchNormalization,
                        {y, g.constant(floats({3}, {1, 10, 100})), g.constant(floats({3}, {0, 1, 2}))}));
    const Graph graph = g.build();
    const Tensor input = random_tensor({2, 3, 5}, 2);
    Workspace written(compile(graph));
    Workspace canonical(compile(canonicalize(graph)));
    expect_close(canonical.run({input})[0], written.run({input})[0]);
  }
}

/// x · max(0, min(1, x / 6 + 0.25)) is no HardSwish, whose gate has 0.5 there.
TEST(Canonicalize, LeavesGatesThatAreNoHardSwish) {
  const auto gated = [](double beta) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {2}});
    g.output("y", x * g.add(kHardSigmoid, {x}, {{"alpha", 1.0 / 6}, {"beta", beta}}));
    return canonicalize(g.build());
  };
  Workspace workspace(compile(gated(0.25)));
  expect_close(workspace.run({floats({2}, {1.5F, -0.6F})})[0], floats({2}, {0.75F, -0.09F}));
  EXPECT_EQ(gated(0.5).nodes().back().op, &kHardSwish);
}

TEST(Canonicalize, PrintsAsText) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 2}});
  g.output("y", g.add(kRelu, {x + x}));
  const std::string text = to_string(canonicalize(g.build()));
  EXPECT_NE(text.find("Relu"), std::string::npos) << text;
  EXPECT_NE(text.find("1x2"), std::string::npos) << text;
}

TEST(Builder, MakesEqualNodesOnce) {
  Builder g;
  const Value a = g.input("a", {DType::f32, {4}});
  const Value b = g.input("b", {DType::f32, {4}});
  EXPECT_EQ(g.add(kRelu, {a}), g.add(kRelu, {a}));
  EXPECT_EQ(a + b, b + a);
  EXPECT_NE(a - b, b - a);
  EXPECT_EQ(g.constant(floats({2}, {1, 2})), g.constant(floats({2}, {1, 2})));
}

TEST(Builder, LeavesOutWhatNoOutputNeeds) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {4}});
  g.add(kExp, {x});
  g.output("y", g.add(kRelu, {x}));
  const Graph graph = g.build();
  for (const Node& node : graph.nodes()) EXPECT_NE(node.op, &kExp);
}

}  // namespace heatproof
