// Reverse: the elements along each of some axes in the opposite order. It is its own adjoint.
#include "ops/reverse.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

std::vector<std::int64_t> axes_of(const Attributes& a) { return a.integers("axes"); }

Type infer(const NodeView& v) {
  const Shape& x = v.shape(0);
  for (std::int64_t axis : axes_of(v.node.attributes)) {
    if (axis < 0 || axis >= x.rank())
      throw Error(fmt::format("axis {} of a value of shape {}", axis, to_string(x)));
  }
  return {v.input(0).dtype, x};
}

StridedCopy copy_of(const Shape& x, const std::vector<std::int64_t>& axes) {
  StridedCopy copy{.lengths = {x.begin(), x.end()}, .from_strides = x.strides(), .to_strides = x.strides()};
  for (std::size_t a = 0; a < x.size(); ++a) {
    if (std::ranges::count(axes, static_cast<std::int64_t>(a)) == 0) continue;
    copy.from_offset += (x[a] - 1) * copy.from_strides[a];
    copy.from_strides[a] = -copy.from_strides[a];
  }
  return copy;
}

Value simplify(Builder& g, const NodeView& v) {
  const Value x = input_of(g, v, 0);
  const auto axes = axes_of(v.node.attributes);
  if (std::ranges::all_of(axes, [&](std::int64_t a) { return x.shape()[static_cast<std::size_t>(a)] == 1; }))
    return x;
  if (x.is(kFill)) return g.fill(v.node.type.shape, *splat(v, 0));
  if (x.is(kReverse) && axes_of(x.attributes()) == axes) return x.input(0);
  return {};
}

}  // namespace

const Operator kReverse = {
    .name = "Reverse",
    .infer = infer,
    .derivative = [](Value n,
                     Value g) { return std::vector{g.builder().add(kReverse, {g}, n.attributes())}; },
    .simplify = simplify,
    .fold =
        [](const NodeView& v) {
          const Tensor& t = v.inputs[0]->constant;
          if (!foldable(t)) return Tensor();
          return copy_tensor(t, v.node.type.shape, copy_of(t.shape(), axes_of(v.node.attributes)));
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.plain(l.input(id, 0));
          const Operand y = l.result(id, Layout{});
          StridedCopy copy = copy_of(x.shape, axes_of(l.node(id).attributes));
          copy.size = element_size(l.node(id));
          emit_copy(l, "Reverse", x.buffer, y.buffer, copy);
        },
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
