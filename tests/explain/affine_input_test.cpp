// Affine operators before the first layer explain as if they were folded into it.
#include "explain/affine_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
using Affine = std::function<Value(Value)>;

/// scale · x + shift per channel, as something that a test writes in its own way.
struct Normalisation {
  Affine apply;
  std::vector<float> scale, shift;
};

constexpr const char* kRecipes[] = {"deep_taylor",
                                    "deep_taylor:low=-1,high=2,gamma=0.3",
                                    "lrp_epsilon_gamma_box:low=-0.5,high=1.5",
                                    "lrp_epsilon_plus",
                                    "lrp_epsilon_plus_flat",
                                    "lrp_zplus:bias=ignore",
                                    "lrp_alpha_beta",
                                    "lrp_gamma",
                                    "lrp_w2",
                                    "lrp_0",
                                    "lrp_0:bias=ignore"};

/// Two networks must explain alike; the first has the affine operators.
void expect_alike(const Network& a, const Network& b, const Tensor& x) {
  EXPECT_LT(deviation(a.predict(x), b.predict(x)), 1e-5);
  for (const char* recipe : kRecipes)
    EXPECT_LT(deviation(explain_with(a, recipe, x, 1), explain_with(b, recipe, x, 1)), 1e-4) << recipe;
}

/// relu(Conv) → relu → Linear over x [N, channels, 5, 5]; the convolution in groups.
Network convolutional(const Affine& before, Tensor w, Tensor b, std::int64_t channels, std::int64_t group) {
  return Network([=](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, channels, 5, 5}});
    const Value h =
        g.add(kRelu, {g.add(kConv, {before(x), g.constant(w), g.constant(b)}, {{"group", group}})});
    const std::int64_t n = h.shape().elements() / batch;
    g.output("y", g.add(kLinear, {reshape(h, {batch, n}), g.constant(random_tensor({3, n}, 4))}));
    return g.build();
  });
}

/// Weights [out, in / group, 3, 3] and bias with scale and shift folded in.
std::pair<Tensor, Tensor> folded(const Tensor& w, const Tensor& b, const Normalisation& n,
                                 std::int64_t group) {
  Tensor v = w.clone();
  Tensor c = b.clone();
  const std::int64_t outputs = w.shape()[0];
  const std::int64_t inputs = w.shape()[1];
  for (std::int64_t o = 0; o < outputs; ++o) {
    double shift = 0;
    for (std::int64_t i = 0; i < inputs; ++i) {
      const auto channel = static_cast<std::size_t>(o / (outputs / group) * inputs + i);
      for (std::int64_t k = 0; k < 9; ++k) {
        float& weight = v.data<float>()[static_cast<std::size_t>((o * inputs + i) * 9 + k)];
        shift += static_cast<double>(weight) * n.shift[channel];
        weight *= n.scale[channel];
      }
    }
    c.data<float>()[static_cast<std::size_t>(o)] += static_cast<float>(shift);
  }
  return {v, c};
}

void expect_folded(const Normalisation& n, std::int64_t group = 1, std::int64_t channels = 3) {
  const Tensor w = random_tensor({6, channels / group, 3, 3}, 7);
  const Tensor b = random_tensor({6}, 8, -0.5, 0.5);
  const auto [v, c] = folded(w, b, n, group);
  expect_alike(convolutional(n.apply, w, b, channels, group),
               convolutional([](Value x) { return x; }, v, c, channels, group),
               random_tensor({2, channels, 5, 5}, 9, 0, 1));
}

Value channels(Value x, std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return x.builder().constant(floats({1, n, 1, 1}, values));
}

}  // namespace

TEST(AffineInput, MeanAndDeviationAreFolded) {
  expect_folded({[](Value x) {
                   return (x - channels(x, {0.485F, 0.456F, 0.406F})) / channels(x, {0.229F, 0.224F, 0.225F});
                 },
                 {1 / 0.229F, 1 / 0.224F, 1 / 0.225F},
                 {-0.485F / 0.229F, -0.456F / 0.224F, -0.406F / 0.225F}});
}

