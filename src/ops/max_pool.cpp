// MaxPool and MaxPoolGradient, which gives each value to the first maximum of its window in row-major order
// (as torch does).
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/simd.h"
#include "base/threads.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kChunk = 16;  // channels that stay in registers

/// Rows of single channels: the loop along the row is innermost.
HEATPROOF_SIMD void forward_rows(const float* x, float* y, const PoolGeometry& g) {
  const std::int64_t width = g.output[2];
  for (std::int64_t d = 0; d < g.output[0]; ++d) {
    for (std::int64_t h = 0; h < g.output[1]; ++h, y += width) {
      std::fill_n(y, width, kLowest);
      const Taps zs = taps(g, 0, d);
      const Taps ys = taps(g, 1, h);
      for (std::int64_t i = zs.first; i < zs.last; ++i) {
        for (std::int64_t j = ys.first; j < ys.last; ++j) {
          const float* row =
              x + ((zs.origin + i * g.dilation[0]) * g.input[1] + ys.origin + j * g.dilation[1]) * g.input[2];
          for (std::int64_t k = 0; k < g.kernel[2]; ++k) {
            const std::int64_t shift = k * g.dilation[2] - g.begin[2];
            const std::int64_t step = g.stride[2];
            const std::int64_t first = shift < 0 ? (-shift + step - 1) / step : 0;
            const std::int64_t room = g.input[2] - shift;
            const std::int64_t last = std::min(width, room <= 0 ? 0 : (room + step - 1) / step);
            for (std::int64_t w = first; w < last; ++w) {
              const float v = row[w * step + shift];
              y[w] = v > y[w] ? v : y[w];
            }
          }
        }
      }
    }
  }
}

/// kChunk channels; compiles to registers of whatever width there is.
using Lanes [[gnu::vector_size(kChunk * sizeof(float))]] = float;

[[gnu::always_inline]] inline void load(Lanes& to, const float* from) { std::memcpy(&to, from, sizeof(to)); }
[[gnu::always_inline]] inline void store(float* to, const Lanes& from) {
  std::memcpy(to, &from, sizeof(from));
}

/// The maxima of one window.
[[gnu::always_inline]] inline void window_maximum(const float* x, Lanes& best, const PoolGeometry& g,
                                                  const std::array<std::int64_t, 3>& at,
                                                  std::int64_t stride) {
  best = Lanes{} + kLowest;
  for_window(
      g, at, [&](std::int64_t p) __attribute__((always_inline)) {
        Lanes values;
        load(values, x + p * stride);
        best = values > best ? values : best;
      });
}

HEATPROOF_SIMD void forward_chunk(const float* x, float* y, const PoolGeometry& g, std::int64_t stride) {
  for_outputs(
      g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) __attribute__((always_inline)) {
        Lanes best;
        window_maximum(x, best, g, at, stride);
        store(y + pixel * stride, best);
      });
}

/// Two chunks, so that neighbouring lines of memory are read together.
HEATPROOF_SIMD void forward_two_chunks(const float* x, float* y, const PoolGeometry& g, std::int64_t stride) {
  for_outputs(
      g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) __attribute__((always_inline)) {
        Lanes a = Lanes{} + kLowest;
        Lanes b = a;
        for_window(
            g, at, [&](std::int64_t p) __attribute__((always_inline)) {
              const float* from = x + p * stride;
              Lanes v;
              load(v, from);
              a = v > a ? v : a;
              load(v, from + kChunk);
              b = v > b ? v : b;
            });
        store(y + pixel * stride, a);
        store(y + pixel * stride + kChunk, b);
      });
}

void forward(const float* x, float* y, const PoolGeometry& g, std::int64_t stride, std::int64_t lanes) {
  if (stride == 1) return forward_rows(x, y, g);
  std::int64_t c = 0;
  for (; c + 2 * kChunk <= lanes; c += 2 * kChunk) forward_two_chunks(x + c, y + c, g, stride);
  for (; c + kChunk <= lanes; c += kChunk) forward_chunk(x + c, y + c, g, stride);
  if (c == lanes) return;
  for_outputs(g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) {
    float* best = y + pixel * stride;
    std::fill(best + c, best + lanes, kLowest);
    for_window(g, at, [&](std::int64_t p) {
      for (std::int64_t k = c; k < lanes; ++k) best[k] = std::max(best[k], x[p * stride + k]);
    });
  });
}

/// The maxima, then each one's share of the gradient: the first position that holds the maximum takes it all.
HEATPROOF_SIMD void scatter_chunk(const float* x, const float* gradient, float* result, const PoolGeometry& g,
                                  std::int64_t stride) {
  for_outputs(
      g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) __attribute__((always_inline)) {
        Lanes best;
        window_maximum(x, best, g, at, stride);
        Lanes share;  // what is still to be given away
        load(share, gradient + pixel * stride);
        for_window(
            g, at, [&](std::int64_t p) __attribute__((always_inline)) {
              Lanes values;
              Lanes sum;
              load(values, x + p * stride);
              load(sum, result + p * stride);
              const auto here = values == best;
              sum += here ? share : Lanes{};
              share = here ? Lanes{} : share;
              store(result + p * stride, sum);
            });
      });
}

/// The same for one channel.
void scatter_one(const float* x, const float* gradient, float* result, const PoolGeometry& g,
                 std::int64_t stride) {
  for_outputs(g, [&](const std::array<std::int64_t, 3>& at, std::int64_t pixel) {
    float best = kLowest;
    std::int64_t where = -1;
    for_window(g, at, [&](std::int64_t p) {
      if (x[p * stride] > best || where < 0) best = x[p * stride], where = p;
    });
    if (where >= 0) result[where * stride] += gradient[pixel * stride];
  });
}

void backward(const float* x, const float* gradient, float* result, const PoolGeometry& g,
              std::int64_t stride, std::int64_t lanes) {
  for (std::int64_t p = 0; p < g.pixels_in(); ++p) std::fill_n(result + p * stride, lanes, 0.0F);
  std::int64_t c = 0;
  for (; c + kChunk <= lanes; c += kChunk) scatter_chunk(x + c, gradient + c, result + c, g, stride);
  for (; c < lanes; ++c) scatter_one(x + c, gradient + c, result + c, g, stride);
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
              const PlanePieces pieces(p);
              parallel_for(pieces.count(), 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                  pieces.visit(i, [&](std::int64_t plane, std::int64_t first, std::int64_t lanes) {
                    backward(values + plane * in + first, from + plane * out + first,
                             target + plane * in + first, g, p.lanes, lanes);
                  });
                }
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
    .windowed = [](const NodeView& v) -> std::optional<Windowed> { return pool_windows(v, kLowest); },
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.operand(l.input(id, 0));
          const PoolGeometry g = pool_geometry(l.node(id).attributes, x.shape);
          emit_pool(l, id, x, l.result(id, x.layout), g, forward, false);
        },
    .traits = {.kind = Kind::max_pool, .selects = true},
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
