// Rewrites of hidden channels: split, put in another order, rescaled.
#pragma once

#include "explain/equivalents.h"

namespace heatproof {

/// Every channel twice, each with half of its outgoing weights.
Rewritten split_neurons(const Graph& graph);
/// Channels in another order.
Rewritten permute_channels(const Graph& graph);
/// Every channel times c > 0 and its outgoing weights divided by c, where nothing between them bends.
Rewritten rescale(const Graph& graph);

}  // namespace heatproof
