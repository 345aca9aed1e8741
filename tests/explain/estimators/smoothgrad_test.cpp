#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "explain/explainer.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

TEST(SmoothGrad, OfALinearNetworkIsItsGradient) {
  const Tensor w = random_tensor({2, 12}, 1);
  const Network network = linear_network({3, 4}, w, floats({2}, {0, 0}));
  const Tensor x = random_tensor({1, 3, 4}, 2);
  const auto row = w.rows(1, 2).reshaped({1, 3, 4});
  expect_close(explain_with(network, "smoothgrad:samples=5", x, 1), row);
  const Tensor squares = explain_with(network, "smoothgrad:samples=5,moment=square", x, 1);
  for (std::size_t i = 0; i < 12; ++i)
    EXPECT_NEAR(squares.data<float>()[i], row.data<float>()[i] * row.data<float>()[i], 1e-5);
  expect_close(explain_with(network, "smoothgrad:samples=5,moment=variance", x, 1),
               Tensor::zeros(DType::f32, {1, 3, 4}));
}

TEST(SmoothGrad, AveragesTheGradientsOfNoisyCopies) {
  // One unit relu(x₀ + x₁), noise of 0.3 · (1 − (−1)) around (1, −1): the gradient is 1 where it is active.
  const Network network = relu_network({2}, floats({1, 2}, {1, 1}), floats({1}, {0}), floats({1, 1}, {1}));
  const Tensor x = floats({1, 2}, {1, -1});
  RandomStream random(0, {"smoothgrad"}, 0);
  int active = 0;
  for (int k = 0; k < 40; ++k) {
    const double a = 1 + 0.6 * random.normal();
    const double b = -1 + 0.6 * random.normal();
    if (a + b > 0) ++active;
  }
  ASSERT_GT(active, 5);
  ASSERT_LT(active, 35);
  const double mean = active / 40.0;
  const auto value = [&](const std::string& moment) {
    return explain_with(network, "smoothgrad:samples=40,noise=0.3,moment=" + moment, x).data<float>()[0];
  };
  EXPECT_NEAR(value("mean"), mean, 1e-6);
  EXPECT_NEAR(value("square"), mean, 1e-6);
  EXPECT_NEAR(value("variance"), mean - mean * mean, 1e-6);
}

TEST(SmoothGrad, HangsOnSeedAndSampleOnly) {
  const Network network =
      relu_network({6}, random_tensor({8, 6}, 1), random_tensor({8}, 2), random_tensor({3, 8}, 3));
  const Tensor x = random_tensor({3, 6}, 4);
  const std::vector<std::int64_t> targets{0, 1, 2};
  const std::vector<std::uint64_t> ids{7, 8, 9};
  const auto explain = [&](const Tensor& inputs, std::span<const std::int64_t> t,
                           std::span<const std::uint64_t> numbers, std::uint64_t seed) {
    ExplainOptions options;
    options.seed = seed;
    return Explainer(network, {parse_recipe("smoothgrad"), parse_recipe("gradient")}, options)
        .explain(inputs, t, numbers)
        .relevance[0];
  };
  const Tensor all = explain(x, targets, ids, 1);
  expect_equal(explain(x.rows(2, 3), std::span(targets).subspan(2), std::span(ids).subspan(2), 1),
               all.rows(2, 3));
  const Tensor other = explain(x, targets, ids, 2);
  EXPECT_NE(other.data<float>()[0], all.data<float>()[0]);
}

}  // namespace heatproof
