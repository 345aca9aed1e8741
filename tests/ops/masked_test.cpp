#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/compare.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// The derivative of f(x) by its operand i, x, with gradients u from above.
Tensor pulled_back(const std::function<Value(Value)>& f, const Tensor& x, const Tensor& u,
                   std::size_t i = 0) {
  return run_graph(
      [&](Builder&, const auto& in) {
        const Value y = f(in[0]);
        return y.node().op->derivative(y, in[1])[i];
      },
      {x, u});
}

}  // namespace

TEST(Masked, ZeroWinsOverEverything) {
  const Tensor a = floats({8}, {0, -0.0F, kInfinity, kNaN, 2, -3, 0, kNaN});
  const Tensor b = floats({8}, {kInfinity, kNaN, 0, 0, 5, kInfinity, 7, 1});
  expect_close_or_nan(run_graph([](Builder&, const auto& in) { return masked(in[0], in[1]); }, {a, b}),
                      floats({8}, {0, 0, 0, 0, 10, -kInfinity, 0, kNaN}), 1e-6, 0);
  expect_close(run_graph([](Builder&, const auto& in) { return masked_quotient(in[0], in[1]); },
                         {floats({4}, {0, 0, 1, 6}), floats({4}, {0, kNaN, 0, 4})}),
               floats({4}, {0, 0, kInfinity, 1.5}));
}

TEST(Masked, IsTheProductWhereNothingIsInfinite) {
  // 1003 elements: whole tiles and a rest.
  const Tensor a = random_tensor({17, 59}, 1);
  const Tensor b = random_tensor({59}, 2);
  expect_equal(run_graph([](Builder&, const auto& in) { return masked(in[0], in[1]); }, {a, b}),
               run_graph([](Builder&, const auto& in) { return in[0] * in[1]; }, {a, b}));
  expect_equal(run_graph([](Builder&, const auto& in) { return masked_quotient(in[0], in[1]); }, {a, b}),
               run_graph([](Builder&, const auto& in) { return in[0] / in[1]; }, {a, b}));
}

TEST(Masked, IsSimplifiedAsProductsAre) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {4}});
  const Value y = g.input("y", {DType::f32, {4}});
  const Value z = g.input("z", {DType::f32, {4}});
  EXPECT_EQ(masked(x, ones_like(x)), x);
  EXPECT_EQ(masked(x, zeros_like(x)).sign(), Sign::zero);
  EXPECT_EQ(masked_quotient(zeros_like(x), x).sign(), Sign::zero);
  EXPECT_EQ(masked(x, y), masked(y, x));
  EXPECT_EQ(masked(x, y) + masked(x, z), masked(x, y + z));
}

TEST(Masked, DerivativesChooseLikeTorchs) {
  const auto unary = [](const Operator& op) { return [&op](Value x) { return x.builder().add(op, {x}); }; };
  const Tensor x = floats({3}, {-1, 0, 4});
  const Tensor infinite = floats({3}, {kInfinity, -kInfinity, 1});
  for (const Operator* op : {&kRelu, &kPositive}) {
    SCOPED_TRACE(op->name);
    expect_close(pulled_back(unary(*op), x, infinite), floats({3}, {0, 0, 1}));
  }
  expect_close(pulled_back(unary(kAbs), floats({3}, {0, -2, 3}), floats({3}, {kInfinity, 1, 1})),
               floats({3}, {0, -1, 1}));
  // Where nothing arrives, a pole is none.
  const Tensor pole = floats({3}, {0, 0, 4});
  const Tensor some = floats({3}, {0, 0, 1});
  expect_close(pulled_back(unary(kSqrt), pole, some), floats({3}, {0, 0, 0.25}));
  expect_close(pulled_back(unary(kLog), pole, some), floats({3}, {0, 0, 0.25}));
  expect_close(pulled_back(unary(kReciprocal), pole, some), floats({3}, {0, 0, -0.0625}));
  // The square of zero, under a root: the norm of a zero vector.
  expect_close(pulled_back([](Value v) { return v * v; }, pole, infinite), floats({3}, {0, 0, 4}));
}

TEST(Masked, PowersAtZeroAreTorchs) {
  const auto power = [](float exponent) {
    return [exponent](Value x) { return x.builder().add(kPow, {x, x.builder().fill({}, exponent)}); };
  };
  const Tensor zero = floats({1}, {0});
  const Tensor one = floats({1}, {1});
  expect_close(pulled_back(power(0), zero, one), zero);
  expect_close(pulled_back(power(1), zero, one), one);
  expect_close(pulled_back(power(2), zero, floats({1}, {kInfinity})), zero);
  expect_close(pulled_back(power(0.5), zero, zero), zero);
  expect_close(pulled_back(power(0.5), zero, one), floats({1}, {kInfinity}));
  expect_close(pulled_back(power(3), floats({1}, {-2}), one), floats({1}, {12}));
  // With respect to the exponent: 0 where the base is 0.
  for (const float exponent : {0.0F, 0.5F, 2.0F}) {
    expect_close(pulled_back(
                     [](Value e) {
                       return e.builder().add(kPow, {e.builder().fill({}, 0), e});
                     },
                     floats({1}, {exponent}), one, 1),
                 zero);
  }
}

}  // namespace heatproof
