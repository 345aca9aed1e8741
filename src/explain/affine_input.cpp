#include "explain/affine_input.h"

#include <algorithm>
#include <ranges>

#include "graph/operator.h"
#include "ops/arithmetic.h"
#include "ops/behaviour.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// The shape of a constant with leading ones, so that it has as many axes as what it broadcasts to.
Shape aligned(const Shape& c, const Shape& x) {
  Shape shape(x.size() - std::min(x.size(), c.size()), 1);
  shape.insert(shape.end(), c.begin(), c.end());
  return shape;
}

bool is_one_number(Value c) { return c.shape().elements() == 1; }

Value product_of(Value a, Value b) { return !a ? b : !b ? a : a * b; }
Value sum_of(Value a, Value b) { return !a ? b : !b ? a : a + b; }

/// The part of a constant that goes with a Slice.
Value sliced_constant(Value node, Value c) {
  const Shape& x = node.input(0).shape();
  Attributes attributes = node.attributes();
  auto starts = attributes.integers("starts");
  auto ends = attributes.integers("ends");
  auto steps = attributes.integers("steps");
  Shape shape = c.shape();
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (shape[i] != 1 || node.shape()[i] != x[i])
      shape[i] = x[i];
    else
      starts[i] = 0, ends[i] = steps[i] = 1;
  }
  attributes.set("starts", starts);
  attributes.set("ends", ends);
  attributes.set("steps", steps);
  return node.builder().add(kSlice, {expand(c, shape)}, attributes);
}

/// What a node that moves elements makes of a constant that broadcasts to its input. Axes along which the
/// constant repeats itself stay short.
Value moved_constant(Value node, Value c) {
  if (!c) return c;
  const Shape& x = node.input(0).shape();
  Builder& g = node.builder();
  const Attributes attributes = node.attributes();
  if (node.is(kPad)) return g.add(kPad, {expand(c, x)}, attributes);
  if (is_one_number(c)) return reshape(c, {});
  if (node.is(kExpand)) return c;
  const Value wide = reshape(c, aligned(c.shape(), x));
  if (node.is(kTranspose)) return g.add(kTranspose, {wide}, attributes);
  if (node.is(kGather)) {
    const auto axis = static_cast<std::size_t>(attributes.integer("axis", 0));
    if (wide.shape()[axis] != 1) return g.add(kGather, {wide, node.input(1)}, attributes);
  }
  if (node.is(kSlice)) return sliced_constant(node, wide);
  return g.add(*node.node().op, {expand(wide, x), node.input(1)}, attributes);
}

/// Parts of a Concat, laid out along the axis that is joined.
Value joined_constants(Value node, const std::vector<Value>& parts, double otherwise) {
  if (std::ranges::none_of(parts, [](Value p) { return static_cast<bool>(p); })) return {};
  Builder& g = node.builder();
  const auto axis = static_cast<std::size_t>(node.attributes().integer("axis", 0));
  Shape common(node.shape().size(), 1);
  for (const Value& part : parts) {
    if (!part) continue;
    Shape shape = aligned(part.shape(), node.shape());
    shape[axis] = 1;
    common = broadcast(common, shape);
  }
  std::vector<Value> wide;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    common[axis] = node.input(i).shape()[axis];
    wide.push_back(expand(parts[i] ? parts[i] : g.fill({}, static_cast<float>(otherwise)), common));
  }
  return g.add(kConcat, wide, node.attributes());
}

/// A constant that differs along `axis` alone, as a vector of that axis' length (or one number); invalid
/// where it differs elsewhere.
Value along(Value c, const Shape& x, std::size_t axis) {
  if (is_one_number(c)) return reshape(c, {1});
  const Shape shape = aligned(c.shape(), x);
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (i != axis && shape[i] != 1) return {};
  return reshape(c, {shape[axis]});
}

