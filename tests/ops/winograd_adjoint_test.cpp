// Adjoints of 3×3 convolutions by Winograd's transforms, where an explanation allows it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/convolution.h"
#include "ops/operators.h"
#include "ops/winograd_kernels.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

struct Case {
  Shape x;
  std::int64_t outputs;
  Ints pads;
};

const std::vector<Case> kCases = {
    {{2, 16, 12, 16}, 32, {1, 1, 1, 1}}, {{1, 48, 13, 30}, 16, {0, 0, 0, 0}},
    {{3, 32, 9, 14}, 32, {2, 2, 2, 2}},  {{2, 16, 21, 22}, 80, {0, 2, 1, 1}},
    {{1, 32, 20, 20}, 32, {1, 0, 2, 0}},
};

Graph adjoint_graph(const Case& c, const Tensor& w, const Shape& s, bool bounded, bool biased = false) {
  Builder g;
  Attributes attributes{{"kernel_shape", Ints{3, 3}}, {"pads", c.pads}};
  if (bounded) attributes.set(convolution::kBounded, std::int64_t{1});
  const Value given = g.input("s", {DType::f32, s});
  g.output("r", biased ? g.add(kConvTranspose, {given, g.constant(w), g.constant(random_tensor({c.x[1]}, 8))},
                               attributes)
                       : conv_adjoint(given, g.constant(w), attributes, c.x));
  return g.build();
}

bool uses_transforms(Workspace& workspace, const std::vector<Tensor>& inputs) {
  std::vector<StepTime> steps;
  workspace.run(inputs, steps);
  return std::ranges::any_of(
      steps, [](const StepTime& step) { return step.name.find("winograd") != std::string::npos; });
}

}  // namespace

TEST(WinogradAdjoint, IsTheAdjointOfTheConvolution) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(fmt::format("{} channels to {}", c.outputs, c.x[1]));
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = random_tensor({c.outputs, c.x[1], 3, 3}, 2);
    const Tensor y = run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kConv, {in[0], g.constant(w)}, {{"kernel_shape", Ints{3, 3}}, {"pads", c.pads}});
        },
        {x});
    const Tensor s = random_tensor(y.shape(), 3);
    Workspace transformed(compile(adjoint_graph(c, w, y.shape(), true), Convolutions::bounded_fastest));
    const Tensor r = transformed.run({s})[0];
    EXPECT_EQ(uses_transforms(transformed, {s}), winograd::kernels() != nullptr);
    EXPECT_NEAR(dot(y, s), dot(x, r), 1e-4 * (1 + std::abs(dot(y, s))));
    const Tensor direct = Workspace(compile(adjoint_graph(c, w, y.shape(), true))).run({s})[0];
    expect_close(r, direct, 1e-5, 3e-5 * std::sqrt(static_cast<double>(c.outputs)));
  }
}

TEST(WinogradAdjoint, OfWeightsThatAreComputedOrSharedWithTheConvolution) {
  // Square, so that a mix-up of the two would fit.
  const Case c{{1, 32, 16, 16}, 32, {1, 1, 1, 1}};
  const Tensor w = random_tensor({32, 32, 3, 3}, 2, -0.1, 0.1);
  const auto both = [&](bool positive_only) {
    Builder g;
    const Value x = g.input("x", {DType::f32, c.x});
    const Value weights = positive_only ? positive(g.constant(w)) : g.constant(w);
    const Attributes attributes{
        {"kernel_shape", Ints{3, 3}}, {"pads", c.pads}, {convolution::kBounded, std::int64_t{1}}};
    const Value y = g.add(kConv, {x, weights}, attributes);
    g.output("y", y);
    g.output("r", conv_adjoint(y, weights, attributes, c.x));
    return g.build();
  };
  const Tensor x = random_tensor(c.x, 1);
  for (const bool positive_only : {false, true}) {
    const auto direct = Workspace(compile(both(positive_only))).run({x});
    const auto fast = Workspace(compile(both(positive_only), Convolutions::bounded_fastest)).run({x});
    for (std::size_t i = 0; i < 2; ++i) expect_close(fast[i], direct[i], 1e-5, 1e-4);
  }
}

TEST(WinogradAdjoint, OnlyWhereItIsAllowedAndPossible) {
  if (winograd::kernels() == nullptr) GTEST_SKIP() << "no transforms for this processor";
  const Case c{{1, 16, 12, 12}, 16, {1, 1, 1, 1}};
  const Shape s{1, 16, 12, 12};
  const auto transformed = [&](const Graph& graph, Convolutions how) {
    Workspace workspace(compile(graph, how));
    return uses_transforms(workspace, {random_tensor(graph.node(graph.inputs()[0]).type.shape, 1)});
  };
  const Tensor w = random_tensor({16, 16, 3, 3}, 2);
  EXPECT_TRUE(transformed(adjoint_graph(c, w, s, true), Convolutions::bounded_fastest));
  EXPECT_TRUE(transformed(adjoint_graph(c, w, s, true), Convolutions::fastest));
  EXPECT_FALSE(transformed(adjoint_graph(c, w, s, true), Convolutions::direct));
  EXPECT_FALSE(transformed(adjoint_graph(c, w, s, false), Convolutions::bounded_fastest));
  EXPECT_FALSE(transformed(adjoint_graph(c, w, s, true, true), Convolutions::bounded_fastest));  // a bias
  const Case wide{{1, 16, 8, 8}, 16, {3, 3, 3, 3}};  // results that lie in the padding
  EXPECT_FALSE(transformed(adjoint_graph(wide, w, {1, 16, 12, 12}, true), Convolutions::bounded_fastest));
}

}  // namespace heatproof
