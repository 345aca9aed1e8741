#include "explain/deeplift.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

/// |Σ R − (f(x) − f(0))| of every sample is at most `share` of the largest score.
void expect_complete(const Network& network, const Tensor& x, double share = 1e-5) {
  const Tensor scores = network.predict(x);
  const Tensor start = network.predict(Tensor::zeros(DType::f32, x.shape()));
  const Tensor r = explain_with(network, "deeplift", x, 1);
  double most = 0;
  for (float v : scores.data<float>()) most = std::max<double>(most, std::fabs(v));
  ASSERT_TRUE(std::isfinite(most));
  for (std::int64_t n = 0; n < x.shape()[0]; ++n) {
    const auto k = static_cast<std::size_t>(n * network.classes() + 1);
    EXPECT_NEAR(sum_of_row(r, n), scores.data<float>()[k] - start.data<float>()[k], share * most);
  }
}

/// One function of x [N, 6] between two dense layers.
Network network_around(const std::function<Value(Value)>& f) {
  return Network([f](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 6}});
    const Value h =
        g.add(kLinear, {x, g.constant(random_tensor({8, 6}, 1)), g.constant(random_tensor({8}, 2))});
    const Value y = f(h);
    g.output("y", g.add(kLinear, {y, g.constant(random_tensor({3, y.shape()[1]}, 3))}));
    return g.build();
  });
}

}  // namespace

TEST(DeepLift, ByHand) {
  // relu(x₀ − x₁ + 1), from 0 to (2, 1): the sum goes from 1 to 2, the slope is 1.
  const Network open = relu_network({2}, floats({1, 2}, {1, -1}), floats({1}, {1}), floats({1, 1}, {1}));
  expect_close(explain_with(open, "deeplift", floats({1, 2}, {2, 1})), floats({1, 2}, {2, -1}));
  // To (−3, 1): the sum goes from 1 to −3, the output from 1 to 0, the slope is 1/4.
  expect_close(explain_with(open, "deeplift", floats({1, 2}, {-3, 1})), floats({1, 2}, {-0.75, -0.25}));
}

TEST(DeepLift, SumsToTheDifferenceOfTheScores) {
  for (const char* name :
       {"cnn", "resnet", "pools", "mobile", "dense", "smooth", "gates", "stacked", "signal"}) {
    SCOPED_TRACE(name);
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    expect_complete(network_of(golden(std::string(name) + ".onnx")), x);
  }
}

TEST(DeepLift, ProductsQuotientsAndSoftmaxAreComplete) {
  const Tensor x = random_tensor({3, 6}, 5);
  const auto half = [](Value h, std::int64_t begin) {
    return h.builder().add(kSlice, {h},
                           {{"starts", std::vector<std::int64_t>{0, begin}},
                            {"ends", std::vector<std::int64_t>{h.shape()[0], begin + 4}},
                            {"steps", std::vector<std::int64_t>{1, 1}}});
  };
  expect_complete(network_around([&](Value h) { return half(h, 0) * half(h, 4); }), x);
  expect_complete(network_around([&](Value h) { return h * h; }), x);
  expect_complete(network_around([&](Value h) { return half(h, 0) / (half(h, 4) * half(h, 4) + 1); }), x);
  expect_complete(network_around([&](Value h) {
                    return h.builder().add(kSoftmax, {h}, {{"axis", std::int64_t{1}}});
                  }),
                  x);
  expect_complete(network_around([&](Value h) {
                    const Shape& s = h.shape();
                    const Value a = reshape(half(h, 0), {s[0], 2, 2});
                    const Value b = reshape(half(h, 4), {s[0], 2, 2});
                    return reshape(h.builder().add(kMatMul, {a, b}), {s[0], 4});
                  }),
                  x);
}

TEST(DeepLift, OfTheBaselineItselfIsNothing) {
  const Network network = network_of(golden("cnn.onnx"));
  const Tensor x = Tensor::zeros(DType::f32, {1, 3, 12, 12});
  expect_equal(explain_with(network, "deeplift", x), x);
}

}  // namespace heatproof
