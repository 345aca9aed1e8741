// Activations that follow a convolution or matrix product while its result is still in registers.
#pragma once

#include <utility>

#include "engine/dnnl_api.h"
#include "engine/program.h"
#include "graph/graph.h"

namespace heatproof::fused {

/// Whether a node only keeps values between bounds: Relu and Clip.
bool is_bounding(const Node& node);
/// The least and the most that such a node leaves.
std::pair<float, float> bounds_of(const Node& activation);

/// Whether oneDNN can compute the node: what is bounding, and smooth activations for scores. In explanations
/// those are our own steps, so that a value is the same whether or not a recipe reads what is before it.
bool is_fusible(const Node& node, Convolutions convolutions);
void append(dnnl::post_ops& post, const Node& activation);

}  // namespace heatproof::fused
