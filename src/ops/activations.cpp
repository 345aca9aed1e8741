// Activations: elementwise functions of one value between layers. Derivatives are torch's at the kinks, and
// choose: what they mask is zero, whatever gradient arrives.
#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/transcendental.h"

namespace heatproof {

namespace {

HEATPROOF_SIMD void relu(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] <= 0 ? 0.0F : x[0][i];  // NaN stays
}
HEATPROOF_SIMD void leaky_relu(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float slope = p[0];
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] > 0 ? x[0][i] : slope * x[0][i];
}
HEATPROOF_SIMD void clip(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float low = p[0];
  const float high = p[1];
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i] < low ? low : x[0][i];
    y[i] = v > high ? high : v;
  }
}
HEATPROOF_SIMD void hard_sigmoid(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float alpha = p[0];
  const float beta = p[1];
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = alpha * x[0][i] + beta;
    const float w = v <= 0 ? 0.0F : v;
    y[i] = w >= 1 ? 1.0F : w;
  }
}
HEATPROOF_SIMD void hard_swish(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i] + 3.0F;
    const float w = v > 0 ? v : 0.0F;
    y[i] = x[0][i] * (w < 6 ? w : 6.0F) / 6.0F;
  }
}
HEATPROOF_SIMD void elu(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float above = p[1];
  const float below = p[1] * p[0];
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i];
    const float exponential = below * transcendental::expm1(v);
    y[i] = v > 0 ? above * v : exponential;
  }
}
HEATPROOF_SIMD void celu(const float* const* x, float* y, std::int64_t n, const float* p) {
  const float alpha = p[0];
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i];
    const float exponential = alpha * transcendental::expm1(v / alpha);
    y[i] = v > 0 ? v : exponential;
  }
}
HEATPROOF_SIMD void sigmoid(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::sigmoid(x[0][i]);
}
HEATPROOF_SIMD void silu(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] * transcendental::sigmoid(x[0][i]);
}
HEATPROOF_SIMD void tanh(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::tanh(x[0][i]);
}
HEATPROOF_SIMD void softplus(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::softplus(x[0][i]);
}
HEATPROOF_SIMD void softsign(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[0][i] / (1.0F + std::fabs(x[0][i]));
}
HEATPROOF_SIMD void mish(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = transcendental::mish(x[0][i]);
}
HEATPROOF_SIMD void gelu(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i];
    y[i] = 0.5F * v * (1.0F + transcendental::erf(v * 0.70710678F));
  }
}
HEATPROOF_SIMD void gelu_by_tanh(const float* const* x, float* y, std::int64_t n, const float*) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[0][i];
    y[i] = 0.5F * v * (1.0F + transcendental::tanh(0.79788456F * (v + 0.044715F * v * v * v)));
  }
}
/// `exact` says which of both.
void either_gelu(const float* const* x, float* y, std::int64_t n, const float* exact) {
  (exact[0] != 0 ? gelu : gelu_by_tanh)(x, y, n, nullptr);
}

Value apply(const Operator& op, Value x) { return x.builder().add(op, {x}); }

/// 1 where low < x < high, as torch's hardtanh.
Value inside(Value x, double low, double high) {
  Value mask = step(x - low);
  return std::isinf(high) ? mask : mask * step(high - x);
}

std::vector<Value> clip_derivative(Value n, Value g) {
  const double high = n.attributes().number("max", std::numeric_limits<double>::infinity());
  const double low = n.attributes().number("min", -std::numeric_limits<double>::infinity());
  // Of the result, which is the input where it is inside of the bounds, and need not be kept beside it.
  if (std::isinf(low)) return {std::isinf(high) ? g : masked(g, step(high - n))};
  return {masked(g, inside(n, low, high))};
}

std::vector<Value> elu_like(Value n, Value g, double alpha, double scale) {
  const Value x = n.input(0);
  return {masked(g, step(x) * scale + masked(1.0 - step(x), n + alpha * scale))};
}

