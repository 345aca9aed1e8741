// MatMul of two values with numpy's broadcasting of the leading axes; by constant weights it becomes Linear.
#include <fmt/format.h>

#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"

namespace heatproof {

namespace {

Shape leading(const Shape& s) { return {s.begin(), s.end() - 2}; }

Type infer(const NodeView& v) {
  const Shape& a = v.shape(0);
  const Shape& b = v.shape(1);
  if (a.rank() < 2 || b.rank() < 2 || a.back() != b[b.size() - 2]) {
    throw Error(fmt::format("matrices of shapes {} and {} cannot be multiplied", to_string(a), to_string(b)));
  }
  Shape y = broadcast(leading(a), leading(b));
  y.push_back(a[a.size() - 2]);
  y.push_back(b.back());
  return {DType::f32, y};
}

Value swap_last(Value x) {
  std::vector<std::int64_t> perm;
  for (int i = 0; i < x.shape().rank(); ++i) perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transpose(x, perm);
}

Value product(Value a, Value b) { return a.builder().add(kMatMul, {a, b}); }

std::vector<Value> derivative(Value n, Value g) {
  const Value a = n.input(0);
  const Value b = n.input(1);
  std::vector<Value> gradients(2);
  if (!a.constant()) gradients[0] = sum_to(product(g, swap_last(b)), a.shape());
  if (!b.constant()) gradients[1] = sum_to(product(swap_last(a), g), b.shape());
  return gradients;
}

/// By a constant matrix on either side. (Matrices on the right become Linear where they have two axes.)
std::optional<Linear> linear(Value node) {
  const bool left = node.input(0).constant();
  if (left == node.input(1).constant()) return std::nullopt;
  const Value x = node.input(left ? 1 : 0);
  return Linear{
      .a = {x},
      .w = node.input(left ? 0 : 1),
      .b = {},
      .output = node,
      .apply =
          [left](const Operands& a, Value w, Value b) {
            const Value z = left ? product(w, a[0]) : product(a[0], w);
            return b ? z + b : z;
          },
      .transpose =
          [left, shape = x.shape()](Value w, Value s) {
            return Operands{sum_to(left ? product(swap_last(w), s) : product(s, swap_last(w)), shape)};
          },
  };
}

Value canonical(Value node, const std::vector<bool>&) {
  const Value w = node.input(1);
  if (!w.constant() || w.shape().rank() != 2 || node.input(0).constant()) return {};
  return node.builder().add(kLinear, {node.input(0), transpose(w, {1, 0})}, {}, node.node().name);
}

void lower(Lowering& l, NodeId id) {
  const Operand a = l.plain(l.input(id, 0));
  const Operand b = l.plain(l.input(id, 1));
  const Operand y = l.result(id, Layout{});
  // oneDNN broadcasts leading axes of length 1 when all operands have as many axes.
  const auto widened = [&](Shape s) {
    s.insert(s.begin(), y.shape.size() - s.size(), 1);
    return descriptor(s, {});
  };
  const auto pd = onednn::matmul(l.engine(), widened(a.shape), widened(b.shape), descriptor(y.shape, {}),
                                 onednn::caller_scratchpad());
  l.emit(fmt::format("MatMul {} {}", l.node(id).name, pd.impl_info_str()), dnnl::matmul(pd),
         {{DNNL_ARG_SRC, a.buffer, pd.src_desc()},
          {DNNL_ARG_WEIGHTS, b.buffer, pd.weights_desc()},
          {DNNL_ARG_DST, y.buffer, pd.dst_desc(), true}},
         pd.scratchpad_desc(), static_cast<double>(y.shape.elements()) * static_cast<double>(a.shape.back()));
}

}  // namespace

const Operator kMatMul = {
    .name = "MatMul",
    .infer = infer,
    .derivative = derivative,
    .linear = linear,
    .simplify =
        [](Builder& g, const NodeView& v) {
          // The user's own 0 · NaN is NaN.
          const bool zero =
              v.node.name.empty() && (v.inputs[0]->sign == Sign::zero || v.inputs[1]->sign == Sign::zero);
          return zero ? g.fill(v.node.type.shape, 0) : Value{};
        },
    .canonicalize = canonical,
    .lower = lower,
    .traits = {.behaviour = Behaviour::bilinear},
};

}  // namespace heatproof
