#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST(SelectOperator, WhatIsNotChosenDoesNotMatter) {
  const Tensor y =
      run_graph([](Builder&, const auto& in) { return select(in[0], in[1], in[2]); },
                {floats({4}, {1, 0, 1, 0}), floats({4}, {2, kNaN, -kInfinity, kInfinity}), floats({1}, {5})});
  expect_close(y, floats({4}, {2, 5, -kInfinity, 5}));
}

TEST(SelectOperator, BroadcastsAndIsComputedInTiles) {
  const Tensor a = random_tensor({3, 1, 700}, 1);
  const Tensor b = random_tensor({2, 1}, 2);
  const Tensor c = random_tensor({3, 2, 700}, 3);
  const Tensor y =
      run_graph([](Builder&, const auto& in) { return select(step(in[2]), in[0], in[1]); }, {a, b, c});
  ASSERT_EQ(y.shape(), (Shape{3, 2, 700}));
  for (std::int64_t i = 0; i < y.elements(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const float first = a.data<float>()[static_cast<std::size_t>(i / 1400 * 700 + i % 700)];
    ASSERT_EQ(y.data<float>()[k],
              c.data<float>()[k] > 0 ? first : b.data<float>()[static_cast<std::size_t>(i / 700 % 2)]);
  }
}

TEST(SelectOperator, TheDerivativeChoosesToo) {
  const Tensor mask = floats({2, 3}, {1, 0, 1, 0, 0, 1});
  check_adjoint([&](Builder& g, const auto& in) { return select(g.constant(mask), in[0], in[1]); },
                {{2, 3}, {3}});
  const Tensor r = run_graph(
      [&](Builder& g, const auto& in) {
        const Value y = select(g.constant(mask), in[0], g.fill({}, -kInfinity));
        return y.node().op->derivative(y, in[1])[1];
      },
      {random_tensor({2, 3}, 1), floats({2, 3}, {1, kNaN, 3, kInfinity, -kInfinity, 6})});
  expect_close(r, floats({2, 3}, {1, 0, 3, 0, 0, 6}));
}

TEST(SelectOperator, KnowsItsSignAndConstantConditions) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {4}});
  const Value c = g.input("c", {DType::f32, {4}});
  const Value up = g.add(kRelu, {x});
  EXPECT_EQ(select(c, up, zeros_like(x)).sign(), Sign::non_negative);
  EXPECT_EQ(select(c, -up, g.fill({}, -kInfinity)).sign(), Sign::non_positive);
  EXPECT_EQ(select(c, up, -up).sign(), Sign::any);
  EXPECT_EQ(select(ones_like(x), x, up), x);
  EXPECT_EQ(select(zeros_like(x), x, up), up);
  EXPECT_EQ(select(c, x, x), x);
}

}  // namespace heatproof
