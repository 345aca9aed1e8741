// Weights as primitives want them.
#pragma once

#include "engine/lowering.h"

namespace heatproof {

/// Lowering::pack, which packs transposes and slices of a constant from the constant itself: nothing is moved
/// before, and programs share what is packed.
Packed pack_weights(Lowering& l, NodeId weights, const Shape& view, const dnnl::memory::desc& desc,
                    const Lowering::Packing& packing = {});

/// How a matrix lies in memory before anything is packed: rows or, for the transpose of a constant, columns
/// side by side.
dnnl::memory::desc unpacked(const Lowering& l, NodeId matrix);

}  // namespace heatproof
