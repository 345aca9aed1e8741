// Moving elements between row-major arrays: what Transpose, Expand, Slice, Concat and Pad are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/lowering.h"

namespace heatproof {

/// to[Σ i·to_strides] = from[Σ i·from_strides] for all i < lengths; strides in elements (of `size` bytes: 4
/// or 8). Axes of length 1 and axes that can be walked together are merged; the outermost loop runs in
/// parallel.
struct StridedCopy {
  std::vector<std::int64_t> lengths, from_strides, to_strides;
  std::int64_t from_offset = 0, to_offset = 0;
  int size = 4;

  void simplify();
  void run(const void* from, void* to) const;
};

/// A step that copies `from` into `to`.
void emit_copy(Lowering& l, std::string name, BufferId from, BufferId to, StridedCopy copy,
               bool clear_first = false, std::size_t bytes = 0);

/// One of several copies that together write a value.
struct Piece {
  BufferId from;
  StridedCopy copy;
};
/// One step for all of them: a buffer has one writer.
void emit_copies(Lowering& l, std::string name, std::vector<Piece> pieces, BufferId to);
/// Applies a copy to a constant of any type at build time.
Tensor copy_tensor(const Tensor& from, const Shape& shape, StridedCopy copy);

/// True where folding at build time is worth it: integers and small data.
bool foldable(const Tensor& t);

inline int element_size(const Node& node) { return node.type.dtype == DType::i64 ? 8 : 4; }

}  // namespace heatproof
