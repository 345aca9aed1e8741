// Pad with a constant value: attributes pads (begin..., end... for every axis, not negative) and value.
#include <fmt/format.h>

#include "base/sizes.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

std::vector<std::int64_t> begins(const Attributes& a) {
  auto pads = a.integers("pads");
  pads.resize(pads.size() / 2);
  return pads;
}

Type infer(const NodeView& v) {
  const auto pads = v.node.attributes.integers("pads");
  Shape y = v.shape(0);
  if (pads.size() != 2 * y.size()) throw Error(fmt::format("pads needs {} values", 2 * y.size()));
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (pads[i] < 0 || pads[i + y.size()] < 0) throw Error("negative pads; crop with Slice instead");
    y[i] = sizes::sum(y[i], sizes::sum(pads[i], pads[i + y.size()]));
  }
  return {v.input(0).dtype, y};
}

std::vector<Value> derivative(Value n, Value g) {
  const auto starts = begins(n.attributes());
  std::vector<std::int64_t> ends;
  for (std::size_t i = 0; i < starts.size(); ++i) ends.push_back(starts[i] + n.input(0).shape()[i]);
  const std::vector<std::int64_t> steps(starts.size(), 1);
  return {g.builder().add(kSlice, {g}, {{"starts", starts}, {"ends", ends}, {"steps", steps}})};
}

void lower(Lowering& l, NodeId id) {
  const Operand x = l.plain(l.input(id, 0));
  const Operand y = l.result(id, Layout{});
  StridedCopy copy{.lengths = x.shape, .from_strides = x.shape.strides(), .to_strides = y.shape.strides()};
  const auto starts = begins(l.node(id).attributes);
  for (std::size_t i = 0; i < starts.size(); ++i) copy.to_offset += starts[i] * copy.to_strides[i];
  copy.simplify();
  const auto value = static_cast<float>(l.node(id).attributes.number("value", 0));
  l.emit({.name = "Pad",
          .reads = {x.buffer},
          .writes = {y.buffer},
          .bind = [=, from = x.buffer, to = y.buffer, n = y.shape.elements()](const Binding& bind) -> Action {
            const float* source = bind.f32(from);
            float* target = bind.f32(to);
            return [=] {
              std::fill_n(target, n, value);
              copy.run(source, target);
            };
          }});
}

std::optional<Windowed> windowed(const NodeView& v) {
  const auto starts = begins(v.node.attributes);
  if (v.node.type.shape[0] != v.shape(0)[0] || v.node.type.shape[1] != v.shape(0)[1]) return std::nullopt;
  Windowed w{.outside = static_cast<float>(v.node.attributes.number("value", 0)), .copies = true};
  for (std::size_t i = 2; i < starts.size(); ++i) w.axes.push_back({1, 1, starts[i]});
  return w;
}

/// Zero padding before a convolution is the convolution's own padding.
Value no_pads(Builder& g, const NodeView& v) {
  return v.node.type.shape == v.shape(0) ? input_of(g, v, 0) : Value{};
}

}  // namespace

const Operator kPad = {
    .name = "Pad",
    .infer = infer,
    .derivative = derivative,
    .simplify = no_pads,
    .sign =
        [](const NodeView& v) {
          const double value = v.node.attributes.number("value", 0);
          const Sign x = v.inputs[0]->sign;
          if (value == 0) return x;
          if (value > 0 && is_non_negative(x)) return Sign::non_negative;
          return value < 0 && is_non_positive(x) ? Sign::non_positive : Sign::any;
        },
    .windowed = windowed,
    .lower = lower,
    .traits = {.behaviour = Behaviour::selection},
};

}  // namespace heatproof
