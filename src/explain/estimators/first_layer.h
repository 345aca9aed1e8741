// A network cut after its first linear layer. Sums of gradients need that layer's transpose only once, and
// points on a line pass it as the ends of the line do.
#pragma once

#include <optional>

#include "explain/network.h"
#include "graph/linear.h"

namespace heatproof {

/// The value at the cut for one input x: the first layer's output where the layer is the input's only user,
/// x itself otherwise.
struct Head {
  Value cut;
  std::optional<Linear> layer;
};
Head head_of(Builder& g, const Graph& network, Value x);
/// ∂f/∂x, given ∂f/∂cut.
Value pull_back(const Head& head, Value gradient);

/// The rest of the network: its input is the value at the cut.
Graph tail_of(const Graph& network);

}  // namespace heatproof
