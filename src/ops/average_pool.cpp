// AveragePool and its adjoint. Rules see it as a depthwise convolution with equal weights.
#include <algorithm>

#include "base/simd.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

HEATPROOF_SIMD void forward(const float* x, float* y, const PoolGeometry& g, std::int64_t stride,
                            std::int64_t lanes) {
  for_outputs(
      g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) __attribute__((always_inline)) {
        float* sum = y + pixel * stride;
        for (std::int64_t c = 0; c < lanes; ++c) sum[c] = 0;
        for_window(
            g, at, [&](std::int64_t p) __attribute__((always_inline)) {
              for (std::int64_t c = 0; c < lanes; ++c) sum[c] += x[p * stride + c];
            });
        const float share = 1.0F / static_cast<float>(g.divisor(at));
        for (std::int64_t c = 0; c < lanes; ++c) sum[c] *= share;
      });
}

HEATPROOF_SIMD void backward(const float* s, float* y, const PoolGeometry& g, std::int64_t stride,
                             std::int64_t lanes) {
  for (std::int64_t p = 0; p < g.pixels_in(); ++p) std::fill_n(y + p * stride, lanes, 0.0F);
  for_outputs(
      g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) __attribute__((always_inline)) {
        const float share = 1.0F / static_cast<float>(g.divisor(at));
        const float* from = s + pixel * stride;
        for_window(
            g, at, [&](std::int64_t p) __attribute__((always_inline)) {
              for (std::int64_t c = 0; c < lanes; ++c) y[p * stride + c] += from[c] * share;
            });
      });
}

Value adjoint(Value s, const Attributes& attributes, const Shape& x) {
  Attributes a = attributes;
  a.set("input_shape", std::vector<std::int64_t>(x.begin(), x.end()));
  return s.builder().add(kAveragePoolTranspose, {s}, a);
}

/// Weights are relative to the equal ones: a value per channel that scales the average, 1 by default. Sums
/// over windows with weights 1/n need no more, since every rule treats all positions of a window alike.
std::optional<Linear> linear(Value node) {
  const Attributes attributes = node.attributes();
  const Shape x = node.input(0).shape();
  return Linear{.a = {node.input(0)},
                .w = node.builder().fill({}, 1),
                .b = {},
                .output = node,
                .apply =
                    [=](const Operands& a, Value w, Value b) {
                      const Value z = w * w.builder().add(kAveragePool, {a[0]}, attributes);
                      return b ? z + b : z;
                    },
                .transpose = [=](Value w, Value s) { return Operands{adjoint(w * s, attributes, x)}; }};
}

Value global(Value node, const std::vector<bool>&) {
  const Shape& x = node.input(0).shape();
  const PoolGeometry g = pool_geometry(node.attributes(), x);
  if (g.kernel != g.input || g.begin != std::array<std::int64_t, 3>{} || g.pixels_out() != 1) return {};
  if (g.dilation != std::array<std::int64_t, 3>{1, 1, 1}) return {};
  std::vector<std::int64_t> axes;
  for (int i = 2; i < x.rank(); ++i) axes.push_back(i);
  return node.builder().add(kReduceMean, {node.input(0)}, {{"axes", axes}, {"keepdims", std::int64_t{1}}},
                            node.node().name);
}

/// Where padding does not count, averages at the edge have smaller divisors.
std::optional<Windowed> windowed(const NodeView& v) {
  Windowed w = pool_windows(v, 0);
  const PoolGeometry g = pool_geometry(v.node.attributes, v.shape(0));
  const auto most = static_cast<float>(g.kernel[0] * g.kernel[1] * g.kernel[2]);
  Shape map = v.node.type.shape;
  map[0] = map[1] = 1;
  Tensor scale = Tensor::empty(DType::f32, map);
  bool differs = false;
  for_outputs(g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) {
    const auto divisor = static_cast<float>(g.divisor(at));
    scale.data<float>()[static_cast<std::size_t>(pixel)] = most / divisor;
    differs |= divisor != most;
  });
  if (differs) w.scale = scale;
  return w;
}

Shape input_shape(const Attributes& a) { return Shape(a.integers("input_shape")); }

}  // namespace

const Operator kAveragePool = {
    .name = "AveragePool",
    .infer =
        [](const NodeView& v) {
          return Type{DType::f32, pool_shape(pool_geometry(v.node.attributes, v.shape(0)), v.shape(0))};
        },
    .derivative = [](Value n,
                     Value g) { return std::vector{adjoint(g, n.attributes(), n.input(0).shape())}; },
    .linear = linear,
    .simplify =
        [](Builder& g, const NodeView& v) {
          return v.inputs[0]->sign == Sign::zero ? g.fill(v.node.type.shape, 0) : Value{};
        },
    .canonicalize = global,
    .sign = keep_sign,
    .windowed = windowed,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.operand(l.input(id, 0));
          emit_pool(l, id, x, l.result(id, x.layout), pool_geometry(l.node(id).attributes, x.shape), forward,
                    false);
        },
    .traits = {.kind = Kind::average_pool, .behaviour = Behaviour::linear},
};

const Operator kAveragePoolTranspose = {
    .name = "AveragePoolTranspose",
    .infer =
        [](const NodeView& v) {
          const Shape x = input_shape(v.node.attributes);
          if (v.shape(0) != pool_shape(pool_geometry(v.node.attributes, x), x))
            throw Error("the input does not have the pooled shape");
          return Type{DType::f32, x};
        },
    .derivative =
        [](Value n, Value g) {
          Attributes a = n.attributes();
          a.erase("input_shape");
          return std::vector{g.builder().add(kAveragePool, {g}, a)};
        },
    .simplify =
        [](Builder& g, const NodeView& v) {
          return v.inputs[0]->sign == Sign::zero ? g.fill(v.node.type.shape, 0) : Value{};
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand s = l.operand(l.input(id, 0));
          const PoolGeometry g = pool_geometry(l.node(id).attributes, input_shape(l.node(id).attributes));
          emit_pool(l, id, s, l.result(id, s.layout), g, backward, true);
        },
    .traits = {.behaviour = Behaviour::linear},
};

}  // namespace heatproof
