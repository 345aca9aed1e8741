#include "select/reliability.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace heatproof {

namespace {

using Table = std::vector<std::vector<double>>;  // [recipe][image]

/// Scores whose means differ by `step` from recipe to recipe, with normal noise.
Table table(double step, std::size_t recipes, std::size_t images) {
  RandomStream random(5);
  Table scores(recipes, std::vector<double>(images));
  for (std::size_t r = 0; r < recipes; ++r) {
    for (double& v : scores[r]) v = step * static_cast<double>(r) + random.normal();
  }
  return scores;
}

}  // namespace

TEST(KrippendorffAlpha, ByHand) {
  EXPECT_DOUBLE_EQ(krippendorff_alpha({{1, 1}, {2, 2}, {3, 3}}), 1);
  // Two units, two raters who contradict each other: observed 1, expected 2 · Σ(v − 1.5)² / 3 = 2/3 · 1.
  EXPECT_DOUBLE_EQ(krippendorff_alpha({{1, 2}, {2, 1}}), 1 - (1.0 / 2) / (1.0 / 3));
  EXPECT_TRUE(std::isnan(krippendorff_alpha({{1, 1}, {1, 1}})));
  EXPECT_TRUE(std::isnan(krippendorff_alpha({{1}, {2}})));
}

TEST(Reliability, IsHighWhereImagesAgreeAndZeroWhereTheyDoNot) {
  const Reliability sure = reliability_of(table(10, 6, 20), {1, 2, 3, 4, 5}, 0, 0);
  EXPECT_NEAR(sure.between_images, 1, 0.01);
  EXPECT_NEAR(sure.split_half, 1, 0.01);
  EXPECT_NEAR(sure.above_random, 1, 0.01);
  const Reliability noise = reliability_of(table(0, 6, 200), {1, 2, 3, 4, 5}, 0, 0);
  EXPECT_NEAR(noise.between_images, 0, 0.05);
  EXPECT_LT(std::fabs(noise.split_half), 0.5);
  EXPECT_NEAR(noise.above_random, 0.5, 0.06);
}

TEST(Reliability, IsUnknownWhereItCannotBeMeasured) {
  EXPECT_TRUE(std::isnan(reliability_of(table(1, 3, 5), {0, 1, 2}, std::nullopt, 0).above_random));
  EXPECT_TRUE(std::isnan(reliability_of(table(1, 3, 3), {0, 1, 2}, std::nullopt, 0).split_half));
  EXPECT_TRUE(std::isnan(reliability_of(table(1, 1, 9), {0}, std::nullopt, 0).between_images));
  Table failed = table(10, 3, 9);
  failed[1][4] = NAN;
  EXPECT_TRUE(std::isnan(reliability_of(failed, {1, 2}, 0, 0).between_images));
  EXPECT_NEAR(reliability_of(failed, {1, 2}, 0, 0).between_images_with_controls, 1,
              1e-9);  // of the other two
}

TEST(Reliability, LeavesTheControlsOut) {
  // Five explanations without any difference, and a control that is far below: that it is last on every image
  // says nothing of the explanations.
  Table scores = table(0, 6, 60);
  for (double& v : scores[0]) v -= 50;
  const Reliability r = reliability_of(scores, {1, 2, 3, 4, 5}, 0, 0);
  EXPECT_NEAR(r.between_images, 0, 0.06);
  EXPECT_GT(r.between_images_with_controls, 0.3);
  EXPECT_LT(r.split_half, r.split_half_with_controls);
}

TEST(OrderAgreement, IsKendallsTauOfTheMeans) {
  const Table a = table(10, 5, 12);
  Table opposite = a;
  for (auto& row : opposite) {
    for (double& v : row) v = -v;
  }
  EXPECT_DOUBLE_EQ(order_agreement(a, a, 0).mean, 1);
  EXPECT_DOUBLE_EQ(order_agreement(a, opposite, 0).mean, -1);
  const Interval unsure = order_agreement(table(0.3, 6, 8), table(0, 6, 8), 0);
  EXPECT_LT(unsure.low, unsure.high);
}

TEST(Variants, AreDeclaredOrHalvedAndDoubled) {
  std::vector<std::string> texts;
  for (const MetricSpec& m : variants_of(parse_metric("pixel_flipping:imputer=mean")))
    texts.push_back(m.text);
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "pixel_flipping:imputer=local_mean", "pixel_flipping:imputer=black",
                       "pixel_flipping:patch=8,imputer=mean", "pixel_flipping:steps=28,imputer=mean",
                       "pixel_flipping:imputer=mean,score=probability"}));
  texts.clear();
  for (const MetricSpec& m : variants_of(parse_metric("road"))) texts.push_back(m.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"road:first=2", "road:every=1", "road:every=4",
                                             "road:noise=0.005", "road:noise=0.02"}));
  EXPECT_TRUE(variants_of(parse_metric("conservation")).empty());
}

}  // namespace heatproof
