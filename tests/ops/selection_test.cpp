#include "ops/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
const Attributes kWindow{{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}};
const Shape kWhole{2, 5, 9, 9};
const Shape kPooled{2, 5, 5, 5};

/// Rounded, so that there are ties, zeros and windows without anything positive.
Tensor rounded(const Shape& shape, std::uint64_t seed) {
  Tensor t = random_tensor(shape, seed, -3, 2);
  for (float& v : t.data<float>()) v = std::round(v);
  return t;
}

Tensor times(const Tensor& a, const Tensor& b) {
  return run_graph([](Builder&, const auto& in) { return in[0] * in[1]; }, {a, b});
}

/// How many nodes of an operator have a shape.
std::int64_t count(const Graph& graph, const Operator& op, const Shape& shape) {
  return std::ranges::count_if(graph.nodes(),
                               [&](const Node& n) { return n.op == &op && n.type.shape == shape; });
}

}  // namespace

TEST(Selection, AFactorOfTheMaximaIsTheProduct) {
  const Tensor x = rounded(kWhole, 1);
  const Tensor gradient = random_tensor(kPooled, 2);
  const Tensor spread = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kMaxPoolGradient, {in[0], in[1]}, kWindow);
      },
      {x, gradient});
  const auto factor = [&](bool divide) {
    return run_graph(
        [&](Builder&, const auto& in) {
          return divide ? ones_like(in[0]) / stabilize(in[0], 0.25) : step(in[0]);
        },
        {x});
  };
  for (const bool divide : {false, true}) {
    const Tensor product = run_graph(
        [&](Builder& g, const auto& in) {
          const Value m = g.add(kMaxPoolGradient, {in[0], in[1]}, kWindow);
          return divide ? m / stabilize(in[0], 0.25) : step(in[0]) * m;
        },
        {x, gradient});
    expect_close(product, times(spread, factor(divide)), 1e-6);
  }
}

TEST(Selection, WorksOnAsManyValuesAsThereAreWindows) {
  Builder g;
  const Value x = g.input("x", {DType::f32, kWhole});
  const Value m = g.add(kMaxPoolGradient, {x, g.input("g", {DType::f32, kPooled})}, kWindow);
  g.output("masked", m * step(x));
  g.output("divided", m / stabilize(x, 1e-6));
  // Neither is finite where x is zero, or hangs on x alone.
  g.output("exact", m / stabilize(x, 0));
  g.output("other", m * step(g.input("y", {DType::f32, kWhole})));
  const Graph graph = g.build();
  EXPECT_EQ(count(graph, kMul, kWhole), 1);
  EXPECT_EQ(count(graph, kDiv, kWhole), 1);
  EXPECT_EQ(count(graph, kMul, kPooled), 1);
  EXPECT_EQ(count(graph, kDiv, kPooled), 1);
}

TEST(Selection, PartsOfAConcatenationAreMaskedTogether) {
  const Tensor a = rounded({2, 3, 9, 9}, 3);
  const Tensor b = rounded({2, 5, 9, 9}, 4);
  const Tensor gradient = random_tensor({2, 8, 5, 5}, 5);
  const auto masked = [&](std::size_t part, std::size_t by) {
    return [=](Builder& g, const std::vector<Value>& in) {
      const Value joined = g.add(kConcat, {in[0], in[1]}, {{"axis", std::int64_t{1}}});
      const Value m = g.add(kMaxPoolGradient, {joined, in[2]}, kWindow);
      const std::int64_t first = part == 0 ? 0 : 3;
      const std::int64_t last = part == 0 ? 3 : 8;
      const Value slice = g.add(
          kSlice, {m},
          {{"starts", Ints{0, first, 0, 0}}, {"ends", Ints{2, last, 9, 9}}, {"steps", Ints{1, 1, 1, 1}}});
      return by < 2 ? slice * step(in[by]) : slice;
    };
  };
  for (const std::size_t part : {0U, 1U}) {
    const Tensor mask = run_graph([](Builder&, const auto& in) { return step(in[0]); }, {part == 0 ? a : b});
    const Tensor product = run_graph(masked(part, part), {a, b, gradient});
    expect_close(product, times(run_graph(masked(part, 2), {a, b, gradient}), mask), 1e-6);
  }
}

}  // namespace heatproof
