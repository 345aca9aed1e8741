// Products and quotients of derivatives and relevance, in which zero wins: what is masked by zero is zero,
// whatever stands behind the mask. 0 · ∞ is what 0 · y tends to along a path that is switched off (torch's
// masks are choices, too); the arithmetic of networks stays IEEE's (Mul, Div).
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/selection.h"

namespace heatproof {

namespace {

HEATPROOF_SIMD void product(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float a = x[0][i];
    const float b = x[1][i];
    const float ab = a * b;
    y[i] = (a == 0) | (b == 0) ? 0.0F : ab;
  }
}
HEATPROOF_SIMD void quotient(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float a = x[0][i];
    const float ratio = a / x[1][i];
    y[i] = a == 0 ? 0.0F : ratio;
  }
}

Value simplify_product(Builder& g, const NodeView& v) {
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a == 0.0F || b == 0.0F || v.inputs[0]->sign == Sign::zero || v.inputs[1]->sign == Sign::zero)
    return g.fill(v.node.type.shape, 0);
  if (a && b) return g.fill(v.node.type.shape, *a * *b);
  if (b == 1.0F) return expand(input_of(g, v, 0), v.node.type.shape);
  if (a == 1.0F) return expand(input_of(g, v, 1), v.node.type.shape);
  if (const Value w = without_expand(g, v)) return w;
  return factor_before_spreading(g, v);
}

Value simplify_quotient(Builder& g, const NodeView& v) {
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a == 0.0F || v.inputs[0]->sign == Sign::zero) return g.fill(v.node.type.shape, 0);
  if (a && b) return g.fill(v.node.type.shape, *a / *b);
  if (b == 1.0F) return expand(input_of(g, v, 0), v.node.type.shape);
  if (const Value w = without_expand(g, v)) return w;
  return factor_before_spreading(g, v);
}

}  // namespace

const Operator kMasked = {
    .name = "Masked",
    .infer = infer_broadcast,
    .derivative =
        [](Value n, Value g) {
          return std::vector{sum_to(masked(g, n.input(1)), n.input(0).shape()),
                             sum_to(masked(g, n.input(0)), n.input(1).shape())};
        },
    .simplify = simplify_product,
    .fold = fold_elementwise,
    .sign = sign_of_product,
    .traits = {.behaviour = Behaviour::bilinear, .commutative = true, .elementwise = {.tile = product}}};
const Operator kMaskedDiv = {
    .name = "MaskedDiv",
    .infer = infer_broadcast,
    .derivative =
        [](Value n, Value g) {
          return std::vector{sum_to(masked_quotient(g, n.input(1)), n.input(0).shape()),
                             sum_to(-masked_quotient(masked(g, n), n.input(1)), n.input(1).shape())};
        },
    .simplify = simplify_quotient,
    .fold = fold_elementwise,
    .sign = sign_of_product,
    .traits = {.behaviour = Behaviour::derivative, .elementwise = {.tile = quotient}}};

}  // namespace heatproof
