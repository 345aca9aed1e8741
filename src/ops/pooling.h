// Windows of pooling operators, and values seen as planes of pixels with lanes of channels innermost.
#pragma once

#include <array>

#include "engine/lowering.h"
#include "graph/operator.h"

namespace heatproof {

/// Geometry with three spatial axes; absent ones have length 1 and a window of 1.
struct PoolGeometry {
  std::array<std::int64_t, 3> input{1, 1, 1}, output{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1},
      dilation{1, 1, 1}, begin{0, 0, 0}, end{0, 0, 0};
  bool count_include_pad = false;

  std::int64_t pixels_in() const { return input[0] * input[1] * input[2]; }
  std::int64_t pixels_out() const { return output[0] * output[1] * output[2]; }
  /// Divisor of the average at an output position: window positions inside of the padded (or the real) input.
  std::int64_t divisor(const std::array<std::int64_t, 3>& at) const;
};

/// From attributes kernel_shape, strides, pads, dilations, count_include_pad and output_shape. Throws Error
/// when they do not fit the input's shape ("kernel 3x3 is larger than its padded input 2x2").
PoolGeometry pool_geometry(const Attributes& attributes, const Shape& x);
Shape pool_shape(const PoolGeometry& g, const Shape& x);

/// Calls f(input pixel) for every position of the window at an output position that lies in the input,
/// row-major.
template <typename F>
void for_window(const PoolGeometry& g, const std::array<std::int64_t, 3>& at, F&& f) {
  for (std::int64_t i = 0; i < g.kernel[0]; ++i) {
    const std::int64_t d = at[0] * g.stride[0] - g.begin[0] + i * g.dilation[0];
    if (d < 0 || d >= g.input[0]) continue;
    for (std::int64_t j = 0; j < g.kernel[1]; ++j) {
      const std::int64_t h = at[1] * g.stride[1] - g.begin[1] + j * g.dilation[1];
      if (h < 0 || h >= g.input[1]) continue;
      for (std::int64_t k = 0; k < g.kernel[2]; ++k) {
        const std::int64_t w = at[2] * g.stride[2] - g.begin[2] + k * g.dilation[2];
        if (w >= 0 && w < g.input[2]) f((d * g.input[1] + h) * g.input[2] + w);
      }
    }
  }
}

/// Planes (images × channel blocks) of pixels of `lanes` channels.
struct Planes {
  std::int64_t planes, lanes;
};
Planes planes_of(const Shape& shape, Layout layout);

/// Emits a step that calls kernel(source, target, plane, geometry, lanes) for every plane, in parallel.
using PlaneKernel = void (*)(const float* source, float* target, const PoolGeometry& g, std::int64_t lanes);
void emit_pool(Lowering& l, NodeId id, const Operand& x, const Operand& y, const PoolGeometry& g,
               PlaneKernel kernel, bool transpose);

}  // namespace heatproof