TEST(AffineInput, ScalarsAreFolded) {
  expect_folded({[](Value x) { return x / 255.0; }, {1 / 255.0F, 1 / 255.0F, 1 / 255.0F}, {0, 0, 0}});
  expect_folded({[](Value x) { return x * 2.0 - 1.0; }, {2, 2, 2}, {-1, -1, -1}});
}

TEST(AffineInput, NegativeScalesTurnTheBox) {
  expect_folded({[](Value x) { return 1.0 - 2.0 * x; }, {-2, -2, -2}, {1, 1, 1}});
  expect_folded({[](Value x) {
                   return -(x - 0.3) * channels(x, {2, -1, 0.5F});
                 },
                 {-2, 1, -0.5F},
                 {0.6F, -0.3F, 0.15F}});
}

TEST(AffineInput, BatchNormalizationIsFolded) {
  expect_folded({[](Value x) {
                   Builder& g = x.builder();
                   return g.add(kBatchNormalization, {x, g.constant(floats({3}, {2, -1.5F, 0.3F})),
                                                      g.constant(floats({3}, {0.1F, 0.2F, -0.4F}))});
                 },
                 {2, -1.5F, 0.3F},
                 {0.1F, 0.2F, -0.4F}});
}

TEST(AffineInput, GroupsAreFolded) {
  expect_folded({[](Value x) {
                   return (x - 0.5) * channels(x, {2, 3, -1});
                 },
                 {2, 3, -1},
                 {-1, -1.5F, 0.5F}},
                3);
  expect_folded({[](Value x) {
                   return (x - 0.5) * channels(x, {2, 3, -1, 4});
                 },
                 {2, 3, -1, 4},
                 {-1, -1.5F, 0.5F, -2}},
                2, 4);
}

TEST(AffineInput, ChannelsMayBeNormalisedOneByOne) {
  // As torchvision's Inception does, in another order.
  const auto one = [](Value x, std::int64_t c, double scale, double shift) {
    return x.builder().add(kSlice, {x},
                           {{"starts", Ints{0, c, 0, 0}},
                            {"ends", Ints{x.shape()[0], c + 1, 5, 5}},
                            {"steps", Ints{1, 1, 1, 1}}}) *
               scale +
           shift;
  };
  expect_folded({[&](Value x) {
                   return x.builder().add(kConcat, {one(x, 0, 0.5, 1), one(x, 1, 2, 0), one(x, 2, -1, 0.25)},
                                          {{"axis", std::int64_t{1}}});
                 },
                 {0.5F, 2, -1},
                 {1, 0, 0.25F}});
}

TEST(AffineInput, ChannelsLastAndFlattenedInputsAreFolded) {
  // (x [N, 2, 2, 3] − m) / s, then NCHW, flattened, Linear; by hand: weights in the input's own order.
  const std::vector<float> mean{0.5F, 0.4F, 0.3F};
  const std::vector<float> deviation{0.2F, -0.25F, 0.5F};
  const Tensor w = random_tensor({4, 12}, 3);
  const Tensor b = random_tensor({4}, 5);
  Tensor v = w.clone();
  Tensor c = b.clone();
  for (std::size_t o = 0; o < 4; ++o) {
    for (std::size_t i = 0; i < 12; ++i) {
      const float weight = w.data<float>()[o * 12 + i % 3 * 4 + i / 3];
      v.data<float>()[o * 12 + i] = weight / deviation[i % 3];
      c.data<float>()[o] -= weight * mean[i % 3] / deviation[i % 3];
    }
  }
  const auto network = [](auto features, Tensor weights, Tensor bias) {
    return Network([=](std::int64_t batch) {
      Builder g;
      const Value f = features(g.input("x", {DType::f32, {batch, 2, 2, 3}}));
      const Value h = g.add(kRelu, {g.add(kLinear, {f, g.constant(weights), g.constant(bias)})});
      g.output("y", g.add(kLinear, {h, g.constant(random_tensor({2, 4}, 6))}));
      return g.build();
    });
  };
  const auto flat = [](Value x) { return reshape(x, {x.shape()[0], 12}); };
  expect_alike(network(
                   [=](Value x) {
                     Builder& g = x.builder();
                     const Value n = (x - g.constant(floats({3}, mean))) / g.constant(floats({3}, deviation));
                     return flat(transpose(n, {0, 3, 1, 2}));
                   },
                   w, b),
               network(flat, v, c), random_tensor({2, 2, 2, 3}, 9, 0, 1));
}

