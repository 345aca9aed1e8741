// Expand: numpy broadcasting to a shape (attribute shape, complete).
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

StridedCopy copy_of(const Shape& x, const Shape& y) {
  StridedCopy copy;
  copy.lengths.assign(y.begin(), y.end());
  copy.to_strides = y.strides();
  const auto own = x.strides();
  const std::size_t shift = y.size() - x.size();
  for (std::size_t i = 0; i < y.size(); ++i) {
    copy.from_strides.push_back(i < shift || x[i - shift] == 1 ? 0 : own[i - shift]);
  }
  return copy;
}

}  // namespace

const Operator kExpand = {
    .name = "Expand",
    .infer =
        [](const NodeView& v) {
          const Shape shape(v.node.attributes.integers("shape"));
          if (broadcast(v.shape(0), shape) != shape) throw Error("cannot expand to a smaller shape");
          return Type{v.input(0).dtype, shape};
        },
    .derivative = [](Value n, Value g) { return std::vector{sum_to(g, n.input(0).shape())}; },
    .simplify =
        [](Builder& g, const NodeView& v) {
          const Value x = input_of(g, v, 0);
          if (x.shape() == v.node.type.shape) return x;
          if (x.dtype() == DType::f32) {
            if (const auto value = splat(v, 0)) return g.fill(v.node.type.shape, *value);
          }
          if (x.shape().elements() == v.node.type.shape.elements()) return reshape(x, v.node.type.shape);
          return Value{};
        },
    .fold =
        [](const NodeView& v) {
          const Tensor& t = v.inputs[0]->constant;
          if (v.node.type.shape.elements() > 4096) return Tensor();
          return copy_tensor(t, v.node.type.shape, copy_of(t.shape(), v.node.type.shape));
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.plain(l.input(id, 0));
          const Operand y = l.result(id, Layout{});
          StridedCopy copy = copy_of(x.shape, y.shape);
          copy.size = element_size(l.node(id));
          emit_copy(l, "Expand", x.buffer, y.buffer, copy);
        },
    .traits = {.behaviour = Behaviour::selection},
};

}  // namespace heatproof
