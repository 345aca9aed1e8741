#include "support/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/files.h"
#include "support/operators.h"

namespace heatproof::testing {

namespace {

void compare(const Tensor& actual, const Tensor& expected, double relative, double absolute, bool nan) {
  ASSERT_EQ(actual.shape(), expected.shape());
  ASSERT_EQ(actual.dtype(), DType::f32);
  ASSERT_EQ(expected.dtype(), DType::f32);
  for (std::size_t i = 0; i < actual.data<float>().size(); ++i) {
    const double a = actual.data<float>()[i];
    const double b = expected.data<float>()[i];
    if (a == b || (nan && std::isnan(a) && std::isnan(b))) continue;
    // An expected infinity would make the tolerance infinite.
    ASSERT_TRUE(std::isfinite(a) && std::isfinite(b))
        << a << " instead of " << b << " as element " << i << " of " << to_string(actual.shape());
    ASSERT_NEAR(a, b, relative * std::fabs(b) + absolute)
        << "element " << i << " of " << to_string(actual.shape());
  }
}

}  // namespace

void expect_close(const Tensor& actual, const Tensor& expected, double relative, double absolute) {
  compare(actual, expected, relative, absolute, false);
}

void expect_close_or_nan(const Tensor& actual, const Tensor& expected, double relative, double absolute) {
  compare(actual, expected, relative, absolute, true);
}

bool differ(const Tensor& a, const Tensor& b) {
  const double d = deviation(a, b);
  return std::isfinite(d) && d > 1e-2;
}

}  // namespace heatproof::testing