std::vector<Value> gelu_derivative(Value n, Value g) {
  const Value x = n.input(0);
  if (n.attributes().text("approximate", "none") == "none") {
    const Value cdf = 0.5 * (apply(kErf, x * 0.7071067811865476) + 1.0);
    return {masked(g, cdf + masked(x * 0.3989422804014327, apply(kExp, -0.5 * (x * x))))};
  }
  const Value t = apply(kTanh, 0.7978845608028654 * (x + 0.044715 * (x * x * x)));
  const Value inner = 0.7978845608028654 * ((3 * 0.044715) * (x * x) + 1.0);
  return {masked(g, 0.5 * (t + 1.0) + masked(masked(0.5 * x, 1.0 - t * t), inner))};
}

Value canonical_clip(Value node, const std::vector<bool>&) {
  if (node.attributes().number("min", -1) != 0 || node.attributes().has("max")) return {};
  return node.builder().add(kRelu, {node.input(0)}, {}, node.node().name);
}

Traits activation(Tile tile, std::vector<float> (*parameters)(const Attributes&) = nullptr) {
  return {.kind = Kind::activation,
          .behaviour = Behaviour::elementwise,
          .elementwise = {.tile = tile, .parameters = parameters}};
}

float attribute(const Attributes& a, std::string_view name, double otherwise) {
  return static_cast<float>(a.number(name, otherwise));
}

/// Of functions that have the sign of `above` · x where x > 0, and of `below` · x elsewhere: networks may say
/// of slopes what they want.
Sign sign_of_halves(const NodeView& v, double above, double below) {
  const Sign x = v.inputs[0]->sign;
  const bool keeps = (is_non_positive(x) || above >= 0) && (is_non_negative(x) || below >= 0);
  return keeps ? x : Sign::any;
}

Sign sign_of_selu(const NodeView& v) {
  const double gamma = v.node.attributes.number("gamma", 1.0507009873554805);
  return sign_of_halves(v, gamma, gamma * v.node.attributes.number("alpha", 1.6732632423543772));
}

/// Where the bounds cross, the upper one is the result.
Sign sign_of_clip(const NodeView& v) {
  const Attributes& a = v.node.attributes;
  return a.number("min", -1) >= 0 && a.number("max", 0) >= 0 ? Sign::non_negative : Sign::any;
}

}  // namespace

const Operator kRelu = {.name = "Relu",
                        .infer = infer_same,
                        .derivative = [](Value n, Value g) { return std::vector{masked(g, step(n))}; },
                        .simplify =
                            [](Builder& g, const NodeView& v) {
                              // Kept where a network applies it twice: rules see every activation. Constants
                              // are folded.
                              return simplify_unary(g, v);
                            },
                        .sign = always_non_negative,
                        .traits = activation(relu)};
const Operator kLeakyRelu = {
    .name = "LeakyRelu",
    .infer = infer_same,
    .derivative =
        [](Value n, Value g) {
          const double slope = n.attributes().number("alpha", 0.01);
          return std::vector{masked(g, step(n.input(0)) * (1 - slope) + slope)};
        },
    .simplify = simplify_unary,
    .sign = [](const NodeView& v) { return sign_of_halves(v, 1, v.node.attributes.number("alpha", 0.01)); },
    .traits =
        activation(leaky_relu, [](const Attributes& a) { return std::vector{attribute(a, "alpha", 0.01)}; })};
const Operator kClip = {.name = "Clip",
                        .infer = infer_same,
                        .derivative = clip_derivative,
                        .canonicalize = canonical_clip,
                        .fold = fold_elementwise,
                        .sign = sign_of_clip,
                        .traits = activation(clip, [](const Attributes& a) {
                          constexpr double kInfinity = std::numeric_limits<double>::infinity();
                          return std::vector{attribute(a, "min", -kInfinity), attribute(a, "max", kInfinity)};
                        })};
const Operator kElu = {
    .name = "Elu",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return elu_like(n, g, n.attributes().number("alpha", 1), 1); },
    .sign = [](const NodeView& v) { return sign_of_halves(v, 1, v.node.attributes.number("alpha", 1)); },
    .traits = activation(elu, [](const Attributes& a) {
      return std::vector{attribute(a, "alpha", 1), 1.0F};
    })};
