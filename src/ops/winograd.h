// Convolutions of 3×3 windows by Winograd's transforms, for Convolutions::fastest.
#pragma once

#include <cstddef>
#include <limits>
#include <string>

#include "engine/lowering.h"
#include "ops/conv_geometry.h"

namespace heatproof::winograd {

/// Whether a convolution with such weights can be computed: 3×3 windows without strides, dilations or groups,
/// of channels that fill vectors.
bool serves(const ConvGeometry& g, const Shape& weights);
/// Whether that is faster than product by product: there must be some tiles to share the larger weights.
bool pays(const Shape& y);
/// Whether x and y may lie so: channels innermost, whole vectors of them.
bool reads(Layout layout);

/// Bytes that a weight takes when it is transformed.
std::size_t bytes_per_weight();

/// y = max(least, min(most, x * weights + bias + residual)).
struct Convolution {
  std::string name;
  ConvGeometry geometry;
  NodeId weights;
  Operand x, y;                       // in one layout that `reads` accepts
  BufferId bias = -1, residual = -1;  // −1: none; the residual lies as y does
  bool replaces_residual = false;     // nobody reads the residual later
  float least = -std::numeric_limits<float>::infinity();
  float most = std::numeric_limits<float>::infinity();
};
void emit(Lowering& l, const Convolution& c);

}  // namespace heatproof::winograd
