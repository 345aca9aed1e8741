#include "explain/health.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

/// y = x · (k x): both factors are handed the other times the relevance, so that R = k x² becomes (k + 1) x
/// R.
Network product_network(float k) {
  return Network([k](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1}});
    const Value a = g.add(kLinear, {x, g.constant(floats({1, 1}, {1}))}, {}, "one");
    const Value b = g.add(kLinear, {x, g.constant(floats({1, 1}, {k}))}, {}, "large");
    g.output("y", g.add(kLinear, {g.add(kMul, {a, b}, {}, "product"), g.constant(floats({1, 1}, {1}))}, {},
                        "last"));
    return g.build();
  });
}

LedgerLine line(const char* node, std::vector<double> entering, std::vector<double> leaving) {
  return {node, "Op", "gradient", std::move(entering), std::move(leaving), {}, {}};
}

}  // namespace

TEST(Health, FindsAnExplosionOfKnownRatioAndItsNode) {
  const Network network = product_network(999);
  const Tensor x = floats({3, 1}, {1, 1, 1});
  const std::vector<std::int64_t> targets{0, 0, 0};
  ExplainOptions options;
  options.ledger = true;
  const Recipe recipe = parse_recipe("lrp_epsilon");
  const Explanation e = Explainer(network, {recipe}, options).explain(x, targets);
  std::vector<double> sums;
  std::vector<double> scores;
  for (std::int64_t i = 0; i < 3; ++i) {
    sums.push_back(relevance_sum(e.relevance[0].rows(i, i + 1).data<float>()));
    scores.push_back(e.logits.data<float>()[static_cast<std::size_t>(i)]);
  }
  const Health h = health_of(recipe, sums, scores);
  EXPECT_EQ(h.exploded, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_NEAR(h.ratio, 1000, 1);
  EXPECT_NEAR(h.unit, 999, 1e-3);
  const auto where = where_it_explodes(e.ledger[0], h.worst, h.unit);
  ASSERT_TRUE(where);
  EXPECT_EQ(where->node, "product");
  EXPECT_NEAR(where->factor, 1000, 1);
}

TEST(Health, AHundredTimesTheScoreOrItsMedianIsTheLimit) {
  const Recipe lrp = parse_recipe("lrp_zplus");
  EXPECT_TRUE(health_of(lrp, {99, -99}, {1, -1}).exploded.empty());
  EXPECT_EQ(health_of(lrp, {99, -101}, {1, -1}).exploded, (std::vector<std::size_t>{1}));
  // A score near zero is measured by what scores are usually.
  EXPECT_TRUE(health_of(lrp, {50, 1, 1}, {1e-6, 1, 1}).exploded.empty());
  const Health worst = health_of(lrp, {500, 1e4, 1}, {1, 1, 1});
  EXPECT_EQ(worst.worst, 1U);
  EXPECT_DOUBLE_EQ(worst.ratio, 1e4);
  // Relevance of `output=one` starts with one, whatever the score.
  EXPECT_EQ(health_of(parse_recipe("lrp_zplus:output=one"), {200}, {1000}).exploded.size(), 1U);
}

TEST(Health, OnlyMethodsThatClaimToConserveCanExplode) {
  for (const Method& m : methods()) {
    const bool lrp = m.name.starts_with("lrp_") || m.name == "deep_taylor" || m.name == "excitation_backprop";
    EXPECT_EQ(m.conserves, lrp) << m.name;
    EXPECT_EQ(health_of(parse_recipe(m.name), {1e9}, {1}).exploded.size(), lrp ? 1U : 0U) << m.name;
  }
}

TEST(Health, NamesSamplesAndNodesThatAreNotFinite) {
  EXPECT_TRUE(std::isnan(relevance_sum(std::vector<float>{1, INFINITY, -INFINITY})));
  EXPECT_TRUE(std::isnan(relevance_sum(std::vector<float>{1, INFINITY})));
  EXPECT_EQ(health_of(parse_recipe("gradient"), {1, NAN, 2}, {1, 1, INFINITY}).not_finite,
            (std::vector<std::size_t>{1, 2}));
  const std::vector<LedgerLine> ledger{line("a", {1, 1}, {1, 1}), line("b", {1, 1}, {1, NAN}),
                                       line("c", {1, NAN}, {1, NAN})};
  EXPECT_FALSE(where_finiteness_ends(ledger, 0));
  EXPECT_EQ(where_finiteness_ends(ledger, 1)->node, "b");
  EXPECT_FALSE(where_finiteness_ends({line("a", {NAN}, {NAN})}, 0));
}

TEST(Health, FindsTheFirstValueOfANetworkThatIsNotFinite) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 2}});
  const Value log = g.add(kLog, {x * 2.0}, {}, "logarithm");
  g.output("y", g.add(kLinear, {log, g.constant(floats({1, 2}, {1, 1}))}, {}, "dense"));
  const Graph graph = g.build();
  const auto where = first_value_not_finite(graph, {floats({1, 2}, {1, -1})});
  ASSERT_TRUE(where);
  EXPECT_EQ(where->node, "logarithm");
  EXPECT_FALSE(first_value_not_finite(graph, {floats({1, 2}, {1, 1})}));
}

}  // namespace heatproof