const Operator kSelu = {.name = "Selu",
                        .infer = infer_same,
                        .derivative =
                            [](Value n, Value g) {
                              return elu_like(n, g, n.attributes().number("alpha", 1.6732632423543772),
                                              n.attributes().number("gamma", 1.0507009873554805));
                            },
                        .sign = sign_of_selu,
                        .traits = activation(elu, [](const Attributes& a) {
                          return std::vector{attribute(a, "alpha", 1.6732632423543772),
                                             attribute(a, "gamma", 1.0507009873554805)};
                        })};
const Operator kCelu = {
    .name = "Celu",
    .infer = infer_same,
    .derivative =
        [](Value n, Value g) {
          const double alpha = n.attributes().number("alpha", 1);
          const Value x = n.input(0);
          return std::vector{masked(g, step(x) + masked(1.0 - step(x), n / alpha + 1.0))};
        },
    .sign = keep_sign,
    .traits = activation(celu, [](const Attributes& a) { return std::vector{attribute(a, "alpha", 1)}; })};
const Operator kSigmoid = {
    .name = "Sigmoid",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(masked(g, n), 1.0 - n)}; },
    .sign = always_non_negative,
    .traits = activation(sigmoid)};
const Operator kHardSigmoid = {.name = "HardSigmoid",
                               .infer = infer_same,
                               .derivative =
                                   [](Value n, Value g) {
                                     const double alpha = n.attributes().number("alpha", 0.2);
                                     return std::vector{masked(masked(g * alpha, step(n)), step(1.0 - n))};
                                   },
                               .sign = always_non_negative,
                               .traits = activation(hard_sigmoid, [](const Attributes& a) {
                                 return std::vector{attribute(a, "alpha", 0.2), attribute(a, "beta", 0.5)};
                               })};
const Operator kHardSwish = {
    .name = "HardSwish",
    .infer = infer_same,
    .derivative =
        [](Value n, Value g) {
          const Value x = n.input(0);
          const Value middle = step(x + 3.0) * step(3.0 - x);
          return std::vector{masked(g, masked(middle, x / 3.0 + 0.5) + (1.0 - step(3.0 - x)))};
        },
    .traits = activation(hard_swish)};
const Operator kTanh = {.name = "Tanh",
                        .infer = infer_same,
                        .derivative = [](Value n, Value g) { return std::vector{masked(g, 1.0 - n * n)}; },
                        .sign = keep_sign,
                        .traits = activation(tanh)};
const Operator kSoftplus = {
    .name = "Softplus",
    .infer = infer_same,
    .derivative = [](Value n, Value g) { return std::vector{masked(g, apply(kSigmoid, n.input(0)))}; },
    .sign = always_non_negative,
    .traits = activation(softplus)};
const Operator kSoftsign = {.name = "Softsign",
                            .infer = infer_same,
                            .derivative =
                                [](Value n, Value g) {
                                  const Value d = abs(n.input(0)) + 1.0;
                                  return std::vector{masked_quotient(g, d * d)};
                                },
                            .sign = keep_sign,
                            .traits = activation(softsign)};
const Operator kGelu = {.name = "Gelu",
                        .infer = infer_same,
                        .derivative = gelu_derivative,
                        .traits = activation(either_gelu, [](const Attributes& a) {
                          return std::vector{a.text("approximate", "none") == "none" ? 1.0F : 0.0F};
                        })};
const Operator kSilu = {.name = "Silu",
                        .infer = infer_same,
                        .derivative =
                            [](Value n, Value g) {
                              const Value s = apply(kSigmoid, n.input(0));
                              return std::vector{masked(g, s + masked(n, 1.0 - s))};
                            },
                        .traits = activation(silu)};
const Operator kMish = {
    .name = "Mish",
    .infer = infer_same,
    .derivative =
        [](Value n, Value g) {
          const Value x = n.input(0);
          const Value t = apply(kTanh, apply(kSoftplus, x));
          return std::vector{masked(g, t + masked(masked(x, 1.0 - t * t), apply(kSigmoid, x)))};
        },
    .traits = activation(mish)};

}  // namespace heatproof
