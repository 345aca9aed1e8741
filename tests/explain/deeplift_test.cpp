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

TEST(DeepLift, MaximaByHand) {
  const auto relevance = [](const std::function<Value(Value, Value)>& f, float a, float b) {
    const Network network([f](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 2}});
      const auto column = [&](std::int64_t k) {
        return g.add(kSlice, {x},
                     {{"starts", std::vector<std::int64_t>{0, k}},
                      {"ends", std::vector<std::int64_t>{batch, k + 1}},
                      {"steps", std::vector<std::int64_t>{1, 1}}});
      };
      g.output("y", f(column(0), column(1) - 1));  // for the baseline: 0 and −1
      return g.build();
    });
    return explain_with(network, "deeplift", floats({1, 2}, {a, b}));
  };
  const auto maximum = [](Value a, Value b) { return a.builder().add(kMax, {a, b}); };
  const auto minimum = [](Value a, Value b) { return a.builder().add(kMin, {a, b}); };
  // max(1, 3) from max(0, −1): a − b goes from 1 to −2, so that the first is in the lead for a third of the
  // way.
  expect_close(relevance(maximum, 1, 4), floats({1, 2}, {1.0F / 3, 8.0F / 3}));
  expect_close(relevance(minimum, 1, 4), floats({1, 2}, {2.0F / 3, 4.0F / 3}));
  expect_close(relevance(maximum, 2, -5), floats({1, 2}, {2, 0}));
  // Of a and a constant: all of it is a's.
  expect_close(
      relevance([&](Value a, Value b) { return maximum(a, a.builder().fill({}, 0.5)) + b * 0.0; }, 2, 1),
      floats({1, 2}, {1.5, 0}));
}

TEST(DeepLift, QuotientsByHand) {
  // y b = a: Δa = ȳ Δb + b̄ Δy. From 0 / 1 to 3 / 2.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1}});
    g.output("y", 3.0 * x / (x + 1.0));
    return g.build();
  });
  expect_close(explain_with(network, "deeplift", floats({1, 1}, {1})), floats({1, 1}, {1.5}));
}

TEST(DeepLift, ConditionsThatChangeTakeTheirShare) {
  const auto choice = [](Value h) {
    const Shape half{h.shape()[0], 4};
    const auto part = [&](std::int64_t begin) {
      return h.builder().add(kSlice, {h},
                             {{"starts", std::vector<std::int64_t>{0, begin}},
                              {"ends", std::vector<std::int64_t>{half[0], begin + 4}},
                              {"steps", std::vector<std::int64_t>{1, 1}}});
    };
    return select(step(part(0) - 0.3), part(4), part(0) * part(4));
  };
  expect_complete(network_around(choice), random_tensor({5, 6}, 7));
}

TEST(DeepLift, SmallStepsKeepTheirDigits) {
  // From 0.5 to 0.5 + 1e-4: differences of neighbours have four digits in single precision, slopes half way
  // seven.
  for (const Operator* op :
       {&kSigmoid, &kTanh, &kSoftplus, &kGelu, &kSilu, &kMish, &kExp, &kErf, &kSin, &kCos, &kSqrt, &kLog}) {
    SCOPED_TRACE(op->name);
    const Network network([op](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 1}});
      g.output("y", g.add(*op, {x}));
      return g.build();
    });
    const double x = static_cast<double>(0.5F + 1e-4F);
    const Tensor r = explain_with(network, "deeplift:baseline=0.5", floats({1, 1}, {static_cast<float>(x)}));
    const auto f = [&](double v) {
      if (op == &kSigmoid) return 1 / (1 + std::exp(-v));
      if (op == &kTanh) return std::tanh(v);
      if (op == &kSoftplus) return std::log1p(std::exp(v));
      if (op == &kGelu) return 0.5 * v * (1 + std::erf(v / std::sqrt(2)));
      if (op == &kSilu) return v / (1 + std::exp(-v));
      if (op == &kMish) return v * std::tanh(std::log1p(std::exp(v)));
      if (op == &kExp) return std::exp(v);
      if (op == &kErf) return std::erf(v);
      if (op == &kSin) return std::sin(v);
      if (op == &kCos) return std::cos(v);
      return op == &kSqrt ? std::sqrt(v) : std::log(v);
    };
    const double expected = f(x) - f(0.5);
    EXPECT_NEAR(r.data<float>()[0], expected, 1e-5 * std::fabs(expected));
  }
}

