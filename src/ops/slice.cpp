// Slice and its adjoint Unslice. starts, ends and steps are given for every axis, 0 ≤ start < end ≤ size,
// step ≥ 1.
#include <fmt/format.h>

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/concat.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

struct Range {
  std::vector<std::int64_t> starts, steps;
};

Range range_of(const Attributes& a) { return {a.integers("starts"), a.integers("steps")}; }

Type infer_slice(const NodeView& v) {
  const Range r = range_of(v.node.attributes);
  const auto ends = v.node.attributes.integers("ends");
  const Shape& x = v.shape(0);
  if (r.starts.size() != x.size() || ends.size() != x.size() || r.steps.size() != x.size())
    throw Error("one range per axis is needed");
  Shape y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (r.starts[i] < 0 || ends[i] > x[i] || r.starts[i] >= ends[i] || r.steps[i] < 1) {
      throw Error(fmt::format("slice {}:{}:{} of an axis of {}", r.starts[i], ends[i], r.steps[i], x[i]));
    }
    y.push_back((ends[i] - r.starts[i] + r.steps[i] - 1) / r.steps[i]);
  }
  return {v.input(0).dtype, y};
}

Type infer_unslice(const NodeView& v) {
  const Range r = range_of(v.node.attributes);
  const Shape shape(v.node.attributes.integers("shape"));
  const Shape& x = v.shape(0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (r.starts[i] < 0 || r.starts[i] + (x[i] - 1) * r.steps[i] >= shape[i])
      throw Error("values fall outside of the shape");
  }
  return {v.input(0).dtype, shape};
}

std::optional<Windowed> windowed_slice(const NodeView& v) {
  const Range r = range_of(v.node.attributes);
  if (v.node.type.shape[0] != v.shape(0)[0] || v.node.type.shape[1] != v.shape(0)[1]) return std::nullopt;
  Windowed w{.copies = true};
  for (std::size_t i = 2; i < r.starts.size(); ++i) w.axes.push_back({r.steps[i], 1, -r.starts[i]});
  return w;
}

/// The layout of a value, if its slice (or the value that it is a slice of) can have the same: blocks of
/// channels stay whole.
Layout kept_layout(Layout layout, const Shape& whole, const Shape& part, const Range& r) {
  if (layout.block == 1) return layout;
  const bool all = part[1] == whole[1];
  const bool blocks = r.steps[1] == 1 && r.starts[1] % layout.block == 0 && part[1] % layout.block == 0;
  return all || blocks ? layout : Layout{};
}

/// Copies between the whole and the part, which have the same layout.
StridedCopy copy_of(const Shape& whole, const Shape& part, const Range& r, bool to_part, Layout layout = {}) {
  const Physical outer = physical(whole, layout);
  const Physical inner = physical(part, layout);
  const auto strides = Shape(std::span<const std::int64_t>(outer.lengths)).strides();
  StridedCopy copy{.lengths = inner.lengths};
  auto& wide = to_part ? copy.from_strides : copy.to_strides;
  auto& offset = to_part ? copy.from_offset : copy.to_offset;
  (to_part ? copy.to_strides : copy.from_strides) =
      Shape(std::span<const std::int64_t>(inner.lengths)).strides();
  for (std::size_t i = 0; i < outer.lengths.size(); ++i) {
    const auto axis = static_cast<std::size_t>(outer.axis[i]);
    const bool lane = layout.block > 1 && i + 1 == outer.lengths.size();  // blocks are whole
    wide.push_back(strides[i] * (lane ? 1 : r.steps[axis]));
    if (!lane) offset += strides[i] * r.starts[axis] / outer.step[i];
  }
  return copy;
}

/// Whether only axis 1 is cut, without steps.
bool cuts_channels(const NodeView& v, const Range& r) {
  for (std::size_t i = 0; i < r.starts.size(); ++i) {
    if (r.steps[i] != 1 || (i != 1 && v.node.type.shape[i] != v.shape(0)[i])) return false;
  }
  return r.starts.size() > 1;
}

/// Some channels of a convolution are a convolution with some of the weights.
Value with_some_weights(Builder& g, Value conv, std::int64_t first, std::int64_t channels) {
  if (conv.input(2) || !conv.input(1).constant() || conv.attributes().integer("group", 1) != 1) return {};
  const Attributes attributes = conv.attributes();
  const Shape w = conv.input(1).shape();
  std::vector<std::int64_t> starts(w.size(), 0);
  std::vector<std::int64_t> ends(w.begin(), w.end());
  starts[0] = first;
  ends[0] = first + channels;
  const Value some =
      g.add(kSlice, {conv.input(1)},
            {{"starts", starts}, {"ends", ends}, {"steps", std::vector<std::int64_t>(w.size(), 1)}});
  return g.add(kConv, {conv.input(0), some}, attributes);
}

