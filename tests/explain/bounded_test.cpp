// Explanations whose convolutions are computed by transforms where rounding may spread over neighbours.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "ops/winograd_kernels.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// Convolutions with and without a residual, pooling, 3×3 windows of 32 and 48 channels.
Network network_of(bool biased) {
  return Network([=](std::int64_t batch) {
    Builder g;
    const auto layer = [&](Value x, std::int64_t outputs, std::uint64_t seed) {
      const std::int64_t inputs = x.shape()[1];
      const double most = 1.5 / std::sqrt(9.0 * static_cast<double>(inputs));
      const Value w = g.constant(random_tensor({outputs, inputs, 3, 3}, seed, -most, most));
      const Value b = biased ? g.constant(random_tensor({outputs}, seed + 100, -0.2, 0.2)) : Value{};
      return g.add(kConv, {x, w, b}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
    };
    const auto relu = [&](Value x) { return g.add(kRelu, {x}); };
    const Value x = g.input("x", {DType::f32, {batch, 3, 24, 24}});
    const Value a = relu(layer(x, 32, 1));
    const Value b = relu(layer(a, 32, 2));
    const Value c = relu(layer(b, 32, 3) + a);
    const Value pooled = g.add(
        kMaxPool, {c}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"pads", Ints{0, 0, 0, 0}}});
    const Value d = relu(layer(pooled, 48, 4));
    const Value mean = g.add(kReduceMean, {d}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}});
    g.output("y", g.add(kLinear, {mean, g.constant(random_tensor({5, 48}, 5)),
                                  biased ? g.constant(random_tensor({5}, 6)) : Value{}}));
    return g.build();
  });
}

/// Noise; half of it black; a small patch; and noise of which one part is 10⁴ times as large.
Tensor images() {
  Tensor x = random_tensor({4, 3, 24, 24}, 7);
  float* at = x.data<float>().data();
  for (std::int64_t n = 1; n < 4; ++n)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t i = 0; i < 24; ++i)
        for (std::int64_t j = 0; j < 24; ++j) {
          float& v = at[((n * 3 + c) * 24 + i) * 24 + j];
          if (n == 1 && j < 13) v = 0;
          if (n == 2 && (i < 9 || i > 14 || j < 7 || j > 13)) v = 0;
          if (n == 3 && i < 10) v *= 1e4F;
        }
  return x;
}

struct Computed {
  Tensor relevance;
  std::int64_t transformed = 0;  // steps
};

Computed computed(const Network& network, const std::string& recipe, Convolutions how) {
  Explainer explainer(network, {parse_recipe(recipe)}, {});
  Workspace workspace(compile(explainer.graph(4), how));
  std::vector<StepTime> steps;
  const Ints targets{0, 1, 2, 3};
  const std::vector<Tensor> inputs{images(), Tensor::of({4}, std::span<const std::int64_t>(targets))};
  const Tensor r = workspace.run(inputs, steps)[1];
  return {r, std::ranges::count_if(steps, [](const StepTime& step) {
            return step.name.find("winograd") != std::string::npos;
          })};
}

/// Every image's relevance within 1e-5 of its largest, and zero in the same places.
void expect_same(const Tensor& actual, const Tensor& expected) {
  for (std::int64_t n = 0; n < 4; ++n) {
    const Tensor rows = expected.rows(n, n + 1);
    const auto e = rows.data<float>();
    const Tensor other = actual.rows(n, n + 1);
    const auto a = other.data<float>();
    float most = 0;
    for (float v : e) most = std::max(most, std::fabs(v));
    for (std::size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-5 * most) << "image " << n;
  }
}

const std::vector<std::string> kRecipes{"gradient",
                                        "gradient_x_input",
                                        "guided_backprop",
                                        "lrp_epsilon",
                                        "lrp_zplus",
                                        "lrp_gamma:gamma=0.5",
                                        "lrp_alpha_beta",
                                        "lrp_flat",
                                        "lrp_w2",
                                        "deep_taylor:gamma=0.25",
                                        "deep_taylor:gamma=1",
                                        "lrp_epsilon_plus",
                                        "lrp_epsilon_gamma_box",
                                        "lrp_epsilon_alpha2_beta1_flat",
                                        "lrp_epsilon:bias=ignore",
                                        "lrp_zplus:bias=ignore",
                                        "lrp_epsilon:epsilon=0.1",
                                        "deeplift"};

}  // namespace

TEST(Bounded, ExplanationsAreTheSame) {
  for (const bool biased : {false, true}) {
    const Network network = network_of(biased);
    for (const std::string& recipe : kRecipes) {
      SCOPED_TRACE(recipe + (biased ? ", biased" : ""));
      expect_same(computed(network, recipe, Convolutions::bounded_fastest).relevance,
                  computed(network, recipe, Convolutions::direct).relevance);
    }
  }
}

TEST(Bounded, WhatMayBeTransformed) {
  if (winograd::kernels() == nullptr) GTEST_SKIP() << "no transforms for this processor";
  const Network network = network_of(true);
  const auto transformed = [&](const std::string& recipe) {
    return computed(network, recipe, Convolutions::bounded_fastest).transformed;
  };
  // Every adjoint but that into the image; of the sum's operand, too, whose relevance is a multiple of it.
  EXPECT_EQ(transformed("gradient"), 3);
  EXPECT_EQ(transformed("lrp_epsilon"), 3);
  // Denominators and adjoints of the two layers behind a ReLU; what excites.
  EXPECT_EQ(transformed("lrp_zplus"), 4);
  EXPECT_EQ(transformed("lrp_alpha_beta"), 4);
  // And of the sum's operand a denominator and two adjoints.
  EXPECT_EQ(transformed("lrp_gamma"), 7);
  // The bias takes no part in denominators, which may be small where relevance is not.
  EXPECT_EQ(transformed("lrp_epsilon:bias=ignore"), 0);
  EXPECT_EQ(transformed("lrp_zplus:bias=ignore"), 0);
  EXPECT_EQ(computed(network, "gradient", Convolutions::direct).transformed, 0);
}

TEST(Bounded, ManyInputsAreExplainedAsOneIs) {
  const Network network = network_of(true);
  const Tensor x = images();
  const Ints targets(4, 1);
  Explainer explainer(network, {parse_recipe("lrp_gamma")}, {});
  const Tensor first = explainer.explain(x.rows(0, 1), std::span(targets).first(1)).relevance[0];
  Tensor last;
  // So many that transforms pay, and all is compiled once more.
  for (int i = 0; i < 40; ++i) last = explainer.explain(x, targets).relevance[0];
  expect_close(last.rows(0, 1), first, 1e-4, 1e-5);
  expect_same(last, Explainer(network, {parse_recipe("lrp_gamma")}, {}).explain(x, targets).relevance[0]);
}

}  // namespace heatproof
