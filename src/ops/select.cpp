// Select(condition, a, b): a where the condition is not zero, b elsewhere. What is not chosen does not
// matter, even where it is infinite (attention masks of −∞).
#include "ops/arithmetic.h"
#include "ops/elementwise.h"

namespace heatproof {

namespace {

HEATPROOF_SIMD void choose(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float a = x[1][i];
    const float b = x[2][i];
    y[i] = x[0][i] != 0 ? a : b;
  }
}

Value simplify(Builder& g, const NodeView& v) {
  const auto condition = splat(v, 0);
  if (condition) return expand(input_of(g, v, *condition != 0 ? 1 : 2), v.node.type.shape);
  if (v.node.inputs[1] == v.node.inputs[2]) return expand(input_of(g, v, 1), v.node.type.shape);
  if (v.inputs[1]->sign == Sign::zero && v.inputs[2]->sign == Sign::zero) return g.fill(v.node.type.shape, 0);
  return {};
}

Sign sign(const NodeView& v) {
  const Sign a = v.inputs[1]->sign;
  const Sign b = v.inputs[2]->sign;
  if (is_non_negative(a) && is_non_negative(b)) return Sign::non_negative;
  if (is_non_positive(a) && is_non_positive(b)) return Sign::non_positive;
  return Sign::any;
}

/// A condition hangs on its own inputs by steps alone, whose derivative is zero.
std::vector<Value> derivative(Value n, Value g) {
  const Value c = n.input(0);
  const Value none = zeros_like(g);
  std::vector<Value> gradients(3);
  if (!n.input(1).constant()) gradients[1] = sum_to(select(c, g, none), n.input(1).shape());
  if (!n.input(2).constant()) gradients[2] = sum_to(select(c, none, g), n.input(2).shape());
  return gradients;
}

}  // namespace

const Operator kSelect = {
    .name = "Select",
    .infer = infer_broadcast,
    .derivative = derivative,
    .simplify = simplify,
    .fold = fold_elementwise,
    .sign = sign,
    .traits = {.behaviour = Behaviour::selection, .selects = true, .elementwise = {.tile = choose}}};

}  // namespace heatproof