/// w with each input of a convolution scaled. Weights [out, in / group, ...], those of ConvTranspose [in, out
/// / group, ...].
Value scaled_convolution(Value node, Value w, Value scale) {
  const Shape& shape = w.shape();
  const std::int64_t inputs = node.input(0).shape()[1];
  const Value each = expand(scale, {inputs});
  Shape wide(shape.size(), 1);
  if (node.is(kConvTranspose)) {
    wide[0] = inputs;
    return w * reshape(each, wide);
  }
  const std::int64_t group = node.attributes().integer("group", 1);
  if (group == 1) {
    wide[1] = inputs;
    return w * reshape(each, wide);
  }
  const Shape grouped{group, shape[0] / group, shape[1], shape.elements() / (shape[0] * shape[1])};
  return reshape(reshape(w, grouped) * reshape(each, {group, 1, shape[1], 1}), shape);
}

/// The weights of a layer that takes x instead of scale · x; invalid where there are none.
Value scaled_weights(Value node, Value w, Value scale, const Shape& x) {
  const std::size_t last = x.size() - 1;
  if (node.is(kConv) || node.is(kConvTranspose)) {
    const Value s = along(scale, x, 1);
    return s ? scaled_convolution(node, w, s) : Value{};
  }
  const bool left = node.is(kMatMul) && node.input(0).constant();
  const Value s = along(scale, x, left ? last - 1 : last);
  if (!s) return {};
  // Linear has [out, in], a matrix on the left [..., out, in], on the right [..., in, out].
  const bool inputs_last = node.is(kLinear) || left;
  return w * (inputs_last ? s : reshape(s, {s.shape()[0], 1}));
}

}  // namespace

AffineImages::AffineImages(Value input, Value low, Value high, Value last)
    : input_(input), low_(low), high_(high) {
  images_[input.id()] = {.moved = input, .low = low, .high = high};
  Builder& g = input.builder();
  for (NodeId id = input.id() + 1, end = last.id(); id <= end; ++id) {
    const Value node(&g, id);
    if (!node.constant() && node.inputs() > 0) add(node);
  }
}

const AffineImage* AffineImages::of(Value v) const {
  const auto it = images_.find(v.id());
  return it == images_.end() ? nullptr : &it->second;
}

void AffineImages::add(Value node) {
  Builder& g = node.builder();
  if (node.is(kConcat)) {
    std::vector<Value> moved, scale, shift, low, high;
    bool changes = false;
    for (std::size_t i = 0; i < node.inputs(); ++i) {
      const AffineImage* part = of(node.input(i));
      if (part == nullptr) return;
      changes |= part->changes();
      moved.push_back(part->moved);
      scale.push_back(part->scale), shift.push_back(part->shift);
      low.push_back(part->low), high.push_back(part->high);
    }
    images_[node.id()] = {changes ? g.add(kConcat, moved, node.attributes()) : node,
                          joined_constants(node, scale, 1), joined_constants(node, shift, 0),
                          joined_constants(node, low, 0), joined_constants(node, high, 1)};
    return;
  }
  const bool moves = node.is(kReshape) || node.is(kTranspose) || node.is(kSlice) || node.is(kGather) ||
                     node.is(kExpand) || (node.is(kPad) && node.attributes().number("value", 0) == 0);
  const Value operand = node.is(kBatchNormalization) || moves ? node.input(0) : scaled_operand(node);
  const AffineImage* from = operand ? of(operand) : nullptr;
  if (from == nullptr || (!moves && node.shape() != operand.shape())) return;
  AffineImage image = *from;
  if (moves) {
    const Value index = node.is(kGather) ? node.input(1) : Value{};
    image.moved = image.changes() ? g.add(*node.node().op, {from->moved, index}, node.attributes()) : node;
    for (Value* c : {&image.scale, &image.shift, &image.low, &image.high}) *c = moved_constant(node, *c);
  } else if (node.is(kNeg)) {
    image.scale = image.scale ? -image.scale : g.fill({}, -1);
    if (image.shift) image.shift = -image.shift;
  } else if (node.is(kBatchNormalization)) {
    Shape wide(operand.shape().size(), 1);
    wide[1] = operand.shape()[1];
    const Value factor = reshape(node.input(1), wide);
    image.scale = product_of(image.scale, factor);
    image.shift = sum_of(image.shift ? image.shift * factor : Value{}, reshape(node.input(2), wide));
  } else {
    const bool first = node.input(0) == operand;
    const Value c = node.input(first ? 1 : 0);
    if (node.is(kMul) || node.is(kDiv)) {
      const Value factor = node.is(kMul) ? c : g.add(kReciprocal, {c});
      image.scale = product_of(image.scale, factor);
      if (image.shift) image.shift = image.shift * factor;
    } else if (node.is(kSub) && !first) {
      image.scale = image.scale ? -image.scale : g.fill({}, -1);
      image.shift = image.shift ? c - image.shift : c;
    } else {
      image.shift = sum_of(image.shift, node.is(kSub) ? -c : c);
    }
  }
  images_[node.id()] = image;
}

