// Elementwise functions of one value that are no activations.
#include <cmath>

#include "ops/arithmetic.h"
#include "ops/definedness.h"
#include "ops/elementwise.h"
#include "ops/transcendental.h"

namespace heatproof {

namespace {

HEATPROOF_SIMD void neg(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = -x[0][i];
}
HEATPROOF_SIMD void absolute(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = std::fabs(x[0][i]);
}
HEATPROOF_SIMD void step_tile(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] > 0 ? 1.0F : 0.0F;
}
HEATPROOF_SIMD void positive_tile(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] > 0 ? x[0][i] : 0.0F;
}
HEATPROOF_SIMD void negative_tile(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] < 0 ? x[0][i] : 0.0F;
}
HEATPROOF_SIMD void stabilize_tile(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float epsilon = p[0];
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] + (x[0][i] >= 0 ? epsilon : -epsilon);
}

HEATPROOF_SIMD void exponential(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::exp(x[0][i]);
}
HEATPROOF_SIMD void error_function(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::erf(x[0][i]);
}
HEATPROOF_SIMD void square_root(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = std::sqrt(x[0][i]);
}
HEATPROOF_SIMD void reciprocal(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = 1.0F / x[0][i];
}

template <float (*F)(float)>
void map(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = F(x[0][i]);
}

float sign_of(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : x; }

Value simplify_sign_known(Builder& g, const NodeView& v, bool keeps_positive) {
  const Sign sign = v.inputs[0]->sign;
  const Value x = input_of(g, v, 0);
  if (keeps_positive ? is_non_negative(sign) : is_non_positive(sign)) return x;
  if (keeps_positive ? is_non_positive(sign) : is_non_negative(sign)) return zeros_like(x);
  return simplify_unary(g, v);
}

std::vector<Value> no_gradient(Value node, Value) { return {zeros_like(node.input(0))}; }

Value apply(const Operator& op, Value x) { return x.builder().add(op, {x}); }

std::optional<Linear> linear_neg(Value node) {
  return Linear{.a = {node.input(0)},
                .w = node.builder().fill({}, -1),
                .b = {},
                .output = node,
                .apply = [](const Operands& a, Value w, Value b) { return b ? a[0] * w + b : a[0] * w; },
                .transpose = [](Value w, Value s) { return Operands{s * w}; }};
}

}  // namespace

const Operator kNeg = {
    .name = "Neg",
    .infer = infer_same,
    .derivative = [](Value, Value g) { return std::vector{-g}; },
    .linear = linear_neg,
    .simplify =
        [](Builder& g, const NodeView& v) {
          if (v.inputs[0]->op == &kNeg) return Value(&g, v.inputs[0]->inputs[0]);
          return simplify_unary(g, v);
        },
    .fold = fold_elementwise,
    .sign =
        [](const NodeView& v) {
          const Sign s = v.inputs[0]->sign;
          return s == Sign::non_negative   ? Sign::non_positive
                 : s == Sign::non_positive ? Sign::non_negative
                                           : s;
        },
    .traits = {.kind = Kind::scaling, .behaviour = Behaviour::linear, .elementwise = {.tile = neg}}};
const Operator kAbs = {
    .name = "Abs",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(g, apply(kSign, n.input(0)))}; },
    .simplify =
        [](Builder& g, const NodeView& v) {
          return is_non_negative(v.inputs[0]->sign) ? input_of(g, v, 0) : simplify_unary(g, v);
        },
    .fold = fold_elementwise,
    .sign = always_non_negative,
    .traits = {.behaviour = Behaviour::linear, .elementwise = {.tile = absolute}}};  // x times its sign
const Operator kStep = {.name = "Step",
                        .infer = infer_same,
                        .derivative = no_gradient,
                        .simplify =
                            [](Builder& g, const NodeView& v) {
                              return is_non_positive(v.inputs[0]->sign) ? g.fill(v.node.type.shape, 0)
                                                                        : Value{};
                            },
                        .sign = always_non_negative,
                        .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = step_tile}}};
