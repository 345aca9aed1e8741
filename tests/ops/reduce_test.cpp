// Reductions, and Softmax, which reduces along an axis.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using Ints = std::vector<std::int64_t>;

TEST(Reduce, DerivativesOfMaximumAndMinimum) {
  for (const Operator* op : {&kReduceMax, &kReduceMin}) {
    check_derivative(
        [&](Builder& g, const auto& in) {
          return g.add(*op, {in[0]}, {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}});
        },
        {floats({2, 3}, {1, 2, 3, -5, 4, 0.5})}, 5e-3, 1e-2);
  }
}

TEST(Reduce, SumsOfValuesWhoseChannelsAreInnermost) {
  for (const std::int64_t channels : {5, 16, 40, 70}) {
    for (const auto& axes : {Ints{2, 3}, Ints{3}, Ints{0, 2, 3}, Ints{1}, Ints{0}, Ints{0, 1, 2, 3}}) {
      for (const Operator* op : {&kReduceSum, &kReduceMean, &kReduceMax}) {
        SCOPED_TRACE(fmt::format("{} of {} channels along {}", op->name, channels, fmt::join(axes, ", ")));
        const auto convolved = [&](Builder& g, const auto& in) {
          return g.add(kConv, {in[0], g.constant(random_tensor({channels, 3, 3, 3}, 1))},
                       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}});
        };
        const Attributes attributes{{"axes", axes}, {"keepdims", std::int64_t{0}}};
        const Tensor x = random_tensor({2, 3, 25, 13}, 2);
        const Tensor y = run_graph(
            [&](Builder& g, const auto& in) { return g.add(*op, {convolved(g, in)}, attributes); }, {x});
        // The same of a plain value.
        const Tensor expected =
            run_graph([&](Builder& g, const auto& in) { return g.add(*op, {in[0]}, attributes); },
                      {run_graph(convolved, {x})});
        expect_close(y, expected, 1e-5, 1e-5);
      }
    }
  }
}

TEST(Softmax, OfLongRowsAndColumns) {
  for (const std::int64_t axis : {0, 1}) {
    for (const Operator* op : {&kSoftmax, &kLogSoftmax}) {
      SCOPED_TRACE(fmt::format("{} along {}", op->name, axis));
      const std::int64_t n = 101;
      const std::int64_t others = 3;
      const Tensor x = random_tensor(axis == 0 ? Shape{n, others} : Shape{others, n}, 1, -50, 50);
      const Tensor y = run_graph(
          [&](Builder& g, const auto& in) {
            return g.add(*op, {in[0]}, {{"axis", axis}});
          },
          {x});
      for (std::int64_t k = 0; k < others; ++k) {
        const auto at = [&](const Tensor& t, std::int64_t i) -> double {
          return t.data<float>()[static_cast<std::size_t>(axis == 0 ? i * others + k : k * n + i)];
        };
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += std::exp(at(x, i));
        for (std::int64_t i = 0; i < n; ++i) {
          const double log = at(x, i) - std::log(sum);
          const double expected = op == &kSoftmax ? std::exp(log) : log;
          ASSERT_NEAR(at(y, i), expected, 1e-5 * std::fabs(expected) + 1e-30);
        }
      }
    }
  }
}

TEST(Softmax, OfAnImpossibleClassIsZero) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kSoftmax, {in[0]}, {{"axis", std::int64_t{1}}});
      },
      {floats({1, 3}, {1, -kInfinity, 1})});
  expect_close(y, floats({1, 3}, {0.5, 0, 0.5}));
}

}  // namespace heatproof
