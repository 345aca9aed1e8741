// Gather: rows of axis `axis` picked by constant indices.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/threads.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

std::size_t axis_of(const Attributes& a) { return static_cast<std::size_t>(a.integer("axis", 0)); }

Type infer(const NodeView& v) {
  const std::size_t axis = axis_of(v.node.attributes);
  const Shape& x = v.shape(0);
  if (axis >= x.size()) throw Error(fmt::format("axis {} of a value of shape {}", axis, to_string(x)));
  for (std::int64_t i : v.integers(1)) {
    if (i < -x[axis] || i >= x[axis]) throw Error(fmt::format("index {} of an axis of {}", i, x[axis]));
  }
  Shape y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(axis));
  y.insert(y.end(), v.shape(1).begin(), v.shape(1).end());
  y.insert(y.end(), x.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.end());
  return {v.input(0).dtype, y};
}

/// Steps that are a copy per index would take more memory than the values where there are many.
constexpr std::size_t kFewIndices = 1024;

/// What is picked, as [outer, axis, inner].
struct Picking {
  std::int64_t outer = 1, length, inner = 1;
  std::vector<std::int64_t> rows;  // not negative
  int size;                        // of an element

  Picking(const Shape& x, std::size_t axis, std::span<const std::int64_t> indices, int element)
      : length(x[axis]), size(element) {
    for (std::size_t i = 0; i < x.size(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : x[i];
    for (std::int64_t index : indices) rows.push_back(index < 0 ? index + length : index);
  }

  StridedCopy copy(std::size_t k) const {
    const auto n = static_cast<std::int64_t>(rows.size());
    return {.lengths = {outer, inner},
            .from_strides = {length * inner, 1},
            .to_strides = {n * inner, 1},
            .from_offset = rows[k] * inner,
            .to_offset = static_cast<std::int64_t>(k) * inner,
            .size = size};
  }

  void run(const void* from, void* to) const {
    const auto n = static_cast<std::int64_t>(rows.size());
    const std::int64_t bytes = inner * size;
    const std::int64_t grain = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(bytes, 1));
    parallel_for(outer * n, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = i / n * length + rows[static_cast<std::size_t>(i % n)];
        std::memcpy(static_cast<char*>(to) + i * bytes, static_cast<const char*>(from) + row * bytes,
                    static_cast<std::size_t>(bytes));
      }
    });
  }
};

void lower(Lowering& l, NodeId id) {
  const Operand x = l.plain(l.input(id, 0));
  const Operand y = l.result(id, Layout{});
  const Tensor& indices = l.node(l.input(id, 1)).constant;
  const Picking picking(x.shape, axis_of(l.node(id).attributes), indices.data<std::int64_t>(),
                        element_size(l.node(id)));
  if (picking.rows.size() <= kFewIndices) {
    std::vector<Piece> pieces;
    for (std::size_t k = 0; k < picking.rows.size(); ++k) pieces.push_back({x.buffer, picking.copy(k)});
    return emit_copies(l, "Gather", std::move(pieces), y.buffer);
  }
  l.emit({.name = "Gather",
          .reads = {x.buffer},
          .writes = {y.buffer},
          .bind = [shared = std::make_shared<const Picking>(picking), from = x.buffer,
                   to = y.buffer](const Binding& bind) -> Action {
            return
                [=, source = bind.pointer(from), target = bind.pointer(to)] { shared->run(source, target); };
          }});
}

std::vector<Value> derivative(Value n, Value g) {
  const std::size_t axis = axis_of(n.attributes());
  const Shape& x = n.input(0).shape();
  const Tensor indices = n.input(1).node().constant;
  const std::int64_t count = indices.elements();
  if (count > 1024)
    throw UnsupportedError(
        fmt::format("node '{}' (Gather): its derivative with {} indices", n.node().name, count));
  Shape picked = x;
  picked[axis] = count;
  const Value rows = reshape(g, picked);
  Value sum;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int64_t> starts(x.size(), 0);
    const std::vector<std::int64_t> ones(x.size(), 1);
    std::vector<std::int64_t> ends(picked.begin(), picked.end());
    starts[axis] = i;
    ends[axis] = i + 1;
    const Value row = g.builder().add(kSlice, {rows}, {{"starts", starts}, {"ends", ends}, {"steps", ones}});
    const std::int64_t index = indices.data<std::int64_t>()[static_cast<std::size_t>(i)];
    starts[axis] = index < 0 ? index + x[axis] : index;
    const Value placed = g.builder().add(
        kUnslice, {row},
        {{"shape", std::vector<std::int64_t>(x.begin(), x.end())}, {"starts", starts}, {"steps", ones}});
    sum = sum ? sum + placed : placed;
  }
  return {sum, {}};
}

}  // namespace

const Operator kGather = {
    .name = "Gather",
    .infer = infer,
    .derivative = derivative,
    .fold =
        [](const NodeView& v) {
          const Tensor& t = v.inputs[0]->constant;
          if (!foldable(t)) return Tensor();
          Tensor y = Tensor::empty(t.dtype(), v.node.type.shape);
          const Picking picking(t.shape(), axis_of(v.node.attributes),
                                v.inputs[1]->constant.data<std::int64_t>(),
                                static_cast<int>(size_of(t.dtype())));
          if (y.elements() > 0) picking.run(t.raw(), y.raw());
          return y;
        },
    .sign = keep_sign,
    .lower = lower,
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
