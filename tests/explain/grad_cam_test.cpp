#include "explain/grad_cam.h"

#include <gtest/gtest.h>

#include "explain/explainer.h"
#include "explain/resample.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

/// A 1 x 1 convolution that doubles, ReLU, and a dense layer: one class.
Network small_network() {
  return Network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1, 2, 2}});
    const Value h =
        g.add(kRelu, {g.add(kConv, {x, g.constant(floats({1, 1, 1, 1}, {2}))}, {}, "double")}, {}, "relu");
    g.output("y", g.add(kLinear, {reshape(h, {batch, 4}), g.constant(floats({1, 4}, {1, 2, 3, 4}))}));
    return g.build();
  });
}

}  // namespace

TEST(GradCam, ByHand) {
  const Tensor x = floats({1, 1, 2, 2}, {1, -1, 1, 1});
  // Gradients at the convolution: 1, 0 (inactive), 3, 4: mean 2; map 2 · (2, −2, 2, 2).
  expect_close(explain_with(small_network(), "grad_cam", x), floats({1, 1, 2, 2}, {4, 0, 4, 4}));
  expect_close(explain_with(small_network(), "grad_cam:relu=false", x), floats({1, 1, 2, 2}, {4, -4, 4, 4}));
  // At the ReLU: 1, 2, 3, 4: mean 2.5.
  expect_close(explain_with(small_network(), "grad_cam:layer=last_map", x),
               floats({1, 1, 2, 2}, {5, 0, 5, 5}));
  expect_close(explain_with(small_network(), "grad_cam:layer=dou*", x), floats({1, 1, 2, 2}, {4, 0, 4, 4}));
}

TEST(GradCam, NeedsALayerWithPositions) {
  const Network dense = linear_network({1, 2, 2}, random_tensor({1, 4}, 1), floats({1}, {0}));
  const Tensor x = random_tensor({1, 1, 2, 2}, 2);
  EXPECT_THROW(explain_with(dense, "grad_cam", x), UsageError);
  EXPECT_THROW(explain_with(small_network(), "grad_cam:layer=nothing", x), UsageError);
}

TEST(Resample, InterpolatesBetweenCentres) {
  expect_close(interpolation(2, 4), floats({4, 2}, {1, 0, 0.75, 0.25, 0.25, 0.75, 0, 1}));
  expect_close(interpolation(1, 2), floats({2, 1}, {1, 1}));
}

TEST(Resample, BlurringKeepsSumsOfRows) {
  const Tensor rows = blurring(7, 1.5);
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_NEAR(sum_of_row(rows, i), 1, 1e-6);
  expect_close(blurring(1, 2), floats({1, 1}, {1}));
}

}  // namespace heatproof
