// What the tests compare with must be able to fail.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/compare.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor two(float a, float b) { return floats({2}, {a, b}); }

float factor_of_derivative = 1;

/// A sigmoid whose derivative is wrong by a factor.
const Operator& wrong_sigmoid(float factor) {
  static const Operator wrong = [] {
    Operator op = kSigmoid;
    op.derivative = [](Value n, Value g) {
      Value right = kSigmoid.derivative(n, g).front();
      return std::vector{right * static_cast<double>(factor_of_derivative)};
    };
    return op;
  }();
  factor_of_derivative = factor;
  return wrong;
}

/// How many failures a check reports.
template <typename F>
int failures_of(F&& check) {
  ::testing::TestPartResultArray results;
  const ::testing::ScopedFakeTestPartResultReporter reporter(
      ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
  check();
  return results.size();
}

}  // namespace

TEST(Deviation, IsRelativeToTheLargestExpectedValue) {
  EXPECT_DOUBLE_EQ(deviation(two(1, 4), two(1, 2)), 1);
  EXPECT_DOUBLE_EQ(deviation(two(1, 2), two(1, 4)), 0.5);
  EXPECT_EQ(deviation(two(0, 0), two(0, 0)), 0);
}

TEST(Deviation, IsInfiniteWhereSomethingIsNotFinite) {
  for (const float odd : {kNan, kInfinity, -kInfinity}) {
    EXPECT_EQ(deviation(two(odd, 1), two(1, 1)), INFINITY);
    EXPECT_EQ(deviation(two(1, odd), two(1, 1)), INFINITY);  // also after a value that fits
    EXPECT_EQ(deviation(two(1, 1), two(odd, 1)), INFINITY);
    EXPECT_EQ(deviation(two(1, odd), two(1, odd)), INFINITY);
  }
  EXPECT_EQ(deviation(two(0, 1e-9F), two(0, 0)), INFINITY);
}

TEST(Deviation, IsInfiniteWhereShapesOrTypesDiffer) {
  EXPECT_EQ(deviation(floats({1, 2}, {1, 2}), two(1, 2)), INFINITY);
  EXPECT_EQ(deviation(two(1, 2), floats({3}, {1, 2, 3})), INFINITY);
  EXPECT_EQ(deviation(two(1, 2), floats({1}, {1})), INFINITY);
  EXPECT_EQ(deviation(integers({2}, {1, 2}), two(1, 2)), INFINITY);
  EXPECT_EQ(deviation(floats({0}, {}), floats({0}, {})), INFINITY);  // nothing was compared
}

TEST(ExpectClose, FailsForNanUnlessItIsMeant) {
  EXPECT_FATAL_FAILURE(expect_close(two(kNan, 1), two(0, 1)), "");
  EXPECT_FATAL_FAILURE(expect_close(two(0, 1), two(kNan, 1)), "");
  EXPECT_FATAL_FAILURE(expect_close(two(kNan, 1), two(kNan, 1)), "");
  expect_close_or_nan(two(kNan, 1), two(kNan, 1), 1e-5, 1e-6);
  EXPECT_FATAL_FAILURE(expect_close_or_nan(two(0, 1), two(kNan, 1), 1e-5, 1e-6), "");
  EXPECT_FATAL_FAILURE(expect_close_or_nan(two(kNan, 1), two(0, 1), 1e-5, 1e-6), "");
}

TEST(Differ, IsNotShownByNan) {
  EXPECT_TRUE(differ(two(1, 2), two(1, 3)));
  EXPECT_FALSE(differ(two(1, 2), two(1, 2)));
  EXPECT_FALSE(differ(two(1, kNan), two(1, 3)));
  EXPECT_FALSE(differ(floats({1}, {1}), two(1, 3)));
}

TEST(ExpectClose, TellsInfinitiesApart) {
  expect_close(two(kInfinity, 1), two(kInfinity, 1));
  EXPECT_FATAL_FAILURE(expect_close(two(3, 1), two(kInfinity, 1)), "");
  EXPECT_FATAL_FAILURE(expect_close(two(-kInfinity, 1), two(kInfinity, 1)), "");
  EXPECT_FATAL_FAILURE(expect_close(two(kInfinity, 1), two(3, 1)), "");
  EXPECT_FATAL_FAILURE(expect_close(floats({1, 2}, {1, 2}), two(1, 2)), "");
}

TEST(Dot, RefusesOtherShapes) {
  EXPECT_DOUBLE_EQ(dot(two(1, 2), two(3, 4)), 11);
  EXPECT_THROW(dot(two(1, 2), floats({1}, {1})), Error);
  EXPECT_TRUE(std::isnan(dot(two(1, kNan), two(3, 4))));
}

TEST(CheckDerivative, FailsForAWrongDerivative) {
  const auto failures = [](float factor) {
    const auto build = [&](Builder& g, const std::vector<Value>& in) {
      return g.add(wrong_sigmoid(factor), {in[0]});
    };
    return failures_of([&] { check_derivative(build, {random_tensor({2, 3}, 1)}); });
  };
  EXPECT_EQ(failures(1), 0);
  for (const float factor : {1.1F, 0.0F, kNan, kInfinity}) EXPECT_GT(failures(factor), 0) << factor;
}

TEST(CheckDerivative, FailsWhereNothingHasADerivative) {
  const auto build = [](Builder& g, const std::vector<Value>& in) {
    return g.add(kOneHot, {in[0]}, {{"depth", std::int64_t{3}}});
  };
  EXPECT_GT(failures_of([&] { check_derivative(build, {integers({2}, {0, 1})}); }), 0);
}

TEST(CheckAdjoint, FailsForAWrongDerivative) {
  const auto failures = [](float factor) {
    // About linear where its input is small.
    const auto build = [&](Builder& g, const std::vector<Value>& in) {
      return g.add(wrong_sigmoid(factor), {in[0] * 1e-2}) * 1e2;
    };
    return failures_of([&] { check_adjoint(build, {{2, 3}}); });
  };
  EXPECT_EQ(failures(1), 0);
  for (const float factor : {1.1F, 0.0F, kNan, kInfinity}) EXPECT_GT(failures(factor), 0) << factor;
}

}  // namespace heatproof
