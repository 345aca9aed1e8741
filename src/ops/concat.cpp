// Concat along attribute axis. Layouts are kept where every part fills whole blocks of channels.
#include "ops/concat.h"

#include <fmt/format.h>

#include "base/sizes.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

std::size_t axis_of(const Attributes& a) { return static_cast<std::size_t>(a.integer("axis", 0)); }

Type infer(const NodeView& v) {
  const std::size_t axis = axis_of(v.node.attributes);
  Shape y = v.shape(0);
  if (axis >= y.size()) throw Error(fmt::format("axis {} of a value of shape {}", axis, to_string(y)));
  for (std::size_t i = 1; i < v.inputs.size(); ++i) {
    Shape part = v.shape(i);
    if (part.size() != y.size() || v.input(i).dtype != v.input(0).dtype)
      throw Error("parts of different rank or type");
    const std::int64_t more = part[axis];
    part[axis] = y[axis];
    if (part != y)
      throw Error(
          fmt::format("parts {} and {} do not fit together", to_string(v.shape(0)), to_string(v.shape(i))));
    y[axis] = sizes::sum(y[axis], more);
  }
  return {v.input(0).dtype, y};
}

std::vector<Value> derivative(Value n, Value g) {
  const std::size_t axis = axis_of(n.attributes());
  std::vector<Value> gradients;
  std::vector<std::int64_t> starts(n.shape().size(), 0);
  std::vector<std::int64_t> steps(n.shape().size(), 1);
  for (std::size_t i = 0; i < n.inputs(); ++i) {
    std::vector<std::int64_t> ends(n.shape().begin(), n.shape().end());
    ends[axis] = starts[axis] + n.input(i).shape()[axis];
    gradients.push_back(g.builder().add(kSlice, {g}, {{"starts", starts}, {"ends", ends}, {"steps", steps}}));
    starts[axis] = ends[axis];
  }
  return gradients;
}

Tensor fold(const NodeView& v) {
  const std::size_t axis = axis_of(v.node.attributes);
  const Shape& y = v.node.type.shape;
  if (v.input(0).dtype == DType::f32 && y.elements() > 64) return {};
  Tensor result = Tensor::empty(v.input(0).dtype, y);
  std::int64_t offset = 0;
  for (const Node* part : v.inputs) {
    const auto to = y.strides();
    StridedCopy copy{.lengths = part->type.shape,
                     .from_strides = part->type.shape.strides(),
                     .to_strides = to,
                     .to_offset = offset,
                     .size = static_cast<int>(size_of(part->type.dtype))};
    copy.simplify();
    copy.run(part->constant.raw(), result.raw());
    offset += part->type.shape[axis] * to[axis];
  }
  return result;
}

Sign sign(const NodeView& v) {
  Sign sign = v.inputs[0]->sign;
  for (const Node* part : v.inputs) {
    if (part->sign == Sign::zero || part->sign == sign) continue;
    sign = sign == Sign::zero ? part->sign : Sign::any;
  }
  return sign;
}

/// The layout of the parts, when all have the same one and blocks end where parts do.
Layout shared_layout(Lowering& l, NodeId id) {
  if (axis_of(l.node(id).attributes) != 1) return {};
  const Layout layout = l.operand(l.input(id, 0)).layout;
  for (NodeId part : l.node(id).inputs) {
    const Operand operand = l.operand(part);
    if (!(operand.layout == layout) || operand.shape[1] % layout.block != 0) return {};
  }
  return layout;
}

/// Whether the only user reads the parts itself.
bool read_in_parts(const Lowering& l, NodeId id) {
  const NodeId user = l.sole_user(id);
  return user != kNone && l.node(user).op == &kBatchNormalization && axis_of(l.node(id).attributes) == 1;
}

void lower(Lowering& l, NodeId id) {
  if (read_in_parts(l, id)) return l.mark_fused(id);
  const Layout layout = shared_layout(l, id);
  const Operand y = l.result(id, layout);
  const Physical to = physical(y.shape, layout);
  const auto to_strides = Shape(std::span<const std::int64_t>(to.lengths)).strides();
  // Channels come last in memory where the layout says so.
  const std::size_t axis = layout.channels_last ? to.lengths.size() - 1 : axis_of(l.node(id).attributes);
  std::int64_t offset = 0;
  std::vector<Piece> pieces;
  for (NodeId part : l.node(id).inputs) {
    const Operand x = l.operand(part, layout);
    const Physical from = physical(x.shape, layout);
    pieces.push_back({x.buffer,
                      {.lengths = from.lengths,
                       .from_strides = Shape(std::span<const std::int64_t>(from.lengths)).strides(),
                       .to_strides = to_strides,
                       .to_offset = offset,
                       .size = element_size(l.node(id))}});
    offset += from.lengths[axis] * to_strides[axis];
  }
  emit_copies(l, "Concat", std::move(pieces), y.buffer);
}

}  // namespace

std::vector<Operand> concatenated(Lowering& l, NodeId id) {
  const Layout layout = shared_layout(l, id);
  std::vector<Operand> parts;
  for (NodeId part : l.node(id).inputs) parts.push_back(l.operand(part, layout));
  return parts;
}

Value sliced_part(Value joined, const Attributes& slice, const Shape& shape) {
  // Parts are looked for one by one, slice by slice: of more, slices stay what they are.
  constexpr std::size_t kMostParts = 4096;
  if (!joined.is(kConcat) || joined.inputs() > kMostParts) return {};
  for (std::int64_t step : slice.integers("steps")) {
    if (step != 1) return {};
  }
  const std::size_t axis = axis_of(joined.attributes());
  std::int64_t first = slice.integers("starts")[axis];
  for (std::size_t i = 0; i < joined.inputs() && first >= 0; ++i) {
    const Value part = joined.input(i);
    if (first == 0 && part.shape() == shape) return part;
    first -= part.shape()[axis];
  }
  return {};
}

bool joins_channels(Value v) { return v.is(kConcat) && axis_of(v.attributes()) == 1; }

const Operator kConcat = {
    .name = "Concat",
    .infer = infer,
    .derivative = derivative,
    .simplify = [](Builder& g,
                   const NodeView& v) { return v.inputs.size() == 1 ? input_of(g, v, 0) : Value{}; },
    .fold = fold,
    .sign = sign,
    .windowed = [](const NodeView& v) -> std::optional<Windowed> {
      if (axis_of(v.node.attributes) != 1) return std::nullopt;
      return Windowed{.attributes = v.node.attributes};
    },
    .lower = lower,
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
