#include "ops/conv_transpose_narrow.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/simd.h"
#include "base/threads.h"
#include "ops/convolution.h"

namespace heatproof {

namespace {

constexpr std::int64_t kLanes = 16;  // summed channels that are multiplied at once
constexpr std::int64_t kMostChannels = 4;

using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;

/// Keeps a value that several multiplications read in a register of AVX-512: compilers would rather load it
/// for each, and a cycle has two loads for two multiplications.
[[gnu::always_inline]] inline void keep([[maybe_unused]] Vector& value) {
#if defined(__x86_64__) && !defined(__clang__)  // for clang, such a vector fits no register
  asm("" : "+v"(value));
#endif
}

/// Geometry of y[c, Y, X] = Σ_{k, ky, kx} w[k, c, ky, kx] · s[k, (Y + top − ky) / stride, (X + left − kx) /
/// stride].
struct Geometry {
  std::int64_t blocks;         // of kLanes summed channels
  std::int64_t rows, cols;     // of s
  std::int64_t height, width;  // of y
  std::int64_t kernel_y, kernel_x, stride_y, stride_x, top, left;
  std::int64_t pixel_step, row_step, block_step, image_step;  // of s in memory, in floats
};

Geometry geometry(const ConvGeometry& g, const Shape& s, const Shape& y, Layout layout) {
  Geometry n{.blocks = s[1] / kLanes,
             .rows = s[2],
             .cols = s[3],
             .height = y[2],
             .width = y[3],
             .kernel_y = g.kernel[0],
             .kernel_x = g.kernel[1],
             .stride_y = g.strides[0],
             .stride_x = g.strides[1],
             .top = g.pads_begin[0],
             .left = g.pads_begin[1]};
  n.pixel_step = layout.channels_last ? s[1] : layout.block;
  n.row_step = s[3] * n.pixel_step;
  n.block_step = layout.channels_last ? kLanes : s[2] * s[3] * kLanes;
  n.image_step = s[1] * s[2] * s[3];
  return n;
}

/// Weights as [ky][kx][block][c][lane].
void pack_weights(const float* w, float* packed, const Geometry& n, std::int64_t channels) {
  const std::int64_t taps = n.kernel_y * n.kernel_x;
  for (std::int64_t k = 0; k < n.blocks * kLanes; ++k) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t tap = 0; tap < taps; ++tap)
        packed[((tap * n.blocks + k / kLanes) * channels + c) * kLanes + k % kLanes] =
            w[(k * channels + c) * taps + tap];
    }
  }
}

/// Lanes of two vectors, of which runs of `Half` are added to their neighbours: half as many lanes of each.
template <int Half>
[[gnu::always_inline]] inline void halve(Vector& a, const Vector& b) {
  if constexpr (Half == 8)
    a = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
        __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  else if constexpr (Half == 4)
    a = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
        __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  else if constexpr (Half == 2)
    a = __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +
        __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
  else
    a = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
        __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// sums[i] = the sum over the lanes of v[i].
template <std::int64_t N>
[[gnu::always_inline]] inline void lane_sums(const Vector* v, float* sums) {
  for (std::int64_t first = 0; first < N; first += kLanes) {
    Vector t[kLanes];
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < kLanes; ++i) t[i] = first + i < N ? v[first + i] : Vector{};
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < 16; i += 2) halve<8>(t[i], t[i + 1]);
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < 16; i += 4) halve<4>(t[i], t[i + 2]);
    halve<2>(t[0], t[4]);
    halve<2>(t[8], t[12]);
    halve<1>(t[0], t[8]);
    std::memcpy(sums + first, &t[0], sizeof(t[0]));
  }
}

/// Pixels x0, x0 + stride, ... (P of them, C channels) of row Y. `first`: the column of s that tap kx = phase
/// meets at the first pixel; `inside`: whether all columns that they meet are in s.
template <std::int64_t C, std::int64_t P>
[[gnu::always_inline]] inline void pixels(const float* s, const float* w, float* y, const Geometry& n,
                                          std::int64_t Y, std::int64_t x0, std::int64_t phase,
                                          std::int64_t first, std::int64_t count, bool inside) {
  constexpr std::int64_t kSums = P * C;
  Vector total[kSums] = {};
  for (std::int64_t ky = (Y + n.top) % n.stride_y; ky < n.kernel_y; ky += n.stride_y) {
    const std::int64_t row = (Y + n.top - ky) / n.stride_y;
    if (Y + n.top < ky || row >= n.rows) continue;
    for (std::int64_t kx = phase, col = first; kx < n.kernel_x; kx += n.stride_x, --col) {
      const float* from = s + row * n.row_step + col * n.pixel_step;
      const float* weights = w + (ky * n.kernel_x + kx) * n.blocks * C * kLanes;
      for (std::int64_t b = 0; b < n.blocks; ++b, weights += C * kLanes) {
        Vector tap[C];
#pragma GCC unroll 4
        for (std::int64_t c = 0; c < C; ++c) std::memcpy(&tap[c], weights + c * kLanes, sizeof(tap[c]));
#pragma GCC unroll 24
        for (std::int64_t p = 0; p < P; ++p) {
          if (!inside && (p >= count || col + p < 0 || col + p >= n.cols)) continue;
          Vector value;
          std::memcpy(&value, from + b * n.block_step + p * n.pixel_step, sizeof(value));
          if constexpr (kSums > kLanes / 2) keep(value);
#pragma GCC unroll 4
          for (std::int64_t c = 0; c < C; ++c) total[p * C + c] += value * tap[c];
        }
      }
    }
  }
  std::array<float, (kSums + kLanes - 1) / kLanes * kLanes> sums;
  lane_sums<kSums>(total, sums.data());
  for (std::int64_t c = 0; c < C; ++c) {
    float* to = y + (c * n.height + Y) * n.width + x0;
    for (std::int64_t p = 0; p < count; ++p) to[p * n.stride_x] = sums[static_cast<std::size_t>(p * C + c)];
  }
}

