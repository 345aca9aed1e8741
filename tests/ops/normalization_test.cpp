// Normalization by own statistics is recognised however it is written, and hands relevance on.
#include "ops/normalization.h"

#include <gtest/gtest.h>

#include <functional>

#include "explain/explainer.h"
#include "graph/rewrite.h"
#include "ops/arithmetic.h"
#include "ops/behaviour.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
using Form = std::function<Value(Value)>;

Value mean(Value x, Ints axes = {1}) {
  return x.builder().add(kReduceMean, {x}, {{"axes", axes}, {"keepdims", std::int64_t{1}}});
}
Value root(Value x) { return x.builder().add(kSqrt, {x}); }
Value power(Value x, double exponent) {
  return x.builder().add(kPow, {x, x.builder().fill({}, static_cast<float>(exponent))});
}
Value inverse(Value x) { return x.builder().add(kReciprocal, {x}); }
Value weights(Value x) { return x.builder().constant(random_tensor({8}, 3, 0.5, 2)); }

const std::vector<std::pair<const char*, Form>>& forms() {
  static const std::vector<std::pair<const char*, Form>> all{
      {"LayerNormalization",
       [](Value x) {
         const Value c = x - mean(x);
         return c / root(mean(c * c) + 1e-5);
       }},
      {"TorchScript",
       [](Value x) {
         const Value c = x - mean(x);
         return c / root(mean(power(c, 2)) + 1e-5);
       }},
      {"ReciprocalOfRoot",
       [](Value x) {
         const Value c = x - mean(x);
         return c * inverse(root(mean(power(c, 2)) + 1e-5));
       }},
      {"OneOverRoot",
       [](Value x) {
         const Value c = x - mean(x);
         return c * (x.builder().fill({}, 1) / root(mean(c * c) + 1e-5));
       }},
      {"RootAsPower",
       [](Value x) {
         const Value c = x - mean(x);
         return power(mean(c * c) + 1e-5, -0.5) * c;
       }},
      {"UnbiasedDeviation",
       [](Value x) {
         const Value c = x - mean(x);
         return (weights(x) * c) / (root(reduce_sum(c * c, {1}, true) / 7.0) + 1e-6);
       }},
      {"MeanOfSquaresLessSquareOfMean",
       [](Value x) {
         const Value m = mean(x);
         return (x - m) / root(mean(x * x) - m * m + 1e-5);
       }},
      {"RMSNorm", [](Value x) { return x / root(mean(x * x) + 1e-5); }},
      {"RMSNormAsProduct", [](Value x) { return x * inverse(root(mean(power(x, 2)) + 1e-5)); }},
      {"L2Norm",
       [](Value x) {
         const Value norm = root(reduce_sum(x * x, {1}, true));
         return x / expand(x.builder().add(kClip, {norm}, {{"min", 1e-12}}), x.shape());
       }},
      {"Keras",
       [](Value x) {
         const Value m = mean(x);
         const Value c = x - m;
         const Value scale = inverse(root(mean(c * c) + 1e-3)) * weights(x);
         return x * scale + (x.builder().constant(random_tensor({8}, 5)) - m * scale);
       }},
      {"KerasWithoutOffset",
       [](Value x) {
         const Value m = mean(x);
         const Value c = x - m;
         const Value scale = inverse(root(mean(c * c) + 1e-3));
         return x * scale - m * scale;
       }},
  };
  return all;
}

class Forms : public ::testing::TestWithParam<std::size_t> {
 protected:
  const Form& form() const { return forms()[GetParam()].second; }
};

}  // namespace

TEST_P(Forms, AreRecognised) {
  Builder g;
  const Value x = g.add(kRelu, {g.input("x", {DType::f32, {3, 8}})});
  const Value y = form()(x);
  EXPECT_EQ(normalized(y), x);
  EXPECT_EQ(behaviour_of(y), Behaviour::normalization);
}

TEST_P(Forms, HandRelevanceOn) {
  // v · norm(x), explained by LRP-0: the relevance of x_j is v_j norm(x)_j, affine parts and all.
  const Tensor v = random_tensor({1, 8}, 11);
  const auto network = [&](bool inside) {
    return Network([=, this](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 8}});
      const Value y = form()(x);
      g.output("y", inside ? g.add(kLinear, {y, g.constant(v)}) : y);
      return g.build();
    });
  };
  const Tensor x = random_tensor({2, 8}, 12);
  const Tensor y = network(false).predict(x);
  const Tensor r = explain_with(network(true), "lrp_0", x);
  for (std::size_t i = 0; i < 16; ++i)
    EXPECT_NEAR(r.data<float>()[i], y.data<float>()[i] * v.data<float>()[i % 8], 1e-4);
}

TEST_P(Forms, AreComputedAsTheyAreWritten) {
  const auto build = [&](Builder&, const std::vector<Value>& in) { return form()(in[0]); };
  check_derivative(build, {random_tensor({2, 8}, 12)});
}

INSTANTIATE_TEST_SUITE_P(Normalization, Forms, ::testing::Range<std::size_t>(0, forms().size()),
                         [](const auto& form) { return std::string(forms()[form.param].first); });

TEST(Normalization, IsNothingElse) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {3, 8}});
  const Value other = g.add(kLinear, {x, g.constant(random_tensor({8, 8}, 1))});
  const Value e = g.add(kExp, {x});
  EXPECT_FALSE(normalized(e / reduce_sum(e, {1}, true))) << "softmax";
  EXPECT_FALSE(normalized(x * g.add(kSigmoid, {mean(x)}))) << "a gate";
  EXPECT_FALSE(normalized(x - mean(x))) << "centering";
  EXPECT_FALSE(normalized(other / root(mean(x * x)))) << "another value's deviation";
  EXPECT_FALSE(normalized((x - mean(other)) / root(mean(x * x)))) << "another value's mean";
  EXPECT_FALSE(normalized(x / root(mean(other * other) + mean(x * x)))) << "a deviation of two values";
  EXPECT_FALSE(normalized(x / root(x * x + 1.0))) << "no statistic";
  EXPECT_FALSE(normalized(x / 3.0));
}

TEST(Normalization, OfChannelsInGroupsHandsOn) {
  // As GroupNormalization and InstanceNormalization are imported.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 4, 3, 3}});
    const Value grouped = reshape(x, {batch, 2, 18});
    const Value c = grouped - mean(grouped, {2});
    const Value y = reshape(c / root(mean(c * c, {2}) + 1e-5), x.shape());
    const Value z =
        y * g.constant(random_tensor({4, 1, 1}, 2, 0.5, 2)) + g.constant(random_tensor({4, 1, 1}, 3));
    g.output("y", g.add(kLinear, {reshape(z, {batch, 36}), g.constant(random_tensor({2, 36}, 4))}));
    return g.build();
  });
  const Tensor x = random_tensor({1, 4, 3, 3}, 5);
  const Tensor r = explain_with(network, "lrp_0", x, 1);
  EXPECT_NEAR(sum_of_row(r, 0), network.predict(x).data<float>()[1], 1e-4);
  for (const NodeRule& rule : rules_of(network, parse_recipe("lrp_0")))
    EXPECT_FALSE(rule.by_default) << rule.op;
}

}  // namespace heatproof
