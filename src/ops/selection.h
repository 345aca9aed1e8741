// Factors that hang on nothing but the value that a maximum is taken of.
#pragma once

#include "graph/operator.h"

namespace heatproof {

/// For products (Mul, Masked) and quotients (Div, MaskedDiv) of M = MaxPoolGradient(x, g), or of a slice of
/// it where x is a concatenation, and e = Step(x) or Stabilize(x): the same product, taken of g at the maxima
/// before they are spread out, where there are as many values as windows. Exact: M is zero everywhere else.
/// Invalid where it does not apply.
Value factor_before_spreading(Builder& g, const NodeView& product);

}  // namespace heatproof
