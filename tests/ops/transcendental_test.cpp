#include "ops/transcendental.h"

#include <gtest/gtest.h>

#include <limits>

namespace heatproof {

namespace {

struct Case {
  const char* name;
  float (*ours)(float);
  double (*reference)(double);
  float low, high;
};

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

const std::vector<Case>& cases() {
  namespace t = transcendental;
  static const std::vector<Case> all = {
      {"exp", t::exp, [](double x) { return std::exp(x); }, -105, 89},
      {"expm1", t::expm1, [](double x) { return std::expm1(x); }, -100, 89},
      {"tanh", t::tanh, [](double x) { return std::tanh(x); }, -12, 12},
      {"sigmoid", t::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -87, 30},
      {"softplus", t::softplus, softplus, -87, 100},
      {"mish", t::mish, [](double x) { return x * std::tanh(softplus(x)); }, -80, 100},
      {"erf", t::erf, [](double x) { return std::erf(x); }, -5, 5},
  };
  return all;
}

/// Difference in units of the last place of the right result, of which denormal numbers have larger ones.
double units(float y, double right) {
  const auto rounded = static_cast<float>(right);
  if (std::isinf(rounded)) return y == rounded ? 0 : 1e9;
  const double least = std::ldexp(1.0, -149);
  if (rounded == 0) return std::fabs(y) / least;
  return std::fabs(y - right) / std::max(std::ldexp(1.0, std::ilogb(rounded) - 23), least);
}

}  // namespace

TEST(Transcendental, IsRightToAFewUnitsInTheLastPlace) {
  constexpr int kSteps = 40000;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    for (const float scale : {1.0F, 0.02F, 1e-4F, 1e-10F}) {
      for (int i = 0; i <= kSteps; ++i) {
        const float x = scale * (c.low + (c.high - c.low) * static_cast<float>(i) / kSteps);
        ASSERT_LT(units(c.ours(x), c.reference(static_cast<double>(x))), 5) << "of " << x;
      }
    }
  }
}

TEST(Transcendental, AtTheEndsOfTheRange) {
  namespace t = transcendental;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(t::exp(kInfinity), kInfinity);
  EXPECT_EQ(t::exp(-kInfinity), 0);
  EXPECT_EQ(t::exp(88.73F), kInfinity);
  EXPECT_EQ(t::expm1(-kInfinity), -1);
  EXPECT_EQ(t::expm1(kInfinity), kInfinity);
  EXPECT_EQ(t::tanh(-kInfinity), -1);
  EXPECT_EQ(t::sigmoid(-kInfinity), 0);
  EXPECT_EQ(t::sigmoid(kInfinity), 1);
  EXPECT_EQ(t::softplus(kInfinity), kInfinity);
  EXPECT_EQ(t::softplus(-kInfinity), 0);
  EXPECT_EQ(t::mish(kInfinity), kInfinity);
  EXPECT_EQ(t::erf(kInfinity), 1);
  EXPECT_EQ(t::erf(-kInfinity), -1);
  for (const Case& c : cases()) EXPECT_TRUE(std::isnan(c.ours(std::nanf("")))) << c.name;
  for (const auto odd : {t::expm1, t::tanh, t::erf}) EXPECT_EQ(odd(0), 0);
}

}  // namespace heatproof
