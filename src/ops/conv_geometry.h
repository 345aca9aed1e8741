// Sizes and padding of convolutions, shared by Conv, ConvTranspose and what folds into them.
#pragma once

#include <vector>

#include "engine/dnnl_api.h"
#include "graph/builder.h"

namespace heatproof {

/// Attributes of a convolution with their defaults filled in; checked. One entry per spatial axis, pads two.
struct ConvGeometry {
  std::vector<std::int64_t> kernel, strides, dilations, pads_begin, pads_end, output_padding;
  std::int64_t group = 1;

  int spatial() const { return static_cast<int>(kernel.size()); }
  onednn::Window window() const;
};

/// Throws Error when the attributes do not fit weights (output channels, channels per group, kernel...).
ConvGeometry conv_geometry(const Attributes& attributes, const Shape& weights);
/// Spatial size after a convolution: ⌊(size + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1.
std::int64_t conv_size(const ConvGeometry& g, std::size_t axis, std::int64_t size);
/// The spatial size whose convolution it is, output_padding included.
std::int64_t conv_transpose_size(const ConvGeometry& g, std::size_t axis, std::int64_t size);

/// The adjoint of x ↦ Conv(x, w): a ConvTranspose of `s` with the shape of x, or what is equal to it.
Value conv_adjoint(Value s, Value weights, Attributes attributes, const Shape& x);

}  // namespace heatproof
