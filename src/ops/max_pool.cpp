// MaxPool and MaxPoolGradient, which gives each value to the first maximum of its window in row-major order
// (as torch does).
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/simd.h"
#include "base/threads.h"
#include "ops/concat.h"
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

/// A position of a window: where, from the window's first, and whether its gradient is asked for.
struct Tap {
  std::int64_t pixel;
  bool wanted;
};

/// Gives the gradient of one window to the first position that holds the maximum.
HEATPROOF_SIMD void give(const float* x, const float* gradient, float* result, const Tap* window,
                         std::int64_t n, std::int64_t lanes) {
  std::int64_t c = 0;
  for (; c + kChunk <= lanes; c += kChunk) {
    Lanes best = Lanes{} + kLowest;
    Lanes values;
    for (std::int64_t t = 0; t < n; ++t) {  // scalar
      load(values, x + window[t].pixel * lanes + c);
      best = values > best ? values : best;
    }
    Lanes share;  // what is still to be given away
    load(share, gradient + c);
    for (std::int64_t t = 0; t < n; ++t) {  // scalar
      load(values, x + window[t].pixel * lanes + c);
      const auto here = values == best;
      if (window[t].wanted) {
        Lanes sum;
        load(sum, result + window[t].pixel * lanes + c);
        sum += here ? share : Lanes{};
        store(result + window[t].pixel * lanes + c, sum);
      }
      share = here ? Lanes{} : share;
    }
  }
  for (; c < lanes; ++c) {
    std::int64_t where = 0;
    for (std::int64_t t = 1; t < n; ++t) {  // scalar
      if (x[window[t].pixel * lanes + c] > x[window[where].pixel * lanes + c]) where = t;
    }
    if (window[where].wanted) result[window[where].pixel * lanes + c] += gradient[c];
  }
}

/// The gradient of input rows [first, last) of one plane.
class Band {
 public:
  Band(const PoolGeometry& g, std::int64_t lanes, std::int64_t first, std::int64_t last)
      : g_(g), lanes_(lanes), first_(first), last_(last) {}

  void run(const float* x, const float* gradient, float* result) {
    const std::int64_t row = g_.input[2] * lanes_;
    for (std::int64_t z = 0; z < g_.input[0]; ++z)
      std::fill_n(result + (z * g_.input[1] + first_) * row, (last_ - first_) * row, 0.0F);
    const std::int64_t extent = (g_.kernel[1] - 1) * g_.dilation[1] + 1;
    const std::int64_t above = first_ + g_.begin[1] - extent;  // the last window that begins here ends above
    const std::int64_t begin = above < 0 ? 0 : above / g_.stride[1] + 1;
    const std::int64_t end = std::min(g_.output[1], (last_ - 1 + g_.begin[1]) / g_.stride[1] + 1);
    for (std::int64_t d = 0; d < g_.output[0]; ++d) {
      for (std::int64_t h = begin; h < end; ++h) {
        const std::int64_t pixel = (d * g_.output[1] + h) * g_.output[2];
        give_row(x, gradient + pixel * lanes_, result, d, h);
      }
    }
  }

 private:
  void give_row(const float* x, const float* gradient, float* result, std::int64_t d, std::int64_t h) {
    const Taps zs = taps(g_, 0, d);
    const Taps ys = taps(g_, 1, h);
    Taps known{0, -1, -1};
    for (std::int64_t w = 0; w < g_.output[2]; ++w) {
      const Taps xs = taps(g_, 2, w);
      if (xs.first != known.first || xs.last != known.last) lay_out(zs, ys, xs);
      known = xs;
      const std::int64_t shift = (xs.origin + xs.first * g_.dilation[2]) * lanes_;
      if (!window_.empty())
        give(x + shift, gradient + w * lanes_, result + shift, window_.data(),
             static_cast<std::int64_t>(window_.size()), lanes_);
    }
  }

  /// The positions of a window, counted from its first column.
  void lay_out(const Taps& zs, const Taps& ys, const Taps& xs) {
    window_.clear();
    for (std::int64_t i = zs.first; i < zs.last; ++i) {
      for (std::int64_t j = ys.first; j < ys.last; ++j) {
        const std::int64_t y = ys.origin + j * g_.dilation[1];
        const std::int64_t row = ((zs.origin + i * g_.dilation[0]) * g_.input[1] + y) * g_.input[2];
        for (std::int64_t k = xs.first; k < xs.last; ++k)
          window_.push_back({row + (k - xs.first) * g_.dilation[2], y >= first_ && y < last_});
      }
    }
  }

  const PoolGeometry& g_;
  std::int64_t lanes_, first_, last_;
  std::vector<Tap> window_;
};

/// Rows of a band: what a core's caches hold of values and gradients.
std::int64_t rows_of_bands(const PoolGeometry& g, std::int64_t lanes) {
  constexpr std::int64_t kFloats = 16384;
  const std::int64_t row = std::max<std::int64_t>(g.input[0] * g.input[2] * lanes, 1);
  const std::int64_t rows = std::max(kFloats / row, g.kernel[1]);
  return std::min((rows + g.stride[1] - 1) / g.stride[1] * g.stride[1], g.input[1]);
}

void lower_gradient(Lowering& l, NodeId id) {
  const PoolGeometry g = pool_geometry(l.node(id).attributes, l.shape(id));
  const Operand x = l.operand(l.input(id, 0));
  const Operand gradient = l.operand(l.input(id, 1), x.layout);
  const Operand y = l.result(id, x.layout);
  const Planes p = planes_of(x.shape, x.layout);
  const std::int64_t rows = rows_of_bands(g, p.lanes);
  const std::int64_t bands = (g.input[1] + rows - 1) / rows;
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
              parallel_for(p.planes * bands, 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                  const std::int64_t plane = i / bands;
                  const std::int64_t first = i % bands * rows;
                  Band(g, p.lanes, first, std::min(first + rows, g.input[1]))
                      .run(values + plane * in, from + plane * out, target + plane * in);
                }
              });
            };
          }});
}

/// Pooled parts are smaller when they are joined, and may not have to be.
Value pool_parts(Value pool, const std::vector<bool>& sole_use) {
  const Value joined = pool.input(0);
  if (!sole_use[0] || !joins_channels(joined)) return {};
  const Attributes window = pool.attributes();
  std::vector<Value> parts;
  for (std::size_t i = 0; i < joined.inputs(); ++i)
    parts.push_back(pool.builder().add(kMaxPool, {joined.input(i)}, window));
  return pool.builder().add(kConcat, parts, {{"axis", std::int64_t{1}}});
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
    .compiled = pool_parts,
    .sign = keep_sign,
    .windowed = [](const NodeView& v) -> std::optional<Windowed> { return pool_windows(v, kLowest); },
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.operand(l.input(id, 0));
          const PoolGeometry g = pool_geometry(l.node(id).attributes, x.shape);
          emit_pool(l, id, x, l.result(id, x.layout), g, forward, false);
        },
    .traits = {.kind = Kind::max_pool, .behaviour = Behaviour::selection, .selects = true},
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
    .traits = {.behaviour = Behaviour::selection},
};

}  // namespace heatproof