std::pair<Value, Value> AffineImages::box(Value v, bool of_moved) const {
  const AffineImage* image = of(v);
  if (image == nullptr) return box_behind(v);
  if (!image->low || !image->high) return {low_, high_};
  if (of_moved || !image->changes()) return {image->low, image->high};
  const auto edge = [&](Value x) { return sum_of(product_of(x, image->scale), image->shift); };
  Builder& g = v.builder();
  const Value a = edge(image->low);
  const Value b = edge(image->high);
  return {g.add(kMin, {a, b}), g.add(kMax, {a, b})};
}

std::pair<Value, Value> AffineImages::box_behind(Value v) const {
  // Down to a value whose box is known, then up again: chains may be as long as the network.
  std::vector<std::pair<Value, Value>> moves;  // nodes and the operands whose boxes they move
  const std::pair whole(low_, high_);
  if (!low_ || !high_) return whole;
  while (of(v) == nullptr) {
    const Value operand = v.is(kClip) || v.is(kRelu) ? v.input(0) : scaled_operand(v);
    if (!operand || operand.constant() || v.shape() != operand.shape()) break;
    moves.emplace_back(v, operand);
    v = operand;
  }
  auto edges = of(v) != nullptr ? box(v, false) : whole;
  if (!edges.first || !edges.second) return whole;
  Builder& g = v.builder();
  for (const auto& [node, operand] : moves | std::views::reverse) {
    const auto moved = [&](Value edge) {
      std::vector<Value> inputs;
      for (std::size_t i = 0; i < node.inputs(); ++i)
        inputs.push_back(node.input(i) == operand ? edge : node.input(i));
      return g.add(*node.node().op, std::move(inputs), node.attributes());
    };
    const Value a = moved(edges.first);
    const Value b = moved(edges.second);
    edges = {g.add(kMin, {a, b}), g.add(kMax, {a, b})};
  }
  return edges;
}

std::optional<Linear> AffineImages::folded(Value node, const Linear& layer) const {
  const AffineImage* image = layer.a.size() == 1 ? of(layer.a[0]) : nullptr;
  if (image == nullptr || !image->changes()) return std::nullopt;
  const Shape x = layer.a[0].shape();
  const Value w = image->scale ? scaled_weights(node, layer.w, image->scale, x) : layer.w;
  if (!w) return std::nullopt;
  Linear folded = layer;
  folded.a = {image->moved};
  folded.w = w;
  if (!image->shift) return folded;
  // What the shift contributes; of one sample where it is the same for all.
  Shape one = x;
  if (aligned(image->shift.shape(), x)[0] == 1) one[0] = 1;
  folded.b = layer.apply({expand(image->shift, one)}, layer.w, layer.b);
  folded.apply = [apply = layer.apply](const Operands& a, Value v, Value b) {
    const Value z = apply(a, v, {});
    return b ? z + b : z;
  };
  return folded;
}

Value AffineImages::pulled_back(Value moved, Value relevance) const {
  std::map<NodeId, Value> totals{{moved.id(), relevance}};
  while (totals.rbegin()->first > input_.id()) {
    const auto [id, R] = *totals.rbegin();
    totals.erase(id);
    const Value node(&moved.builder(), id);
    const std::vector<Value> parts = node.node().op->derivative(node, R);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i] || !node.input(i) || node.input(i).constant()) continue;
      Value& total = totals[node.input(i).id()];
      total = total ? total + parts[i] : parts[i];
    }
  }
  return totals.rbegin()->second;
}

}  // namespace heatproof