TEST(DeepLift, RandomNetworksOfAllOperatorsAreComplete) {
  using Layer = std::function<Value(Value)>;
  const auto unary = [](const Operator& op) -> Layer {
    return [&op](Value h) { return h.builder().add(op, {h}); };
  };
  const auto along = [](const Operator& op) -> Layer {
    return [&op](Value h) { return h.builder().add(op, {h}, {{"axis", std::int64_t{1}}}); };
  };
  /// [N, 8] → [N, 2, 4] → over the last axis → [N, 2].
  const auto over = [](const Operator& op) -> Layer {
    return [&op](Value h) {
      const std::int64_t n = h.shape()[0];
      const Attributes axes{{"axes", std::vector<std::int64_t>{2}}, {"keepdims", std::int64_t{0}}};
      return h.builder().add(op, {reshape(h, {n, 2, 4})}, axes);
    };
  };
  const auto turned = [](Value h) { return transpose(reshape(h, {h.shape()[0], 2, 4}), {0, 2, 1}); };
  const auto other = [=](Value h) { return reshape(turned(h), h.shape()); };
  const auto pow = [](Value h, double p) {
    return h.builder().add(kPow, {h, h.builder().fill({}, static_cast<float>(p))});
  };
  std::vector<Layer> layers{
      along(kSoftmax),
      along(kLogSoftmax),
      along(kLogSumExp),
      over(kReduceMax),
      over(kReduceMin),
      over(kReduceProd),
      over(kReduceMean),
      over(kReduceSum),
      [=](Value h) { return h * other(h); },
      [=](Value h) { return h / (abs(other(h)) + 0.5); },
      [=](Value h) {
        return h.builder().add(kMax, {h, other(h)});
      },
      [=](Value h) {
        return h.builder().add(kMin, {h, other(h)});
      },
      [=](Value h) {
        return h.builder().add(kMax, {h, h.builder().fill({}, 0.1F)});
      },
      [=](Value h) {
        return h.builder().add(kClip, {h}, {{"min", -0.3}, {"max", 0.4}});
      },
      [=](Value h) { return pow(h, 3); },
      [=](Value h) { return pow(h * h, 0.5); },
      [=](Value h) { return h.builder().add(kLog, {abs(h) + 0.2}); },
      [=](Value h) { return h.builder().add(kSqrt, {abs(h)}); },
      [=](Value h) {
        return h.builder().add(kExp, {h.builder().add(kMin, {h, h.builder().fill({}, 2)})});
      },
      [=](Value h) { return h.builder().add(kReciprocal, {h * h + 0.3}); },
      [=](Value h) {
        return h.builder().add(kPow, {abs(h) + 0.5, other(h)});
      },
      [=](Value h) { return positive(h) + negative(h) * 0.2; },
      [=](Value h) {
        const std::int64_t n = h.shape()[0];
        const Value m = h.builder().add(kMatMul, {reshape(h, {n, 2, 4}), turned(h)});
        return reshape(m, {n, 4});
      },
      [=](Value h) {
        const std::int64_t n = h.shape()[0];
        const Attributes window{{"kernel_shape", std::vector<std::int64_t>{3}}};
        return reshape(h.builder().add(kMaxPool, {reshape(h, {n, 1, 8})}, window), {n, 6});
      },
      [=](Value h) {
        const Value centred = h - reduce_sum(h, {1}, true) / 8;
        return centred / h.builder().add(kSqrt, {reduce_sum(centred * centred, {1}, true) / 8 + 1e-5});
      }};
  for (const Operator* op :
       {&kRelu, &kLeakyRelu, &kElu, &kSelu, &kCelu, &kSigmoid, &kHardSigmoid, &kHardSwish, &kTanh, &kSoftplus,
        &kSoftsign, &kGelu, &kSilu, &kMish, &kAbs, &kErf, &kSin, &kCos, &kNeg})
    layers.push_back(unary(*op));
  const auto dense = [](Value h, std::int64_t size, std::uint64_t seed) {
    Builder& g = h.builder();
    return g.add(kLinear, {h, g.constant(random_tensor({size, h.shape()[1]}, seed)),
                           g.constant(random_tensor({size}, seed + 1))});
  };
  for (std::uint64_t k = 0; k < 2 * layers.size(); ++k) {
    const Layer& first = layers[k % layers.size()];
    const Layer& second = layers[(k * 7 + 3 + k / layers.size()) % layers.size()];
    SCOPED_TRACE(k);
    const Network network([&](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 6}});
      const Value y = second(dense(first(dense(x, 8, 10 * k)), 8, 10 * k + 3));
      g.output("y", dense(y, 3, 10 * k + 6));
      return g.build();
    });
    expect_complete(network, random_tensor({4, 6}, k, -2, 2), 2e-5);
  }
}

TEST(DeepLift, OfTheBaselineItselfIsNothing) {
  const Network network = network_of(golden("cnn.onnx"));
  const Tensor x = Tensor::zeros(DType::f32, {1, 3, 12, 12});
  expect_equal(explain_with(network, "deeplift", x), x);
}

}  // namespace heatproof
