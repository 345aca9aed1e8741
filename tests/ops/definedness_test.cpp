#include "ops/definedness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

struct Named {
  std::string name;
  Value (*emit)(Builder&, Value);
};

/// Of −1 and 0: no number.
const std::vector<Named>& undefined() {
  static const std::vector<Named> all{
      {"log", [](Builder& g, Value x) { return g.add(kLog, {x - 1.0}); }},
      {"root", [](Builder& g, Value x) { return g.add(kSqrt, {x - 1.0}); }},
      {"power",
       [](Builder& g, Value x) {
         return g.add(kPow, {x - 1.0, g.fill({}, 1.5F)});
       }},
      {"quotient", [](Builder&, Value x) { return (x - x * 2.0 + x) / (x - x * 3.0 + 2.0 * x); }},
      {"reciprocals",
       [](Builder& g, Value x) {
         const Value far = g.add(kReciprocal, {positive(x)});
         return far - far;
       }},
  };
  return all;
}

const std::vector<Named>& layers() {
  static const std::vector<Named> all{
      {"nothing", [](Builder&, Value x) { return x; }},
      {"linear",
       [](Builder& g, Value x) {
         return g.add(kLinear, {reshape(x, {2, 64}), g.constant(random_tensor({8, 64}, 1))});
       }},
      {"convolution",
       [](Builder& g, Value x) {
         return g.add(kConv, {x, g.constant(random_tensor({16, 16, 3, 3}, 2))},
                      {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
       }},
      {"normalization",
       [](Builder& g, Value x) {
         return g.add(kBatchNormalization,
                      {x, g.constant(random_tensor({16}, 3)), g.constant(random_tensor({16}, 4))});
       }},
  };
  return all;
}

const std::vector<Named>& bounds() {
  static const std::vector<Named> all{
      {"relu", [](Builder& g, Value x) { return g.add(kRelu, {x}); }},
      {"clip",
       [](Builder& g, Value x) {
         return g.add(kClip, {x}, {{"min", 0.0}, {"max", 6.0}});
       }},
      {"max",
       [](Builder& g, Value x) {
         return g.add(kMax, {x, g.fill({}, 0.5F)});
       }},
      {"min",
       [](Builder& g, Value x) {
         return g.add(kMin, {g.fill({}, 0.5F), x});
       }},
      {"hard sigmoid", [](Builder& g, Value x) { return g.add(kHardSigmoid, {x}); }},
      {"sigmoid", [](Builder& g, Value x) { return g.add(kSigmoid, {x}); }},
      {"largest",
       [](Builder& g, Value x) {
         return g.add(kReduceMax, {x}, {{"axes", Ints{1}}});
       }},
      {"least",
       [](Builder& g, Value x) {
         return g.add(kReduceMin, {x}, {{"axes", Ints{1}}});
       }},
      {"softmax",
       [](Builder& g, Value x) {
         return g.add(kSoftmax, {x}, {{"axis", std::int64_t{1}}});
       }},
  };
  return all;
}

}  // namespace

TEST(Definedness, WhatIsNoNumberIsNotHidden) {
  const Tensor x = Tensor::zeros(DType::f32, {2, 16, 2, 2});
  for (const Named& source : undefined()) {
    for (const Named& layer : layers()) {
      for (const Named& bound : bounds()) {
        for (const auto how : {Convolutions::direct, Convolutions::fastest}) {
          SCOPED_TRACE(fmt::format("{}, {}, {}", source.name, layer.name, bound.name));
          Builder g;
          const Value in = g.input("x", {DType::f32, x.shape()});
          g.output("y", bound.emit(g, layer.emit(g, source.emit(g, in))));
          const Tensor y = Workspace(compile(g.build(), how)).run({x})[0];
          for (const float v : y.data<float>()) ASSERT_TRUE(std::isnan(v)) << v;
        }
      }
    }
  }
}

TEST(Definedness, DeviationsWithAnEpsilonAreKnownToBePositive) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {2, 6}});
  const auto is_known = [&](Value v) {
    g.output("v", v);
    const Graph graph = g.build();
    return is_positive(graph, graph.outputs().back().id);
  };
  const auto mean = [&](Value v) {
    return g.add(kReduceMean, {v}, {{"axes", Ints{1}}, {"keepdims", std::int64_t{1}}});
  };
  const Value centred = x - mean(x);
  const Value variance = mean(centred * centred);
  EXPECT_TRUE(is_known(g.add(kSqrt, {variance + 1e-5})));
  EXPECT_TRUE(is_known(g.add(kMax, {g.add(kSqrt, {variance}), g.fill({}, 1e-12F)})));
  EXPECT_TRUE(is_known(g.add(kClip, {x}, {{"min", 1e-3}})));
  EXPECT_FALSE(is_known(g.add(kSqrt, {variance})));
  EXPECT_FALSE(is_known(g.add(kSqrt, {x + 1e-5})));
  EXPECT_FALSE(is_known(g.add(kClip, {x}, {{"min", 0.0}})));
  EXPECT_FALSE(is_known(x + 1.0));
}

}  // namespace heatproof
