// Gather: rows of axis `axis` picked by constant indices.
#include <fmt/format.h>

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

/// One copy per index.
std::vector<StridedCopy> copies_of(const Shape& x, std::size_t axis, std::span<const std::int64_t> indices,
                                   int size) {
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (std::size_t i = 0; i < x.size(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : x[i];
  const auto n = static_cast<std::int64_t>(indices.size());
  std::vector<StridedCopy> copies;
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t index = indices[static_cast<std::size_t>(k)];
    copies.push_back({.lengths = {outer, inner},
                      .from_strides = {x[axis] * inner, 1},
                      .to_strides = {n * inner, 1},
                      .from_offset = (index < 0 ? index + x[axis] : index) * inner,
                      .to_offset = k * inner,
                      .size = size});
  }
  return copies;
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
          const auto copies =
              copies_of(t.shape(), axis_of(v.node.attributes), v.inputs[1]->constant.data<std::int64_t>(),
                        static_cast<int>(size_of(t.dtype())));
          for (const StridedCopy& copy : copies) copy.run(t.raw(), y.raw());
          return y;
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.plain(l.input(id, 0));
          const Operand y = l.result(id, Layout{});
          const Tensor& indices = l.node(l.input(id, 1)).constant;
          std::vector<Piece> pieces;
          for (StridedCopy& copy : copies_of(x.shape, axis_of(l.node(id).attributes),
                                             indices.data<std::int64_t>(), element_size(l.node(id))))
            pieces.push_back({x.buffer, std::move(copy)});
          emit_copies(l, "Gather", std::move(pieces), y.buffer);
        },
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
