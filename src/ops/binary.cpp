// Elementwise operators of two values, with numpy broadcasting.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/sizes.h"
#include "ops/arithmetic.h"
#include "ops/bias.h"
#include "ops/broadcast_offset.h"
#include "ops/definedness.h"
#include "ops/elementwise.h"
#include "ops/linear_views.h"
#include "ops/selection.h"

namespace heatproof {

namespace {

Type infer(const NodeView& v) {
  Type type{v.input(0).dtype, broadcast(v.shape(0), v.shape(1))};
  if (v.input(0).dtype != v.input(1).dtype) throw Error("operands have different element types");
  return type;
}

template <typename F>
Tensor fold_integers(const NodeView& v, F f) {
  const Tensor& a = v.inputs[0]->constant;
  const Tensor& b = v.inputs[1]->constant;
  const Shape& shape = v.node.type.shape;
  Tensor result = Tensor::empty(DType::i64, shape);
  const BroadcastOffset from_a(a.shape(), shape);
  const BroadcastOffset from_b(b.shape(), shape);
  const auto x = a.data<std::int64_t>();
  const auto y = b.data<std::int64_t>();
  std::int64_t k = 0;
  for (std::int64_t& number : result.data<std::int64_t>()) {
    number = f(x[from_a(k)], y[from_b(k)]);
    ++k;
  }
  return result;
}

std::int64_t plus(std::int64_t a, std::int64_t b) { return sizes::sum(a, b); }
std::int64_t times(std::int64_t a, std::int64_t b) { return sizes::product(a, b); }
std::int64_t minus(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_sub_overflow(a, b, &result)) throw Error(fmt::format("{} less {} does not fit", a, b));
  return result;
}

template <typename F>
Tensor fold(const NodeView& v, F integers) {
  return v.node.type.dtype == DType::i64 ? fold_integers(v, integers) : fold_elementwise(v);
}

HEATPROOF_SIMD void add(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] + x[1][i];
}
HEATPROOF_SIMD void sub(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] - x[1][i];
}
HEATPROOF_SIMD void mul(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] * x[1][i];
}
HEATPROOF_SIMD void div(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] / x[1][i];
}
HEATPROOF_SIMD void max(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = (x[0][i] > x[1][i]) | (x[0][i] != x[0][i]) ? x[0][i] : x[1][i];  // NaN stays
}
HEATPROOF_SIMD void min(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = (x[0][i] < x[1][i]) | (x[0][i] != x[0][i]) ? x[0][i] : x[1][i];
}
void pow(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = x[1][i] == 2.0F   ? x[0][i] * x[0][i]
           : x[1][i] == 0.5F ? std::sqrt(x[0][i])
                             : std::pow(x[0][i], x[1][i]);
  }
}

Value shaped(Builder& g, const NodeView& v, std::size_t i) {
  return expand(input_of(g, v, i), v.node.type.shape);
}

/// a·x + a·y = a·(x + y): what arrives at a value by several ways is multiplied by it once.
Value factored(Builder& g, const NodeView& v) {
  const Value p(&g, v.node.inputs[0]);
  const Value q(&g, v.node.inputs[1]);
  if (!v.node.name.empty()) return {};  // the user's own additions stay as they are
  if (!is_product(p) || p.node().op != q.node().op || p.constant() || q.constant() || p.shape() != q.shape())
    return {};
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 2; ++j) {
      const Value x = p.input(1 - i);
      const Value y = q.input(1 - j);
      if (p.input(i) == q.input(j) && x.shape() == p.shape() && y.shape() == p.shape())
        return g.add(*p.node().op, {p.input(i), x + y});
    }
  }
  return {};
}

Value simplify_add(Builder& g, const NodeView& v) {
  if (v.node.type.dtype != DType::f32) return {};
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a && b) return g.fill(v.node.type.shape, *a + *b);
  if (b == 0.0F) return shaped(g, v, 0);
  if (a == 0.0F) return shaped(g, v, 1);
  if (const Value w = without_expand(g, v)) return w;
  return factored(g, v);
}

Value simplify_sub(Builder& g, const NodeView& v) {
  if (v.node.type.dtype != DType::f32) return {};
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a && b) return g.fill(v.node.type.shape, *a - *b);
  if (b == 0.0F) return shaped(g, v, 0);
  if (a == 0.0F) return -shaped(g, v, 1);
  return {};
}

