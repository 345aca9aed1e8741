// Reverse(x; axes): the elements along each of `axes` in the opposite order, as of slices with negative
// steps.
#pragma once

#include "graph/operator.h"

namespace heatproof {

extern const Operator kReverse;

}  // namespace heatproof
