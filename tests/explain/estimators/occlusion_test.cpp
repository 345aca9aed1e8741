#include <gtest/gtest.h>

#include "explain/estimators/estimators.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

TEST(Occlusion, WindowsCoverAnAxisToItsEnd) {
  EXPECT_EQ(window_count(8, 4, 4), 2);
  EXPECT_EQ(window_count(9, 4, 4), 3);  // the last one is cut
  EXPECT_EQ(window_count(8, 8, 1), 1);
  EXPECT_EQ(window_count(8, 3, 1), 6);
}

TEST(Occlusion, OfALinearNetworkIsTheSumOverEachWindow) {
  // Two channels of 3 x 5, windows of 2 x 2 without overlap: cut at both far borders.
  const Tensor w = random_tensor({1, 30}, 1);
  const Tensor x = random_tensor({2, 2, 3, 5}, 2);
  const Network network = linear_network({2, 3, 5}, w, floats({1}, {3}));
  const Tensor r = explain_with(network, "occlusion:patch=2,stride=2,baseline=0.5", x);
  for (std::size_t n = 0; n < 2; ++n) {
    for (std::size_t row = 0; row < 3; ++row) {
      for (std::size_t column = 0; column < 5; ++column) {
        double fall = 0;
        for (std::size_t c = 0; c < 2; ++c) {
          for (std::size_t i = row / 2 * 2; i < std::min<std::size_t>(row / 2 * 2 + 2, 3); ++i) {
            for (std::size_t j = column / 2 * 2; j < std::min<std::size_t>(column / 2 * 2 + 2, 5); ++j) {
              const std::size_t k = c * 15 + i * 5 + j;
              fall += w.data<float>()[k] * (x.data<float>()[n * 30 + k] - 0.5);
            }
          }
        }
        for (std::size_t c = 0; c < 2; ++c)
          EXPECT_NEAR(r.data<float>()[n * 30 + c * 15 + row * 5 + column], fall, 1e-5);
      }
    }
  }
}

TEST(Occlusion, OverlappingWindowsAreAveraged) {
  // One channel of five values, windows [0, 3), [2, 5): the middle is the mean of both.
  const Network network = linear_network({1, 5}, floats({1, 5}, {1, 2, 3, 4, 5}), floats({1}, {0}));
  const Tensor r = explain_with(network, "occlusion:patch=3,stride=2", floats({1, 1, 5}, {1, 1, 1, 1, 1}));
  expect_close(r, floats({1, 1, 5}, {6, 6, 9, 12, 12}));
}

TEST(Occlusion, FeaturesWithoutPositionsAreCoveredInTurn) {
  const Network network = linear_network({4}, floats({1, 4}, {1, -2, 3, 0}), floats({1}, {0}));
  const Tensor r = explain_with(network, "occlusion:patch=1,stride=1", floats({1, 4}, {2, 1, 1, 5}));
  expect_equal(r, floats({1, 4}, {2, -2, 3, 0}));
}

TEST(Occlusion, ProbabilityIsBetweenMinusOneAndOne) {
  const Network network = linear_network({3}, floats({2, 3}, {9, 0, 0, 0, 0, 0}), floats({2}, {0, 0}));
  const Tensor r =
      explain_with(network, "occlusion:patch=1,stride=1,output=probability", floats({1, 3}, {5, 1, 1}));
  expect_close(r, floats({1, 3}, {0.5, 0, 0}));
}

TEST(Occlusion, RefusesWindowsThatDoNotFit) {
  const Network network = linear_network({1, 4, 6}, random_tensor({1, 24}, 1), floats({1}, {0}));
  const Tensor x = random_tensor({1, 1, 4, 6}, 2);
  EXPECT_THROW(explain_with(network, "occlusion:patch=5,stride=1", x), UsageError);
  EXPECT_THROW(explain_with(network, "occlusion:patch=2,stride=3", x), UsageError);
}

}  // namespace heatproof