const Operator kPositive = {
    .name = "Positive",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(g, step(n))}; },
    .simplify = [](Builder& g, const NodeView& v) { return simplify_sign_known(g, v, true); },
    .sign = always_non_negative,
    .traits = {.behaviour = Behaviour::selection, .elementwise = {.tile = positive_tile}}};
const Operator kNegative = {
    .name = "Negative",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(g, step(-n))}; },
    .simplify = [](Builder& g, const NodeView& v) { return simplify_sign_known(g, v, false); },
    .sign = [](const NodeView&) { return Sign::non_positive; },
    .traits = {.behaviour = Behaviour::selection, .elementwise = {.tile = negative_tile}}};
const Operator kStabilize = {
    .name = "Stabilize",
    .infer = infer_same,
    .derivative = [](Value, Value g) { return std::vector{g}; },
    .sign = keep_sign,
    .traits = {.behaviour = Behaviour::elementwise,
               .elementwise = {.tile = stabilize_tile, .parameters = [](const Attributes& a) {
                                 return std::vector{static_cast<float>(a.number("epsilon", 1e-6))};
                               }}}};
const Operator kSign = {
    .name = "Sign",
    .infer = infer_same,
    .derivative = no_gradient,
    .fold = fold_elementwise,
    .sign = keep_sign,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<sign_of>}}};
const Operator kExp = {.name = "Exp",
                       .infer = infer_same,
                       .derivative = [](Value n, Value g) { return std::vector{masked(g, n)}; },
                       .fold = fold_elementwise,
                       .sign = always_non_negative,
                       .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = exponential}}};
const Operator kLog = {
    .name = "Log",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked_quotient(g, n.input(0))}; },
    .fold = fold_elementwise,
    .undefined = [](const Graph& g, const Node& n) { return !is_positive(g, n.inputs[0]); },
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::log>}}};
const Operator kSqrt = {
    .name = "Sqrt",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked_quotient(g * 0.5, n)}; },
    .fold = fold_elementwise,
    .sign = always_non_negative,
    .undefined = [](const Graph& g, const Node& n) { return !is_non_negative(g.node(n.inputs[0]).sign); },
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = square_root}}};
const Operator kReciprocal = {
    .name = "Reciprocal",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{-masked(masked(g, n), n)}; },
    .fold = fold_elementwise,
    .sign = keep_sign,
    .undefined = [](const Graph& g, const Node& n) { return !is_positive(g, n.inputs[0]); },
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = reciprocal}}};
const Operator kErf = {
    .name = "Erf",
    .infer = infer_same,
    .derivative =
        [](Value n, Value g) {
          const Value x = n.input(0);
          return std::vector{masked(g * 1.1283791670955126, apply(kExp, -(x * x)))};  // 2/√π
        },
    .fold = fold_elementwise,
    .sign = keep_sign,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = error_function}}};
const Operator kFloor = {
    .name = "Floor",
    .infer = infer_same,
    .derivative = no_gradient,
    .fold = fold_elementwise,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::floor>}}};
const Operator kCeil = {
    .name = "Ceil",
    .infer = infer_same,
    .derivative = no_gradient,
    .fold = fold_elementwise,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::ceil>}}};
const Operator kRound = {
    .name = "Round",  // halves to even, as ONNX says
    .infer = infer_same,
    .derivative = no_gradient,
    .fold = fold_elementwise,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::nearbyint>}}};
const Operator kSin = {
    .name = "Sin",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(g, apply(kCos, n.input(0)))}; },
    .fold = fold_elementwise,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::sin>}}};
const Operator kCos = {
    .name = "Cos",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{-masked(g, apply(kSin, n.input(0)))}; },
    .fold = fold_elementwise,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = map<std::cos>}}};

}  // namespace heatproof