TEST(AffineInput, AMeanImageIsABiasPerPosition) {
  // x − m with another m at each position: LRP-0 without the bias is x · Σ w over all outputs that are
  // summed.
  const Tensor image = random_tensor({1, 3, 5, 5}, 21);
  const Tensor w = random_tensor({6, 3, 3, 3}, 7);
  const Tensor none = Tensor::zeros(DType::f32, {6});
  const Tensor x = random_tensor({1, 3, 5, 5}, 9, 0, 1);
  const Network with = convolutional([=](Value v) { return v - v.builder().constant(image); }, w, none, 3, 1);
  const Tensor r = explain_with(with, "lrp_0", x, 1);
  const Tensor g = explain_with(with, "gradient_x_input", x, 1);
  EXPECT_LT(deviation(r, g), 1e-4);
}

TEST(AffineInput, ZeroPaddingSeesNormalisedValues) {
  // Conv of 3 taps with padding over 2 (x − 0.5), its results added up; by hand.
  const std::vector<double> x{0.9, 0.1, 0.7, 0.4};
  const std::vector<double> w{1.0, -0.5, 0.25};
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value v = g.input("x", {DType::f32, {batch, 1, 4}});
    const Value z = g.add(kConv, {(v - 0.5) * 2.0, g.constant(floats({1, 1, 3}, {1, -0.5F, 0.25F}))},
                          {{"pads", Ints{1, 1}}, {"strides", Ints{1}}, {"dilations", Ints{1}}});
    g.output("y", reduce_sum(z, {1, 2}, false) * g.fill({batch}, 1));
    return g.build();
  });
  std::vector<double> zplus(4, 0);
  std::vector<double> zero(4, 0);
  for (int k = 0; k < 4; ++k) {
    double z = 0;
    double excitation = 0;
    double shift = 0;
    for (int t = 0; t < 3; ++t) {
      const int j = k + t - 1;
      if (j < 0 || j > 3) continue;
      const auto at = static_cast<std::size_t>(t);
      z += 2 * (x[static_cast<std::size_t>(j)] - 0.5) * w[at];
      excitation += std::max(0.0, 2 * w[at]) * x[static_cast<std::size_t>(j)];
      shift -= w[at];
    }
    excitation += std::max(0.0, shift);
    for (int t = 0; t < 3; ++t) {
      const int j = k + t - 1;
      if (j < 0 || j > 3) continue;
      const auto from = static_cast<std::size_t>(j);
      zplus[from] += x[from] * std::max(0.0, 2 * w[static_cast<std::size_t>(t)]) / excitation * z;
      zero[from] += x[from] * 2 * w[static_cast<std::size_t>(t)];
    }
  }
  const Tensor input = floats({1, 1, 4}, {0.9F, 0.1F, 0.7F, 0.4F});
  const Tensor a = explain_with(network, "lrp_zplus", input);
  const Tensor b = explain_with(network, "lrp_0", input);
  for (std::size_t j = 0; j < 4; ++j) {
    EXPECT_NEAR(a.data<float>()[j], zplus[j], 1e-4);
    EXPECT_NEAR(b.data<float>()[j], zero[j], 1e-4);
  }
}

