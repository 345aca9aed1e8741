#include "select/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/random.h"
#include "select/shares.h"

namespace heatproof {

namespace {

std::vector<double> normals(std::size_t n, double mean, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<double> v;
  for (std::size_t i = 0; i < n; ++i) v.push_back(mean + random.normal());
  return v;
}

}  // namespace

TEST(Bootstrap, IntervalsCoverTheMeanAsOftenAsTheySay) {
  // Of few values, too, and nearly where they are skewed (exponential, log-normal) or only 0 and 1.
  constexpr int kTrials = 500;
  for (const std::size_t n : {2, 4, 8, 40}) {
    const Bootstrap bootstrap(n, 1, 500);
    std::map<std::string, int> hits;
    for (int t = 0; t < kTrials; ++t) {
      RandomStream random(static_cast<std::uint64_t>(t), {"coverage"});
      const auto cover = [&](const std::string& name, double mean, const auto& draw) {
        std::vector<double> values;
        for (std::size_t i = 0; i < n; ++i) values.push_back(draw());
        const Interval i = interval_of(bootstrap, values, are_shares({values}));
        hits[name] += i.low <= mean && mean <= i.high;
        EXPECT_LT(i.low, i.high);
      };
      cover("normal", 3, [&] { return 3 + random.normal(); });
      cover("exponential", 1, [&] { return -std::log(1 - random.uniform()); });
      cover("log-normal", std::exp(0.5), [&] { return std::exp(random.normal()); });
      cover("seldom 0", 0.9, [&] { return random.uniform() < 0.9 ? 1.0 : 0.0; });
    }
    const auto rate = [&](const std::string& name) { return hits[name] / static_cast<double>(kTrials); };
    EXPECT_NEAR(rate("normal"), 0.955, 0.025) << n;
    EXPECT_GT(rate("exponential"), 0.89) << n;
    EXPECT_GT(rate("log-normal"), 0.85) << n;  // Student's alone: 0.79 to 0.85
    EXPECT_GT(rate("seldom 0"), 0.95) << n;    // and 0.18 to 0.82 of these
  }
}

TEST(Bootstrap, GivesNoIntervalOfEqualValues) {
  const Interval equal = Bootstrap(4, 0).interval({0.3, 0.3, 0.3, 0.3});
  EXPECT_EQ(equal.mean, 0.3);
  EXPECT_TRUE(std::isnan(equal.low) && std::isnan(equal.high) && equal.rough);
  EXPECT_TRUE(std::isnan(Bootstrap(4, 0).interval({1, 1, 1, 1}).low));
  // Of shares, four hits say little. 0.025^(1/4).
  EXPECT_NEAR(interval_of(Bootstrap(4, 0), {1, 1, 1, 1}, true).low, 0.3976, 1e-4);
  EXPECT_EQ(interval_of(Bootstrap(4, 0), {1, 1, 1, 1}, true).high, 1);
}

TEST(Bootstrap, GivesNoIntervalOfWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(Bootstrap(3, 0).interval({1, NAN, 2}).low));
  EXPECT_TRUE(std::isnan(Bootstrap(3, 0).interval({1, INFINITY, 2}).low));
}

TEST(Bootstrap, IntervalsOfFewValuesAreRough) {
  EXPECT_LT(Bootstrap(2, 0).interval({1, 2}).low, 0);
  EXPECT_TRUE(Bootstrap(2, 0).interval({1, 2}).rough);
  EXPECT_TRUE(Bootstrap(31, 0).interval(normals(31, 0, 1)).rough);
  EXPECT_FALSE(Bootstrap(32, 0).interval(normals(32, 0, 1)).rough);
}

TEST(Bootstrap, IntervalsMoveAndGrowWithTheValues) {
  const auto v = normals(12, 0, 7);
  const Interval one = Bootstrap(12, 0).interval(v);
  std::vector<double> other;
  for (double x : v) other.push_back(5 - 2 * x);
  const Interval two = Bootstrap(12, 0).interval(other);
  EXPECT_NEAR(two.low, 5 - 2 * one.high, 1e-9);
  EXPECT_NEAR(two.high, 5 - 2 * one.low, 1e-9);
}

TEST(Student, AsInTables) {
  EXPECT_NEAR(student_quantile(2), 12.706, 1e-3);
  EXPECT_NEAR(student_quantile(3), 4.303, 1e-3);
  EXPECT_NEAR(student_quantile(8), 2.365, 1e-3);
  EXPECT_NEAR(student_quantile(31), 2.042, 1e-3);
  EXPECT_NEAR(student_cdf(-1, 2), 0.25, 1e-12);
}

TEST(Bootstrap, EqualSeedsGiveEqualIntervals) {
  auto v = normals(20, 0, 5);
  for (double& x : v)
    x = std::exp(2 * x);  // skewed, so that Student's interval is not the wider on the right
  EXPECT_EQ(Bootstrap(20, 3).interval(v).high, Bootstrap(20, 3).interval(v).high);
  EXPECT_NE(Bootstrap(20, 3).interval(v).high, Bootstrap(20, 4).interval(v).high);
  EXPECT_TRUE(std::isnan(Bootstrap(1, 3).interval({1}).low));
}

TEST(Median, LiesBetweenOrderStatistics) {
  // Of 12 values the third and the tenth: 1 - 2 P(at most 2 heads of 12) = 96 %.
  const Interval i = median_of({12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  EXPECT_EQ(i.mean, 6.5);
  EXPECT_EQ(i.low, 3);
  EXPECT_EQ(i.high, 10);
  EXPECT_TRUE(std::isnan(median_of({1, 2, 3, 4, 5}).low));
  EXPECT_EQ(median_of({1, 2, 3, 4, 5, 6}).low, 1);
}

TEST(Share, WilsonByHand) {
  const Interval i = share_of(10, 10);
  EXPECT_EQ(i.mean, 1);
  EXPECT_NEAR(i.low, 0.7225, 1e-4);
  EXPECT_NEAR(share_of(5, 10).low, 0.2366, 1e-4);
}

TEST(Share, ClopperAndPearsonByHand) {
  // All of n: p^n = 0.025. One of two: 1 − (1 − p)² = 0.025.
  EXPECT_NEAR(exact_share_of(10, 10).low, std::pow(0.025, 0.1), 1e-9);
  EXPECT_NEAR(exact_share_of(1, 2).low, 1 - std::sqrt(0.975), 1e-9);
  EXPECT_NEAR(exact_share_of(1, 2).high, std::sqrt(0.975), 1e-9);
  EXPECT_EQ(exact_share_of(0, 3).low, 0);
}

TEST(KendallTau, ByHand) {
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {10, 20, 30}), 1);
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {3, 2, 1}), -1);
  EXPECT_NEAR(kendall_tau({1, 2, 3, 4}, {1, 3, 2, 4}), 4.0 / 6, 1e-12);
  EXPECT_TRUE(std::isnan(kendall_tau({1, 1}, {1, 2})));
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, NAN, 3}, {1, 2, 5, 3}), 1);  // of the others
}

TEST(EffectSize, ByHand) { EXPECT_NEAR(effect_size({1, 2, 3}), 2, 1e-12); }

}  // namespace heatproof
