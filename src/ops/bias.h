// Additions of constants that a linear operator can take as its bias.
#pragma once

#include "graph/builder.h"

namespace heatproof {

/// Add(Conv(x, w), constant per channel) or Add(Linear(x, w), constant vector): the same operator with that
/// bias. Invalid where it does not apply. `sole_use` as in Operator::canonicalize.
Value absorb_bias(Value add, const std::vector<bool>& sole_use);

}  // namespace heatproof