/// What explanations do with joined channels and then take apart is done with the parts. The user's own nodes
/// (those with names) stay as they are.
Value in_parts(Builder& g, const NodeView& v) {
  const Value x = input_of(g, v, 0);
  const Range r = range_of(v.node.attributes);
  if (!cuts_channels(v, r)) return {};
  const std::int64_t first = r.starts[1];
  const std::int64_t channels = v.node.type.shape[1];
  if (!v.node.name.empty()) return {};
  const Attributes slice = v.node.attributes;
  if (const Value part = sliced_part(x, slice, v.node.type.shape)) return part;
  if (!x.node().name.empty()) return {};
  if (x.is(kConv)) return with_some_weights(g, x, first, channels);
  if (!(is_product(x) || x.is(kDiv) || x.is(kMaskedDiv) || x.is(kAdd) || x.is(kSub))) return {};
  const Value a = x.input(0);
  const Value b = x.input(1);
  if (a.shape() != x.shape() || b.shape() != x.shape()) return {};
  const Shape& shape = v.node.type.shape;
  if (!sliced_part(a, slice, shape) && !sliced_part(b, slice, shape)) return {};
  const Operator& op = *x.node().op;
  return g.add(op, {g.add(kSlice, {a}, slice), g.add(kSlice, {b}, slice)});
}

}  // namespace

Value sum_of_unslices(std::vector<Value> parts) {
  const Shape whole = parts.front().shape();
  Builder& g = parts.front().builder();
  const auto is_cut = [&](Value part, std::size_t axis) {
    return part.input(0).shape()[axis] != whole[axis];
  };
  std::size_t axis = 0;
  while (axis + 1 < whole.size() && !is_cut(parts.front(), axis)) ++axis;
  const auto start = [&](Value part) { return part.attributes().integers("starts")[axis]; };
  std::ranges::stable_sort(parts, {}, start);
  std::vector<Value> pieces;
  std::int64_t end = 0;
  bool apart = true;
  const auto fill_up_to = [&](std::int64_t next) {
    Shape gap = whole;
    gap[axis] = next - end;
    if (gap[axis] > 0) pieces.push_back(g.fill(gap, 0));
  };
  for (const Value& part : parts) {
    const auto steps = part.attributes().integers("steps");
    for (std::size_t i = 0; i < whole.size(); ++i)
      apart = apart && steps[i] == 1 && (i == axis || !is_cut(part, i));
    if (!(apart = apart && start(part) >= end)) break;
    fill_up_to(start(part));
    pieces.push_back(part.input(0));
    end = start(part) + part.input(0).shape()[axis];
  }
  if (!apart) {
    Value sum = parts.front();
    for (std::size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i];
    return sum;
  }
  fill_up_to(whole[axis]);
  return g.add(kConcat, std::move(pieces), {{"axis", static_cast<std::int64_t>(axis)}});
}

const Operator kSlice = {
    .name = "Slice",
    .infer = infer_slice,
    .derivative =
        [](Value n, Value g) {
          Attributes a = n.attributes();
          a.erase("ends");
          const Shape& x = n.input(0).shape();
          a.set("shape", std::vector<std::int64_t>(x.begin(), x.end()));
          return std::vector{g.builder().add(kUnslice, {g}, a)};
        },
    .simplify =
        [](Builder& g, const NodeView& v) {
          if (v.node.type.shape == v.shape(0)) return input_of(g, v, 0);
          if (v.inputs[0]->op == &kFill) return g.fill(v.node.type.shape, *splat(v, 0));
          return in_parts(g, v);
        },
    .fold =
        [](const NodeView& v) {
          const Tensor& t = v.inputs[0]->constant;
          if (!foldable(t)) return Tensor();
          return copy_tensor(t, v.node.type.shape,
                             copy_of(t.shape(), v.node.type.shape, range_of(v.node.attributes), true));
        },
    .sign = keep_sign,
    .windowed = windowed_slice,
    .lower =
        [](Lowering& l, NodeId id) {
          const Range r = range_of(l.node(id).attributes);
          const Operand have = l.operand(l.input(id, 0));
          const Operand x = l.operand(l.input(id, 0), kept_layout(have.layout, have.shape, l.shape(id), r));
          const Operand y = l.result(id, x.layout);
          StridedCopy copy = copy_of(x.shape, y.shape, r, true, x.layout);
          copy.size = element_size(l.node(id));
          emit_copy(l, "Slice", x.buffer, y.buffer, copy);
        },
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

const Operator kUnslice = {
    .name = "Unslice",
    .infer = infer_unslice,
    .derivative =
        [](Value n, Value g) {
          Attributes a = n.attributes();
          a.erase("shape");
          std::vector<std::int64_t> ends;
          const Range r = range_of(a);
          for (std::size_t i = 0; i < r.starts.size(); ++i) {
            ends.push_back(r.starts[i] + (n.input(0).shape()[i] - 1) * r.steps[i] + 1);
          }
          a.set("ends", ends);
          return std::vector{g.builder().add(kSlice, {g}, a)};
        },
    .simplify =
        [](Builder& g, const NodeView& v) {
          return v.inputs[0]->sign == Sign::zero ? g.fill(v.node.type.shape, 0) : Value{};
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Range r = range_of(l.node(id).attributes);
          const Operand have = l.operand(l.input(id, 0));
          const Operand x = l.operand(l.input(id, 0), kept_layout(have.layout, l.shape(id), have.shape, r));
          const Operand y = l.result(id, x.layout);
          emit_copy(l, "Unslice", x.buffer, y.buffer, copy_of(y.shape, x.shape, r, false, x.layout), true,
                    static_cast<std::size_t>(stored_elements(y.shape, y.layout)) * sizeof(float));
        },
    .traits = {.behaviour = Behaviour::selection},
};

}  // namespace heatproof
