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
/// Pooling of windows, padded by `outside`.
Windowed pool_windows(const NodeView& v, float outside);

/// Positions [first, last) of a window along one axis that lie in the input, for an output position.
struct Taps {
  std::int64_t origin, first, last;
};
inline Taps taps(const PoolGeometry& g, std::size_t axis, std::int64_t at) {
  const std::int64_t origin = at * g.stride[axis] - g.begin[axis];
  const std::int64_t d = g.dilation[axis];
  const std::int64_t room = g.input[axis] - origin;
  if (d == 1) {  // spares every window two divisions, which take longer than its maxima
    const std::int64_t inside = room < g.kernel[axis] ? room : g.kernel[axis];
    return {origin, origin < 0 ? -origin : 0, inside > 0 ? inside : 0};
  }
  const std::int64_t first = origin < 0 ? (-origin + d - 1) / d : 0;
  const std::int64_t last = room <= 0 ? 0 : (room + d - 1) / d;
  return {origin, first, last < g.kernel[axis] ? last : g.kernel[axis]};
}

/// Calls f(input pixel) for every position of the window at an output position that lies in the input,
/// row-major.
template <typename F>
[[gnu::always_inline]] inline void for_window(const PoolGeometry& g, const std::array<std::int64_t, 3>& at,
                                              F f) {
  const Taps z = taps(g, 0, at[0]);
  const Taps y = taps(g, 1, at[1]);
  const Taps x = taps(g, 2, at[2]);
  for (std::int64_t i = z.first; i < z.last; ++i) {
    for (std::int64_t j = y.first; j < y.last; ++j) {
      const std::int64_t row =
          ((z.origin + i * g.dilation[0]) * g.input[1] + y.origin + j * g.dilation[1]) * g.input[2];
      for (std::int64_t k = x.first; k < x.last; ++k) f(row + x.origin + k * g.dilation[2]);
    }
  }
}

/// Calls f(position, pixel) for every output position, row-major.
template <typename F>
[[gnu::always_inline]] inline void for_outputs(const PoolGeometry& g, F f) {
  std::array<std::int64_t, 3> at{};
  std::int64_t pixel = 0;
  for (at[0] = 0; at[0] < g.output[0]; ++at[0]) {
    for (at[1] = 0; at[1] < g.output[1]; ++at[1]) {
      for (at[2] = 0; at[2] < g.output[2]; ++at[2]) f(at, pixel++);
    }
  }
}

/// Planes (images × channel blocks) of pixels of `lanes` channels.
struct Planes {
  std::int64_t planes, lanes;
};
Planes planes_of(const Shape& shape, Layout layout);

/// How a step over planes is cut into equal pieces for threads: pieces of channels where there are few
/// planes.
struct PlanePieces {
  Planes planes;
  std::int64_t per_plane, lanes;  // pieces of a plane, and channels of each but the last

  explicit PlanePieces(Planes p);
  std::int64_t count() const { return planes.planes * per_plane; }
  /// Calls f(plane, first channel, channels).
  template <typename F>
  void visit(std::int64_t piece, F&& f) const {
    const std::int64_t first = piece % per_plane * lanes;
    f(piece / per_plane, first, first + lanes < planes.lanes ? lanes : planes.lanes - first);
  }
};

/// Pools `lanes` channels of one plane whose pixels are `stride` floats apart.
using PlaneKernel = void (*)(const float* source, float* target, const PoolGeometry& g, std::int64_t stride,
                             std::int64_t lanes);
/// Emits a step that calls the kernel for every plane, in parallel.
void emit_pool(Lowering& l, NodeId id, const Operand& x, const Operand& y, const PoolGeometry& g,
               PlaneKernel kernel, bool transpose);

}  // namespace heatproof
