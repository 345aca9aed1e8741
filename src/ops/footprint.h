// What a graph takes to compute, from its shapes alone: before memory is taken, and before it is waited for.
// Why the limits are what they are: docs/decisions/limits.md.
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace heatproof {

struct Footprint {
  double bytes = 0;        // the most that values take at once, constants made from weights, results
  NodeId largest = kNone;  // of the values, which has `most` bytes and must lie in memory
  double most = 0;
  double work = 0;          // multiply-adds, other operations in as many as take the same time
  NodeId heaviest = kNone;  // of the nodes, which takes `hardest` of the work
  double hardest = 0;
  double weights = 0;  // bytes that the file holds
  double inputs = 0;   // bytes
  double longest = 1;  // axis of an input
};

Footprint footprint(const Graph& graph);

/// What a graph may take.
struct Allowance {
  std::size_t memory = 0;  // bytes that the user allows; 0: nothing was said
  std::int64_t rows = 1;   // that the graph computes at once
  /// Explanations keep what forward passes forget.
  bool explains = false;
  double held = 0;  // bytes that programs beside this one keep
};

/// Throws Error where a graph would take more memory or time than any network of its size does, or more
/// memory than the machine has.
void check_footprint(const Graph& graph, const Allowance& allowed);

}  // namespace heatproof
