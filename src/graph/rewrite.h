// Passes: Graph → Graph.
#pragma once

#include "graph/graph.h"

namespace heatproof {

/// The same function in the canonical vocabulary: every node's `Operator::canonicalize`, to a fixed point.
/// Node names are kept where a node stands for one in the original.
Graph canonicalize(const Graph& graph);
/// The same function as it is cheaper to compute: every node's `Operator::compiled`, to a fixed point. Inputs
/// and outputs keep their order.
Graph for_compiling(const Graph& graph);

}  // namespace heatproof