/// 0 · x is 0 here even where x is infinite: rules multiply by inputs that are known to be zero.
Value simplify_mul(Builder& g, const NodeView& v) {
  if (v.node.type.dtype != DType::f32) return {};
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a && b) return g.fill(v.node.type.shape, *a * *b);
  // In the user's own products 0 · NaN is NaN.
  if (v.node.name.empty() &&
      (a == 0.0F || b == 0.0F || v.inputs[0]->sign == Sign::zero || v.inputs[1]->sign == Sign::zero)) {
    return g.fill(v.node.type.shape, 0);
  }
  if (b == 1.0F) return shaped(g, v, 0);
  if (a == 1.0F) return shaped(g, v, 1);
  if (const Value w = without_expand(g, v)) return w;
  return factor_before_spreading(g, v);
}

Value simplify_div(Builder& g, const NodeView& v) {
  if (v.node.type.dtype != DType::f32) return {};
  const auto a = splat(v, 0);
  const auto b = splat(v, 1);
  if (a && b) return g.fill(v.node.type.shape, *a / *b);
  if (a == 0.0F) return g.fill(v.node.type.shape, 0);
  if (b == 1.0F) return shaped(g, v, 0);
  if (const Value w = without_expand(g, v)) return w;
  return factor_before_spreading(g, v);
}

Sign sign_add(const NodeView& v) {
  if (is_non_negative(v.inputs[0]->sign) && is_non_negative(v.inputs[1]->sign)) return Sign::non_negative;
  if (is_non_positive(v.inputs[0]->sign) && is_non_positive(v.inputs[1]->sign)) return Sign::non_positive;
  return Sign::any;
}
Sign sign_max(const NodeView& v) {
  if (is_non_negative(v.inputs[0]->sign) || is_non_negative(v.inputs[1]->sign)) return Sign::non_negative;
  return sign_add(v);
}

std::vector<Value> add_derivative(Value n, Value g) {
  return {sum_to(g, n.input(0).shape()), sum_to(g, n.input(1).shape())};
}
std::vector<Value> sub_derivative(Value n, Value g) {
  return {sum_to(g, n.input(0).shape()), sum_to(-g, n.input(1).shape())};
}

/// Gradients only for operands that vary.
template <typename F>
std::vector<Value> for_each_variable(Value n, F f) {
  std::vector<Value> gradients(2);
  for (std::size_t i = 0; i < 2; ++i) {
    if (!n.input(i).constant()) gradients[i] = sum_to(f(i), n.input(i).shape());
  }
  return gradients;
}

std::vector<Value> mul_derivative(Value n, Value g) {
  return for_each_variable(n, [&](std::size_t i) { return masked(g, n.input(1 - i)); });
}
std::vector<Value> div_derivative(Value n, Value g) {
  return for_each_variable(
      n, [&](std::size_t i) { return masked_quotient(i == 0 ? g : -masked(g, n), n.input(1)); });
}
/// Zero to a constant power does not change with it: 0 · log 0 is 0, even for an exponent of 0.
/// Unless the base is positive, or a power by natural numbers.
bool power_may_be_undefined(const Graph& g, const Node& n) {
  const auto exponent = splat(g.node(n.inputs[1]));
  const bool natural = exponent && *exponent >= 0 && *exponent == std::floor(*exponent);
  const bool root = exponent && *exponent >= 0 && is_non_negative(g.node(n.inputs[0]).sign);
  return !natural && !root && !is_positive(g, n.inputs[0]);
}

std::vector<Value> pow_derivative(Value n, Value g) {
  return for_each_variable(n, [&](std::size_t i) {
    Builder& b = g.builder();
    const Value x = n.input(0);
    if (i == 0) return masked(masked(g, n.input(1)), b.add(kPow, {x, n.input(1) - 1.0}));
    return masked(masked(masked(g, n), step(abs(x))), b.add(kLog, {x}));
  });
}
/// Ties share the gradient in halves, as torch.maximum does.
std::vector<Value> extreme_derivative(Value n, Value g) {
  return for_each_variable(n, [&](std::size_t i) {
    const Value difference = n.is(kMax) ? n.input(i) - n.input(1 - i) : n.input(1 - i) - n.input(i);
    return masked(g, 1.0 + step(difference) - step(-difference)) * 0.5;
  });
}

Value canonical_max(Value node, const std::vector<bool>&) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Value other = node.input(i);
    if (other.sign() == Sign::zero && node.input(1 - i).shape() == node.shape() &&
        node.dtype() == DType::f32) {
      return node.builder().add(kRelu, {node.input(1 - i)}, {}, node.node().name);
    }
  }
  return {};
}