/// Row Y of y, [C, H, W] of one image.
template <std::int64_t C, std::int64_t P>
[[gnu::always_inline]] inline void row(const float* s, const float* w, float* y, const Geometry& n,
                                       std::int64_t Y) {
  for (std::int64_t start = 0; start < std::min(n.stride_x, n.width); ++start) {
    const std::int64_t phase = (start + n.left) % n.stride_x;
    const std::int64_t taps =
        phase < n.kernel_x ? (n.kernel_x - phase - 1) / n.stride_x : 0;  // but the first
    const std::int64_t all = (n.width - start + n.stride_x - 1) / n.stride_x;
    for (std::int64_t i = 0; i < all; i += P) {
      const std::int64_t count = std::min(P, all - i);
      const std::int64_t x0 = start + i * n.stride_x;
      const std::int64_t first = (x0 + n.left - phase) / n.stride_x;
      const bool inside = count == P && first - taps >= 0 && first + P <= n.cols;
      if (inside)
        pixels<C, P>(s, w, y, n, Y, x0, phase, first, count, true);
      else
        pixels<C, P>(s, w, y, n, Y, x0, phase, first, count, false);
    }
  }
}

using Row = void (*)(const float* s, const float* w, float* y, const Geometry& n, std::int64_t Y);

template <std::int64_t C>
[[maybe_unused]] void any_row(const float* s, const float* w, float* y, const Geometry& n, std::int64_t Y) {
  row<C, 1>(s, w, y, n, Y);
}

// As many pixels as there are registers for: 8 with AVX-512's 32, 2 with 16 registers of half the size. A
// build for AVX-512 needs no choice (and could not inline into functions for less).
#if defined(__AVX512F__)
template <std::int64_t C>
Row row_for_this_machine() {
  return [](const float* s, const float* w, float* y, const Geometry& n, std::int64_t Y) {
    row<C, 24 / C>(s, w, y, n, Y);
  };
}
#elif defined(__x86_64__)
template <std::int64_t C>
[[gnu::target("arch=x86-64-v4")]] void wide_row(const float* s, const float* w, float* y, const Geometry& n,
                                                std::int64_t Y) {
  row<C, 24 / C>(s, w, y, n, Y);
}
template <std::int64_t C>
[[gnu::target("arch=x86-64-v3")]] void half_row(const float* s, const float* w, float* y, const Geometry& n,
                                                std::int64_t Y) {
  row<C, std::max<std::int64_t>(6 / C, 1)>(s, w, y, n, Y);
}
template <std::int64_t C>
Row row_for_this_machine() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return wide_row<C>;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return half_row<C>;
  return any_row<C>;
}
#else
template <std::int64_t C>
Row row_for_this_machine() {
  return any_row<C>;
}
#endif

Row row_of(std::int64_t channels) {
  static const std::array<Row, kMostChannels> rows{row_for_this_machine<1>(), row_for_this_machine<2>(),
                                                   row_for_this_machine<3>(), row_for_this_machine<4>()};
  return rows[static_cast<std::size_t>(channels - 1)];
}

}  // namespace

bool is_narrow_transpose(const ConvGeometry& g, const Shape& s, const Shape& y, Layout layout) {
  const bool dense = std::ranges::all_of(g.dilations, [](std::int64_t d) { return d == 1; });
  return g.spatial() == 2 && g.group == 1 && dense && y[1] <= kMostChannels && s[1] % kLanes == 0 &&
         (layout.channels_last || layout.block == kLanes);
}

void lower_narrow_transpose(Lowering& l, NodeId id, const ConvGeometry& g, const Operand& s) {
  const Operand weights = l.plain(l.input(id, 1));
  const Operand y = l.result(id, Layout{});
  const Geometry n = geometry(g, s.shape, y.shape, s.layout);
  const std::int64_t channels = y.shape[1];
  const BufferId packed = l.new_buffer(static_cast<std::size_t>(weights.shape.elements()) * sizeof(float));
  l.emit({.name = "Pack",
          .reads = {weights.buffer},
          .writes = {packed},
          .bind = [=, from = weights.buffer](const Binding& bind) -> Action {
            const float* w = bind.f32(from);
            float* to = bind.f32(packed);
            return [=] { pack_weights(w, to, n, channels); };
          }});
  l.emit({.name = "ConvTranspose " + l.node(id).name + " narrow",
          .reads = {s.buffer, packed},
          .writes = {y.buffer},
          .bind = [=, images = y.shape[0], from = s.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(from);
            const float* w = bind.f32(packed);
            float* target = bind.f32(to);
            const Row compute = row_of(channels);
            return [=] {
              parallel_for(images * n.height, 4, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                  const std::int64_t image = i / n.height;
                  compute(source + image * n.image_step, w, target + image * channels * n.height * n.width, n,
                          i % n.height);
                }
              });
            };
          },
          .work = convolution::multiply_adds(s.shape, weights.shape)});
}

}  // namespace heatproof
