#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Build along(std::int64_t axis) {
  return [axis](Builder& g, const auto& in) { return g.add(kLogSumExp, {in[0]}, {{"axis", axis}}); };
}

}  // namespace

TEST(LogSumExp, AlongAnyAxisWithoutOverflow) {
  const Tensor x = random_tensor({3, 70, 4}, 1, -300, 300);
  for (const std::int64_t axis : {0, 1, 2}) {
    const Tensor y = run_graph(along(axis), {x});
    Shape shape = x.shape();
    const std::int64_t n = shape[static_cast<std::size_t>(axis)];
    const std::int64_t inner = shape.strides()[static_cast<std::size_t>(axis)];
    shape[static_cast<std::size_t>(axis)] = 1;
    ASSERT_EQ(y.shape(), shape);
    for (std::int64_t k = 0; k < y.elements(); ++k) {
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i)
        sum += std::exp(static_cast<double>(
            x.data<float>()[static_cast<std::size_t>(k / inner * n * inner + i * inner + k % inner)]));
      ASSERT_NEAR(y.data<float>()[static_cast<std::size_t>(k)], std::log(sum), 1e-4);
    }
  }
}

TEST(LogSumExp, OfNothingButMinusInfinity) {
  const Tensor x = floats({3, 2}, {-kInfinity, 2, -kInfinity, -kInfinity, kInfinity, 0});
  expect_close(run_graph(along(1), {x}), floats({3, 1}, {2, -kInfinity, kInfinity}));
}

TEST(LogSumExp, ItsDerivativeIsSoftmax) { check_derivative(along(1), {random_tensor({3, 5}, 2)}); }

}  // namespace heatproof
