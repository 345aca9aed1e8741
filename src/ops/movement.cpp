#include "ops/movement.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/threads.h"

namespace heatproof {

namespace {

template <typename T>
void copy_axis(const StridedCopy& c, std::size_t axis, const T* from, T* to) {
  const std::int64_t n = c.lengths[axis];
  const std::int64_t a = c.from_strides[axis];
  const std::int64_t b = c.to_strides[axis];
  if (axis + 1 == c.lengths.size()) {
    if (a == 1 && b == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    } else if (a == 0 && b == 1) {
      std::fill_n(to, n, *from);
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i * b] = from[i * a];
    }
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) copy_axis(c, axis + 1, from + i * a, to + i * b);
}

template <typename T>
void run_typed(const StridedCopy& c, const T* from, T* to) {
  from += c.from_offset;
  to += c.to_offset;
  if (c.lengths.empty()) {
    *to = *from;
    return;
  }
  std::int64_t inner = 1;
  for (std::size_t i = 1; i < c.lengths.size(); ++i) inner *= c.lengths[i];
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(inner, 1));
  parallel_for(c.lengths[0], grain, [&](std::int64_t begin, std::int64_t end) {
    StridedCopy part = c;
    part.lengths[0] = end - begin;
    copy_axis(part, 0, from + begin * c.from_strides[0], to + begin * c.to_strides[0]);
  });
}

void clear(void* memory, std::size_t bytes) {
  parallel_for(static_cast<std::int64_t>(bytes), 1 << 16, [=](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<char*>(memory) + begin, 0, static_cast<std::size_t>(end - begin));
  });
}

}  // namespace

void StridedCopy::simplify() {
  StridedCopy merged = *this;
  merged.lengths.clear();
  merged.from_strides.clear();
  merged.to_strides.clear();
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] == 1) continue;
    if (!merged.lengths.empty() && merged.from_strides.back() == from_strides[i] * lengths[i] &&
        merged.to_strides.back() == to_strides[i] * lengths[i]) {
      merged.lengths.back() *= lengths[i];
      merged.from_strides.back() = from_strides[i];
      merged.to_strides.back() = to_strides[i];
      continue;
    }
    merged.lengths.push_back(lengths[i]);
    merged.from_strides.push_back(from_strides[i]);
    merged.to_strides.push_back(to_strides[i]);
  }
  *this = std::move(merged);
}

void StridedCopy::run(const void* from, void* to) const {
  for (std::int64_t n : lengths) {
    if (n == 0) return;
  }
  if (size == 8) {
    run_typed(*this, static_cast<const std::int64_t*>(from), static_cast<std::int64_t*>(to));
  } else if (size == 1) {
    run_typed(*this, static_cast<const char*>(from), static_cast<char*>(to));
  } else {
    run_typed(*this, static_cast<const float*>(from), static_cast<float*>(to));
  }
}

void emit_copies(Lowering& l, std::string name, std::vector<Piece> pieces, BufferId to) {
  std::vector<BufferId> reads;
  std::unordered_set<BufferId> seen;
  for (Piece& piece : pieces) {
    piece.copy.simplify();
    if (seen.insert(piece.from).second) reads.push_back(piece.from);
  }
  l.emit({.name = std::move(name),
          .reads = std::move(reads),
          .writes = {to},
          .bind = [=, pieces = std::move(pieces)](const Binding& bind) -> Action {
            std::vector<const void*> sources;
            for (const Piece& piece : pieces) sources.push_back(bind.pointer(piece.from));
            void* target = bind.pointer(to);
            return [pieces, sources, target] {
              for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i].copy.run(sources[i], target);
            };
          }});
}

void emit_copy(Lowering& l, std::string name, BufferId from, BufferId to, StridedCopy copy, bool clear_first,
               std::size_t bytes) {
  copy.simplify();
  l.emit({.name = std::move(name),
          .reads = {from},
          .writes = {to},
          .bind = [=, copy = std::move(copy)](const Binding& bind) -> Action {
            const void* source = bind.pointer(from);
            void* target = bind.pointer(to);
            return [=] {
              if (clear_first) clear(target, bytes);
              copy.run(source, target);
            };
          }});
}

Tensor copy_tensor(const Tensor& from, const Shape& shape, StridedCopy copy) {
  Tensor to = Tensor::zeros(from.dtype(), shape);
  copy.size = static_cast<int>(size_of(from.dtype()));
  copy.simplify();
  copy.run(from.raw(), to.raw());
  return to;
}

bool foldable(const Tensor& t) { return t.dtype() != DType::f32 || t.elements() <= 64; }

}  // namespace heatproof
