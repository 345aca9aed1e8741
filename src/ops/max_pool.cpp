// MaxPool and MaxPoolGradient, which gives each value to the first maximum of its window in row-major order
// (as torch does).
#include <algorithm>
#include <limits>
#include <vector>

#include "base/simd.h"
#include "base/threads.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

template <typename F>
void for_outputs(const PoolGeometry& g, F&& f) {
  std::array<std::int64_t, 3> at{};
  std::int64_t pixel = 0;
  for (at[0] = 0; at[0] < g.output[0]; ++at[0]) {
    for (at[1] = 0; at[1] < g.output[1]; ++at[1]) {
      for (at[2] = 0; at[2] < g.output[2]; ++at[2]) f(at, pixel++);
    }
  }
}

HEATPROOF_SIMD void raise(const float* x, float* best, std::int64_t lanes) {
  for (std::int64_t c = 0; c < lanes; ++c) best[c] = x[c] > best[c] ? x[c] : best[c];
}

void forward(const float* x, float* y, const PoolGeometry& g, std::int64_t lanes) {
  for_outputs(g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) {
    float* best = y + pixel * lanes;
    std::fill_n(best, lanes, -std::numeric_limits<float>::infinity());
    for_window(g, at, [&](std::int64_t p) { raise(x + p * lanes, best, lanes); });
  });
}

void backward(const float* x, const float* gradient, float* result, const PoolGeometry& g,
              std::int64_t lanes) {
  std::vector<float> best(static_cast<std::size_t>(lanes));
  std::vector<std::int64_t> where(static_cast<std::size_t>(lanes));
  std::fill_n(result, g.pixels_in() * lanes, 0.0F);
  for_outputs(g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) {
    std::ranges::fill(best, -std::numeric_limits<float>::infinity());
    std::ranges::fill(where, -1);
    for_window(g, at, [&](std::int64_t p) {
      const float* values = x + p * lanes;
      for (std::int64_t c = 0; c < lanes; ++c) {
        const auto k = static_cast<std::size_t>(c);
        if (values[c] > best[k] || where[k] < 0) {
          best[k] = values[c];
          where[k] = p;
        }
      }
    });
    for (std::int64_t c = 0; c < lanes; ++c) {
      result[where[static_cast<std::size_t>(c)] * lanes + c] += gradient[pixel * lanes + c];
    }
  });
}

void lower_gradient(Lowering& l, NodeId id) {
  const PoolGeometry g = pool_geometry(l.node(id).attributes, l.shape(id));
  const Operand x = l.operand(l.input(id, 0));
  const Operand gradient = l.operand(l.input(id, 1), x.layout);
  const Operand y = l.result(id, x.layout);
  const Planes p = planes_of(x.shape, x.layout);
  l.emit({.name = "MaxPoolGradient",
          .reads = {x.buffer, gradient.buffer},
          .writes = {y.buffer},
          .bind = [=, a = x.buffer, b = gradient.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* values = bind.f32(a);
            const float* from = bind.f32(b);
            float* target = bind.f32(to);
            const std::int64_t in = g.pixels_in() * p.lanes;
            const std::int64_t out = g.pixels_out() * p.lanes;
            return [=] {
              parallel_for(p.planes, 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i)
                  backward(values + i * in, from + i * out, target + i * in, g, p.lanes);
              });
            };
          }});
}

}  // namespace

const Operator kMaxPool = {
    .name = "MaxPool",
    .infer =
        [](const NodeView& v) {
          return Type{DType::f32, pool_shape(pool_geometry(v.node.attributes, v.shape(0)), v.shape(0))};
        },
    .derivative =
        [](Value n, Value g) {
          return std::vector{g.builder().add(kMaxPoolGradient, {n.input(0), g}, n.attributes())};
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.operand(l.input(id, 0));
          const PoolGeometry g = pool_geometry(l.node(id).attributes, x.shape);
          emit_pool(l, id, x, l.result(id, x.layout), g, forward, false);
        },
    .traits = {.kind = Kind::max_pool},
};

const Operator kMaxPoolGradient = {
    .name = "MaxPoolGradient",
    .infer =
        [](const NodeView& v) {
          if (v.shape(1) != pool_shape(pool_geometry(v.node.attributes, v.shape(0)), v.shape(0))) {
            throw Error("the gradient does not have the pooled shape");
          }
          return v.input(0);
        },
    .simplify =
        [](Builder& g, const NodeView& v) {
          return v.inputs[1]->sign == Sign::zero ? g.fill(v.node.type.shape, 0) : Value{};
        },
    .sign = [](const NodeView& v) { return v.inputs[1]->sign; },
    .lower = lower_gradient,
};

}  // namespace heatproof
