#include "select/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

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
  // Of few values, too, and where they are skewed (exponential); the percentile bootstrap alone has 51 % for
  // two normal values, 80 % for four, 88 % for eight.
  constexpr int kTrials = 600;
  for (const std::size_t n : {2, 4, 8, 40}) {
    const Bootstrap bootstrap(n, 1, 500);
    int normal = 0;
    int skewed = 0;
    for (int t = 0; t < kTrials; ++t) {
      std::vector<double> values = normals(n, 3, static_cast<std::uint64_t>(t));
      const Interval i = bootstrap.interval(values);
      normal += i.low <= 3 && 3 <= i.high;
      RandomStream random(static_cast<std::uint64_t>(t), {"skewed"});
      for (double& v : values) v = -std::log(1 - random.uniform());
      const Interval j = bootstrap.interval(values);
      skewed += j.low <= 1 && 1 <= j.high;
    }
    EXPECT_NEAR(normal / static_cast<double>(kTrials), 0.95, 0.025) << n;
    EXPECT_GT(skewed / static_cast<double>(kTrials), 0.87) << n;
  }
}

TEST(Bootstrap, TwoImagesProveLittle) {
  EXPECT_GT(Bootstrap(2, 0).p_not_positive({1, 2}), 0.05);
  EXPECT_LT(Bootstrap(2, 0).interval({1, 2}).low, 0);
  EXPECT_EQ(Bootstrap(1, 0).p_not_positive({1}), 1);
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

TEST(Holm, ByHand) {
  // Sorted 0.01, 0.03, 0.04 times 3, 2, 1, made monotone.
  const auto p = holm({0.04, 0.01, 0.03});
  EXPECT_DOUBLE_EQ(p[1], 0.03);
  EXPECT_DOUBLE_EQ(p[2], 0.06);
  EXPECT_DOUBLE_EQ(p[0], 0.06);
  EXPECT_DOUBLE_EQ(holm({0.9, 0.8})[0], 1);
}

TEST(KendallTau, ByHand) {
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {10, 20, 30}), 1);
  EXPECT_DOUBLE_EQ(kendall_tau({1, 2, 3}, {3, 2, 1}), -1);
  EXPECT_NEAR(kendall_tau({1, 2, 3, 4}, {1, 3, 2, 4}), 4.0 / 6, 1e-12);
  EXPECT_TRUE(std::isnan(kendall_tau({1, 1}, {1, 2})));
}

TEST(EffectSize, ByHand) { EXPECT_NEAR(effect_size({1, 2, 3}), 2, 1e-12); }

TEST(Rank, FindsTheBestAndWhatCannotBeToldFromIt) {
  const auto base = normals(60, 0, 1);
  const auto shifted = [&](double by, std::uint64_t seed) {
    auto noise = normals(60, 0, seed);
    for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = base[i] + by + 0.1 * noise[i];
    return noise;
  };
  auto failed = shifted(9, 5);
  failed[7] = NAN;
  const auto ranking = rank({shifted(0, 2), shifted(1, 3), shifted(1.001, 4), failed}, 0);
  EXPECT_TRUE(ranking[0].recipe == 1 || ranking[0].recipe == 2);
  EXPECT_TRUE(ranking[0].in_best_set && ranking[1].in_best_set);
  EXPECT_EQ(ranking[2].recipe, 0U);
  EXPECT_FALSE(ranking[2].in_best_set);
  EXPECT_LT(ranking[2].p, 0.01);
  EXPECT_TRUE(ranking[3].failed);
  EXPECT_FALSE(ranking[3].in_best_set);
}

TEST(Rank, EqualScoresAreNotToldApart) {
  const auto v = normals(30, 0, 1);
  for (const Ranked& r : rank({v, v, v}, 0)) EXPECT_TRUE(r.in_best_set);
}

TEST(Rank, FalseAlarmsAreRare) {
  // Five recipes without any difference: the best set should nearly always hold all of them.
  int alarms = 0;
  for (std::uint64_t t = 0; t < 40; ++t) {
    std::vector<std::vector<double>> scores;
    for (std::uint64_t r = 0; r < 5; ++r) scores.push_back(normals(40, 0, 1000 * t + r));
    for (const Ranked& r : rank(scores, t)) alarms += !r.in_best_set;
  }
  // The winner is picked by its luck, so that the rate is somewhat above the nominal 5 % per family.
  EXPECT_LT(alarms, 40);
}

}  // namespace heatproof