/// x · sigmoid(x) is SiLU, x · hardsigmoid(x) is HardSwish; GELU is a longer product.
Value canonical_mul(Value node, const std::vector<bool>&) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Value gate = node.input(i);
    if (gate.inputs() != 1 || gate.input(0) != node.input(1 - i)) continue;
    if (gate.is(kSigmoid)) return node.builder().add(kSilu, {gate.input(0)}, {}, node.node().name);
    const bool standard = std::abs(gate.attributes().number("alpha", 0.2) - 1.0 / 6) < 1e-6 &&
                          std::abs(gate.attributes().number("beta", 0.5) - 0.5) < 1e-6;
    if (gate.is(kHardSigmoid) && standard)
      return node.builder().add(kHardSwish, {gate.input(0)}, {}, node.node().name);
  }
  return recognise_gelu(node);
}

}  // namespace

const Operator kAdd = {.name = "Add",
                       .infer = infer,
                       .derivative = add_derivative,
                       .linear = add_linear,
                       .simplify = simplify_add,
                       .canonicalize = absorb_bias,
                       .fold = [](const NodeView& v) { return fold(v, plus); },
                       .sign = sign_add,
                       .traits = {.kind = Kind::sum,
                                  .behaviour = Behaviour::linear,
                                  .commutative = true,
                                  .elementwise = {.tile = add}}};
const Operator kSub = {
    .name = "Sub",
    .infer = infer,
    .derivative = sub_derivative,
    .linear = sub_linear,
    .simplify = simplify_sub,
    .fold = [](const NodeView& v) { return fold(v, minus); },
    .traits = {.kind = Kind::sum, .behaviour = Behaviour::linear, .elementwise = {.tile = sub}}};
const Operator kMul = {.name = "Mul",
                       .infer = infer,
                       .derivative = mul_derivative,
                       .linear = mul_linear,
                       .simplify = simplify_mul,
                       .canonicalize = canonical_mul,
                       .fold = [](const NodeView& v) { return fold(v, times); },
                       .sign = sign_of_product,
                       .traits = {.kind = Kind::scaling,
                                  .behaviour = Behaviour::bilinear,
                                  .commutative = true,
                                  .elementwise = {.tile = mul}}};
const Operator kDiv = {
    .name = "Div",
    .infer = infer,
    .derivative = div_derivative,
    .linear = div_linear,
    .simplify = simplify_div,
    .fold =
        [](const NodeView& v) {
          return fold(v, [](std::int64_t a, std::int64_t b) {
            if (b == 0) throw Error("division of integers by zero");
            return b == -1 ? minus(0, a) : a / b;  // the smallest number by -1 does not fit
          });
        },
    .sign = sign_of_product,
    .undefined =
        [](const Graph& g, const Node& n) {
          return !is_positive(g, n.inputs[1]) && !is_zero_nowhere(g.node(n.inputs[1]));
        },
    .traits = {.kind = Kind::scaling, .behaviour = Behaviour::derivative, .elementwise = {.tile = div}}};
const Operator kPow = {
    .name = "Pow",
    .infer = infer,
    .derivative = pow_derivative,
    .fold =
        [](const NodeView& v) { return v.node.type.dtype == DType::f32 ? fold_elementwise(v) : Tensor(); },
    .undefined = power_may_be_undefined,
    .traits = {.behaviour = Behaviour::elementwise, .elementwise = {.tile = pow}}};
const Operator kMax = {
    .name = "Max",
    .infer = infer,
    .derivative = extreme_derivative,
    .canonicalize = canonical_max,
    .fold =
        [](const NodeView& v) {
          return fold(v, [](std::int64_t a, std::int64_t b) { return std::max(a, b); });
        },
    .sign = sign_max,
    .traits = {.behaviour = Behaviour::selection, .commutative = true, .elementwise = {.tile = max}}};
const Operator kMin = {
    .name = "Min",
    .infer = infer,
    .derivative = extreme_derivative,
    .fold =
        [](const NodeView& v) {
          return fold(v, [](std::int64_t a, std::int64_t b) { return std::min(a, b); });
        },
    .sign = sign_add,
    .traits = {.behaviour = Behaviour::selection, .commutative = true, .elementwise = {.tile = min}}};

}  // namespace heatproof
