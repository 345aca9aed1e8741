// ConvTranspose into few channels (what reaches the pixels of an image): oneDNN's kernels fill their lanes
// with output channels and leave most of them empty, ours fill them with the channels that are summed.
#pragma once

#include "engine/lowering.h"
#include "ops/conv_geometry.h"

namespace heatproof {

/// Whether lower_narrow_transpose can compute s [N, K, OH, OW] → y [N, C, H, W], C <= 4, from a value in
/// `layout`.
bool is_narrow_transpose(const ConvGeometry& g, const Shape& s, const Shape& y, Layout layout);

/// Emits the steps: y, row-major, of node `id`; s in a layout that is_narrow_transpose accepts. No bias.
void lower_narrow_transpose(Lowering& lowering, NodeId id, const ConvGeometry& g, const Operand& s);

}  // namespace heatproof
