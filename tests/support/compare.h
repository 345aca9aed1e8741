// Comparisons that must not take NaN for agreement.
#pragma once

#include "heatproof/tensor.h"

namespace heatproof::testing {

/// Whether two results that are finite differ by more than a hundredth: a NaN is no difference.
bool differ(const Tensor& a, const Tensor& b);

/// expect_close, but NaN is right where NaN is expected.
void expect_close_or_nan(const Tensor& actual, const Tensor& expected, double relative, double absolute);

}  // namespace heatproof::testing