TEST(AffineInput, OfPositionsScalesTheBoxInstead) {
  // A scale per position cannot be folded into a convolution: its rule sees scaled values in the scaled box,
  // and hands relevance on unchanged.
  const Tensor scale = random_tensor({1, 3, 5, 5}, 31, -2, 2);
  const Tensor w = random_tensor({6, 3, 3, 3}, 7);
  const Tensor b = random_tensor({6}, 8);
  const Tensor x = random_tensor({1, 3, 5, 5}, 9, 0, 1);
  const Network with = convolutional([=](Value v) { return v * v.builder().constant(scale); }, w, b, 3, 1);
  const Network without = convolutional([](Value v) { return v; }, w, b, 3, 1);
  Tensor scaled = x.clone();
  for (std::size_t i = 0; i < 75; ++i) scaled.data<float>()[i] *= scale.data<float>()[i];
  EXPECT_LT(deviation(explain_with(with, "lrp_zplus", x, 1), explain_with(without, "lrp_zplus", scaled, 1)),
            1e-5);
  Builder g;
  const Value v = g.input("x", {DType::f32, {1, 3, 5, 5}});
  const Value s = g.constant(scale);
  const AffineImages images(v, g.fill({}, 0), g.fill({}, 1), v * s);
  const auto [low, high] = images.box(v * s, false);
  g.output("low", expand(low, scale.shape()));
  g.output("high", expand(high, scale.shape()));
  const auto box = Workspace(compile(g.build())).run({x});
  for (std::size_t i = 0; i < 75; ++i) {
    EXPECT_FLOAT_EQ(box[0].data<float>()[i], std::min(0.0F, scale.data<float>()[i]));
    EXPECT_FLOAT_EQ(box[1].data<float>()[i], std::max(0.0F, scale.data<float>()[i]));
  }
}

TEST(AffineInput, TheFirstLayerIsTheOneBehind) {
  const Network network = convolutional([](Value x) { return (x - 0.5) / 0.25; },
                                        random_tensor({6, 3, 3, 3}, 7), random_tensor({6}, 8), 3, 1);
  const auto rules = rules_of(network, parse_recipe("deep_taylor"));
  ASSERT_GE(rules.size(), 3U);
  EXPECT_EQ(rules[0].op, "Sub");
  EXPECT_EQ(rules[0].rule, "");
  EXPECT_EQ(rules[1].op, "Div");
  EXPECT_EQ(rules[2].op, "Conv");
  EXPECT_TRUE(rules[2].rule.starts_with("zbox")) << rules[2].rule;
}

// Bounds that nothing reaches change nothing, wherever they stand: the box goes through them.
TEST(AffineInput, BoxesPassBounds) {
  const Tensor w = random_tensor({6, 3, 3, 3}, 1);
  const Tensor b = random_tensor({6}, 2);
  const Tensor x = random_tensor({2, 3, 5, 5}, 3, 0, 1);
  const auto bounded = [](Value v) { return v.builder().add(kClip, {v}, {{"min", -100.0}, {"max", 100.0}}); };
  const Network plain = convolutional([](Value v) { return (v - 0.5) / 0.25; }, w, b, 3, 1);
  const Network before = convolutional([&](Value v) { return (bounded(v) - 0.5) / 0.25; }, w, b, 3, 1);
  const Network behind = convolutional([&](Value v) { return bounded((v - 0.5) / 0.25); }, w, b, 3, 1);
  const Network turned = convolutional([&](Value v) { return bounded((v - 0.5) / -0.25); }, w, b, 3, 1);
  const Network negative = convolutional([](Value v) { return (v - 0.5) / -0.25; }, w, b, 3, 1);
  for (const char* recipe : {"deep_taylor:bias=ignore", "deep_taylor:low=-1,high=2,gamma=0.3,bias=ignore"}) {
    const Tensor right = explain_with(plain, recipe, x, 1);
    EXPECT_LT(deviation(explain_with(before, recipe, x, 1), right), 1e-4) << recipe;
    EXPECT_LT(deviation(explain_with(behind, recipe, x, 1), right), 1e-4) << recipe;
    EXPECT_LT(deviation(explain_with(turned, recipe, x, 1), explain_with(negative, recipe, x, 1)), 1e-4)
        << recipe;
  }
}

}  // namespace heatproof
