// Arithmetic on sizes: what does not fit is an error.
#include "base/sizes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "heatproof/error.h"

namespace heatproof {

namespace {
constexpr std::int64_t kMost = INT64_MAX;
constexpr std::int64_t kLeast = INT64_MIN;
}  // namespace

TEST(Sizes, SumsAndProductsThatFit) {
  EXPECT_EQ(sizes::sum(kMost, kLeast), -1);
  EXPECT_EQ(sizes::sum(std::vector<std::int64_t>{1, 2, 3}), 6);
  EXPECT_EQ(sizes::product(std::int64_t{1} << 31, std::int64_t{1} << 31), std::int64_t{1} << 62);
  EXPECT_EQ(sizes::product(std::vector<std::int64_t>{}), 1);
  EXPECT_EQ(sizes::product(std::vector<std::int64_t>{4, 0, 5}), 0);
}

TEST(Sizes, SumsAndProductsThatDoNotFit) {
  EXPECT_THROW(sizes::sum(kMost, 1), Error);
  EXPECT_THROW(sizes::sum(kLeast, -1), Error);
  EXPECT_THROW(sizes::sum(std::vector<std::int64_t>{kMost, kMost, 2}), Error);
  EXPECT_THROW(sizes::product(std::int64_t{1} << 32, std::int64_t{1} << 32), Error);  // wraps to 0
  EXPECT_THROW(sizes::product(kLeast, -1), Error);
  EXPECT_THROW(sizes::product(std::vector<std::int64_t>{65536, 65536, 65536, 65536}), Error);
}

TEST(Sizes, QuotientsAreRoundedUpWithoutAnOverflow) {
  EXPECT_EQ(sizes::quotient_up(0, 3), 0);
  EXPECT_EQ(sizes::quotient_up(6, 3), 2);
  EXPECT_EQ(sizes::quotient_up(7, 3), 3);
  EXPECT_EQ(sizes::quotient_up(5, kMost), 1);
  EXPECT_EQ(sizes::quotient_up(kMost, 2), kMost / 2 + 1);
  EXPECT_THROW(sizes::quotient_up(1, 0), Error);
  EXPECT_THROW(sizes::quotient_up(1, kLeast), Error);
}

TEST(Sizes, WindowsSpanTheirTaps) {
  EXPECT_EQ(sizes::extent(3, 1), 3);
  EXPECT_EQ(sizes::extent(3, 4), 9);
  EXPECT_EQ(sizes::extent(1, kMost), 1);
  EXPECT_THROW(sizes::extent(kMost, 2), Error);
  EXPECT_THROW(sizes::extent(3, kMost), Error);
  EXPECT_THROW(sizes::extent(kLeast, 1), Error);
}

TEST(Sizes, NumbersThatAreNoIntegers) {
  EXPECT_EQ(sizes::whole(-3.7), -3);
  for (double v : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 9.3e18})
    EXPECT_THROW(sizes::whole(v), Error) << v;
}

TEST(Sizes, ShapesOfValues) {
  EXPECT_NO_THROW(sizes::check({8, 3, 224, 224}));
  EXPECT_NO_THROW(sizes::check(Shape(kMostAxes, 1)));
  EXPECT_THROW(sizes::check(Shape(kMostAxes + 1, 1)), Error);
  EXPECT_THROW(sizes::check({1, -1}), Error);
  EXPECT_THROW(sizes::check({std::int64_t{1} << 32, std::int64_t{1} << 32}), Error);
  // What is empty may not hide lengths whose products overflow.
  EXPECT_THROW(sizes::check({0, kMost, kMost}), Error);
  EXPECT_EQ(Shape({3, 0, 5}).elements(), 0);
  EXPECT_TRUE(sizes::is_within({2, 3}, 6));
  EXPECT_FALSE(sizes::is_within({2, 4}, 6));
  EXPECT_FALSE(sizes::is_within({2, -4}, 6));
}

TEST(Sizes, ListsAreShortened) {
  EXPECT_EQ(sizes::text(std::vector<std::int64_t>{1, 2, 3}), "1, 2, 3");
  const std::vector<std::int64_t> many(1000, 7);
  EXPECT_LT(sizes::text(many).size(), 60U);
  EXPECT_NE(sizes::text(many).find("1000 numbers"), std::string::npos);
  EXPECT_LT(to_string(Shape(64, 1'000'000)).size(), 80U);
}

}  // namespace heatproof
