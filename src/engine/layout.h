// How the elements of a value lie in memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/dnnl_api.h"
#include "heatproof/tensor.h"

namespace heatproof {

/// Row-major (block 1), or channels (axis 1) in blocks that lie innermost: N, ⌈C/block⌉, spatial..., block:
/// oneDNN's nChw16c. The padding of the last block is kept at zero. With `channels_last` the order is N,
/// spatial..., C (block 1).
struct Layout {
  int block = 1;
  bool channels_last = false;

  bool plain() const { return block == 1 && !channels_last; }
  bool operator==(const Layout&) const = default;
};

std::string to_string(Layout layout);

/// A memory layout as a row-major array over physical axes.
struct Physical {
  std::vector<std::int64_t> lengths;
  /// For each physical axis, the logical axis it runs along and by how much one step moves there.
  std::vector<int> axis;
  std::vector<std::int64_t> step;

  std::int64_t elements() const;
};
Physical physical(const Shape& shape, Layout layout);

/// Elements in memory, padding included.
std::int64_t stored_elements(const Shape& shape, Layout layout);
/// True when the last block holds channels that do not exist.
bool padded(const Shape& shape, Layout layout);

/// oneDNN's descriptor of f32 values; scalars become one axis of length 1.
dnnl::memory::desc descriptor(const Shape& shape, Layout layout);
/// A descriptor that leaves the layout to the primitive.
dnnl::memory::desc any_descriptor(const Shape& shape);
/// The Layout of what a primitive chose; nullopt when it is none of ours.
std::optional<Layout> layout_of(const dnnl::memory::desc& desc, const Shape& shape);

}  // namespace heatproof
