// Chains of elementwise nodes become one step that passes once over cache-sized tiles.
#pragma once

#include "engine/lowering.h"

namespace heatproof {

/// True for nodes that the tiles can compute: elementwise operators with f32 or boolean results.
bool is_elementwise(const Graph& graph, NodeId id);

/// Emits one step that computes `root` and the pending elementwise nodes of the same shape that it depends
/// on. Those that others need too are written out as well.
void emit_elementwise(Lowering& lowering, NodeId root);

}  // namespace heatproof
