// Values that are normalised by their own statistics (LayerNorm, RMSNorm, InstanceNorm, GroupNorm, division
// by a Euclidean norm), also in elementary operators.
//
// They stay the elementary operators that they are imported as: so they are computed, differentiated and
// compared with a baseline as ever. Propagation of relevance alone takes them for one operator, since a rule
// for x − mean(x) would divide by what crosses zero.
#pragma once

#include "graph/builder.h"

namespace heatproof {

/// x, where `node` is the last operator of a normalization of x: (x − μ) / σ, x / σ or x · (g / σ) + (b − μ g
/// / σ) with statistics μ and σ of x and constants g and b, σ with a root; g may also scale x − μ. Invalid
/// elsewhere. The result has the shape of x.
Value normalized(Value node);

}  // namespace heatproof
