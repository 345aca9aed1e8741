// Where numbers may end: what operators say of it by `Operator::undefined`.
#pragma once

#include "graph/operator.h"

namespace heatproof {

/// Whether every element is known to be above zero: constants, what is kept above a positive bound, sums and
/// products of such, and their roots.
bool is_positive(const Graph& graph, NodeId id);
/// Whether every element of a constant is known to be another number than zero.
bool is_zero_nowhere(const Node& constant);

}  // namespace heatproof
