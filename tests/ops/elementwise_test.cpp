#include <gtest/gtest.h>

#include <cmath>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

struct Case {
  const Operator* op;
  double (*reference)(double);
  Attributes attributes = {};
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const std::vector<Case>& unary_cases() {
  static const std::vector<Case> cases = {
      {&kRelu, [](double x) { return std::max(x, 0.0); }},
      {&kLeakyRelu, [](double x) { return x > 0 ? x : 0.1 * x; }, {{"alpha", 0.1}}},
      {&kElu, [](double x) { return x > 0 ? x : std::expm1(x); }},
      {&kCelu, [](double x) { return x > 0 ? x : 2 * std::expm1(x / 2); }, {{"alpha", 2.0}}},
      {&kSelu,
       [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); }},
      {&kSigmoid, sigmoid},
      {&kHardSigmoid, [](double x) { return std::clamp(0.2 * x + 0.5, 0.0, 1.0); }},
      {&kHardSwish, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }},
      {&kTanh, [](double x) { return std::tanh(x); }},
      {&kSoftplus, [](double x) { return std::log1p(std::exp(x)); }},
      {&kSoftsign, [](double x) { return x / (1 + std::fabs(x)); }},
      {&kGelu, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2))); }},
      {&kSilu, [](double x) { return x * sigmoid(x); }},
      {&kMish, [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {&kClip, [](double x) { return std::clamp(x, -1.0, 1.5); }, {{"min", -1.0}, {"max", 1.5}}},
      {&kNeg, [](double x) { return -x; }},
      {&kAbs, [](double x) { return std::fabs(x); }},
      {&kExp, [](double x) { return std::exp(x); }},
      {&kErf, [](double x) { return std::erf(x); }},
      {&kSin, [](double x) { return std::sin(x); }},
      {&kCos, [](double x) { return std::cos(x); }},
      {&kPositive, [](double x) { return std::max(x, 0.0); }},
      {&kNegative, [](double x) { return std::min(x, 0.0); }},
  };
  return cases;
}

Build build_of(const Case& c) {
  return [&c](Builder& g, const auto& in) { return g.add(*c.op, {in[0]}, c.attributes); };
}

}  // namespace

TEST(Elementwise, UnaryOperatorsAgreeWithTheirFormulas) {
  // 1003 elements: whole tiles and a rest.
  const Tensor x = random_tensor({17, 59}, 1, -4, 4);
  for (const Case& c : unary_cases()) {
    SCOPED_TRACE(c.op->name);
    const Tensor y = run_graph(build_of(c), {x});
    for (std::size_t i = 0; i < x.data<float>().size(); ++i)
      ASSERT_NEAR(y.data<float>()[i], c.reference(x.data<float>()[i]), 2e-5);
  }
}

TEST(Elementwise, UnaryDerivatives) {
  // Away from kinks.
  const Tensor x = floats({8}, {-3.3F, -2.2F, -0.7F, -0.3F, 0.2F, 0.9F, 1.2F, 3.7F});
  for (const Case& c : unary_cases()) {
    SCOPED_TRACE(c.op->name);
    check_derivative(build_of(c), {x});
  }
  const Tensor above = random_tensor({9}, 3, 0.5, 3);
  for (const Operator* op : {&kLog, &kSqrt, &kReciprocal}) {
    SCOPED_TRACE(op->name);
    check_derivative([&](Builder& g, const auto& in) { return g.add(*op, {in[0]}); }, {above});
  }
}

TEST(Elementwise, BinaryDerivativesWithBroadcast) {
  const Tensor a = random_tensor({2, 3, 4}, 1, 0.5, 2);
  const Tensor b = random_tensor({3, 1}, 2, 0.5, 2);
  for (const Operator* op : {&kAdd, &kSub, &kMul, &kDiv, &kPow}) {
    SCOPED_TRACE(op->name);
    check_derivative([&](Builder& g, const auto& in) { return g.add(*op, {in[0], in[1]}); }, {a, b});
    check_derivative([&](Builder& g, const auto& in) { return g.add(*op, {in[1], in[0]}); }, {a, b});
  }
  const Tensor far = floats({4}, {1, 5, -2, 0});
  const Tensor near = floats({4}, {2, 3, -4, 1});
  for (const Operator* op : {&kMax, &kMin}) {
    SCOPED_TRACE(op->name);
    check_derivative([&](Builder& g, const auto& in) { return g.add(*op, {in[0], in[1]}); }, {far, near});
  }
}

TEST(Elementwise, LongChainsAreFusedWithoutChangingTheResult) {
  const Tensor x = random_tensor({3, 1000}, 1, -2, 2);
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        Value v = in[0];
        for (int i = 0; i < 40; ++i) v = g.add(kTanh, {v * 1.01 + 0.05}) - in[0] * 0.1;
        return v;
      },
      {x});
  for (std::size_t i = 0; i < x.data<float>().size(); i += 97) {
    double v = x.data<float>()[i];
    for (int k = 0; k < 40; ++k) v = std::tanh(v * 1.01 + 0.05) - x.data<float>()[i] * 0.1;
    ASSERT_NEAR(y.data<float>()[i], v, 1e-4);
  }
}

TEST(Stabilize, AddsEpsilonAwayFromZeroAndZeroIsPositive) {
  const Tensor y =
      run_graph([](Builder&, const auto& in) { return stabilize(in[0], 0.5); }, {floats({3}, {2, -2, 0})});
  expect_close(y, floats({3}, {2.5, -2.5, 0.5}));
}

TEST(Sign, IsTrackedThroughOperators) {
  Builder g;
  const Value any = g.input("x", {DType::f32, {4}});
  const Value plus = g.add(kRelu, {any});
  EXPECT_EQ(plus.sign(), Sign::non_negative);
  EXPECT_EQ((-plus).sign(), Sign::non_positive);
  EXPECT_EQ((plus * plus).sign(), Sign::non_negative);
  EXPECT_EQ((plus + any).sign(), Sign::any);
  EXPECT_EQ(positive(plus), plus);               // nothing to do
  EXPECT_EQ(negative(plus).sign(), Sign::zero);  // nothing left
}

TEST(Elementwise, ShapesThatDoNotBroadcastAreAnError) {
  Builder g;
  const Value a = g.input("a", {DType::f32, {2, 3}});
  const Value b = g.input("b", {DType::f32, {2, 4}});
  EXPECT_THROW(a + b, Error);
}

}  // namespace heatproof
