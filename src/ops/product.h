// What the elements of a product over axes contribute to it.
#pragma once

#include <vector>

#include "graph/builder.h"

namespace heatproof {

/// M · Π over `axes` (kept with length 1 in M's shape) as a sum of Δx · result, for factors that went from r
/// to x: products of two by two, each shared by the mean of both orders. With r = x the derivative, exact
/// where factors are zero, too.
Value product_shares(Value x, Value r, const std::vector<std::int64_t>& axes, Value M);

}  // namespace heatproof
