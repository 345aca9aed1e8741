#include "ops/winograd_kernels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/simd.h"
#include "ops/winograd_amx.h"

namespace heatproof::winograd {

namespace {

// The points of interpolation, and what the transforms are made of: all exact.
constexpr float kP = 0.75;
constexpr float kQ = 1.5;
constexpr float kP2 = kP * kP;
constexpr float kQ2 = kQ * kQ;

template <std::int64_t Lanes>
struct Vectors {
  using Vector [[gnu::vector_size(Lanes * sizeof(float))]] = float;
};

/// Bᵀd of six values, `Stride` apart; row i of Bᵀ holds the coefficients of Π_{j≠i}(x − point j).
template <typename Vector, int Stride>
[[gnu::always_inline]] inline void inputs(const Vector* d, Vector* to) {
  constexpr float sum = kP2 + kQ2;
  constexpr float product = kP2 * kQ2;
  const Vector d1 = d[1 * Stride];
  const Vector d2 = d[2 * Stride];
  const Vector d3 = d[3 * Stride];
  const Vector d4 = d[4 * Stride];
  to[0] = product * d[0] - sum * d2 + d4;
  const Vector even_p = d4 - kQ2 * d2;
  const Vector odd_p = kP * d3 - kP * kQ2 * d1;
  to[1] = even_p + odd_p;
  to[2] = even_p - odd_p;
  const Vector even_q = d4 - kP2 * d2;
  const Vector odd_q = kQ * d3 - kQ * kP2 * d1;
  to[3] = even_q + odd_q;
  to[4] = even_q - odd_q;
  to[5] = product * d1 - sum * d3 + d[5 * Stride];
}

/// Aᵀm: powers of the points times six values, `Stride` apart.
template <typename Vector, int Stride>
[[gnu::always_inline]] inline void outputs(const Vector* m, Vector* to) {
  const Vector even_p = m[1 * Stride] + m[2 * Stride];
  const Vector odd_p = m[1 * Stride] - m[2 * Stride];
  const Vector even_q = m[3 * Stride] + m[4 * Stride];
  const Vector odd_q = m[3 * Stride] - m[4 * Stride];
  to[0] = m[0] + even_p + even_q;
  to[1] = kP * odd_p + kQ * odd_q;
  to[2] = kP2 * even_p + kQ2 * even_q;
  to[3] = kP * kP2 * odd_p + kQ * kQ2 * odd_q + m[5 * Stride];
}

/// Where a tile lies.
struct Place {
  std::int64_t image, y, x;
};

[[gnu::always_inline]] inline Place place_of(const Grid& grid, std::int64_t tile) {
  const std::int64_t in_image = tile % (grid.down * grid.across);
  return {tile / (grid.down * grid.across), in_image / grid.across * kTile, in_image % grid.across * kTile};
}

/// The first of `Lanes` channels, at a pixel that may lie outside.
[[gnu::always_inline]] inline std::int64_t offset(const Maps& m, std::int64_t image, std::int64_t channel,
                                                  std::int64_t y, std::int64_t x) {
  return image * m.image_step + channel / m.block * m.block_step + channel % m.block + y * m.row_step +
         x * m.pixel_step;
}

template <std::int64_t Lanes>
[[gnu::always_inline]] inline void transform_inputs(const float* x, const Maps& maps, const Grid& grid,
                                                    std::int64_t first, std::int64_t last, float* v,
                                                    std::int64_t step) {
  using Vector = typename Vectors<Lanes>::Vector;
  for (std::int64_t tile = first; tile < last; ++tile) {
    const Place at = place_of(grid, tile);
    const std::int64_t top = at.y - grid.top;
    const std::int64_t left = at.x - grid.left;
    const bool inside = top >= 0 && left >= 0 && top + kWindow <= maps.height && left + kWindow <= maps.width;
    for (std::int64_t c = 0; c < maps.channels; c += Lanes) {
      const std::int64_t origin = offset(maps, at.image, c, top, left);
      Vector rows[kProducts];
      for (std::int64_t i = 0; i < kWindow; ++i) {
        Vector d[kWindow];
#pragma GCC unroll 6
        for (std::int64_t j = 0; j < kWindow; ++j) {
          if (inside || (top + i >= 0 && top + i < maps.height && left + j >= 0 && left + j < maps.width))
            std::memcpy(&d[j], x + origin + i * maps.row_step + j * maps.pixel_step, sizeof(Vector));
          else
            d[j] = Vector{};
        }
        inputs<Vector, 1>(d, rows + i * kWindow);
      }
      float* to = v + (tile - first) * maps.channels + c;
      for (std::int64_t j = 0; j < kWindow; ++j) {
        Vector column[kWindow];
        inputs<Vector, kWindow>(rows + j, column);
#pragma GCC unroll 6
        for (std::int64_t i = 0; i < kWindow; ++i)
          std::memcpy(to + (i * kWindow + j) * step, &column[i], sizeof(Vector));
      }
    }
  }
}

template <std::int64_t Lanes>
[[gnu::always_inline]] inline void transform_outputs(const float* m, std::int64_t step, const Finish& finish,
                                                     const Maps& maps, const Grid& grid, std::int64_t first,
                                                     std::int64_t last, float* y) {
  using Vector = typename Vectors<Lanes>::Vector;
  const Vector least = Vector{} + finish.least;
  const Vector most = Vector{} + finish.most;
  for (std::int64_t tile = first; tile < last; ++tile) {
    const Place at = place_of(grid, tile);
    const std::int64_t down = std::min(kTile, maps.height - at.y);
    const std::int64_t across = std::min(kTile, maps.width - at.x);
    for (std::int64_t k = 0; k < maps.channels; k += Lanes) {
      const float* from = m + (tile - first) * maps.channels + k;
      Vector columns[kWindow * kTile];
      for (std::int64_t j = 0; j < kWindow; ++j) {
        Vector column[kWindow];
#pragma GCC unroll 6
        for (std::int64_t i = 0; i < kWindow; ++i)
          std::memcpy(&column[i], from + (i * kWindow + j) * step, sizeof(Vector));
        outputs<Vector, 1>(column, columns + j * kTile);
      }
      Vector bias{};
      if (finish.bias != nullptr) std::memcpy(&bias, finish.bias + k, sizeof(bias));
      const std::int64_t origin = offset(maps, at.image, k, at.y, at.x);
      for (std::int64_t i = 0; i < down; ++i) {
        Vector row[kTile];
        outputs<Vector, kTile>(columns + i, row);
        for (std::int64_t j = 0; j < across; ++j) {
          const std::int64_t pixel = origin + i * maps.row_step + j * maps.pixel_step;
          Vector value = row[j] + bias;
          if (finish.residual != nullptr) {
            Vector other;
            std::memcpy(&other, finish.residual + pixel, sizeof(other));
            value += other;
          }
          value = value < least ? least : value;
          value = value > most ? most : value;
          std::memcpy(y + pixel, &value, sizeof(value));
        }
      }
    }
  }
}

/// Rows × (Columns · Lanes) of m, kept in registers. `next`: weights that will be read soon, from afar.
template <std::int64_t Lanes, int Columns, int Rows>
[[gnu::always_inline]] inline void product(const float* v, const float* u, float* m, std::int64_t channels,
                                           std::int64_t outputs, const float* next) {
  using Vector = typename Vectors<Lanes>::Vector;
  constexpr std::int64_t kLine = 16;
  Vector sums[Rows][Columns] = {};
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t line = 0; line < Columns * Lanes; line += kLine)
      __builtin_prefetch(next + c * Columns * Lanes + line, 0, 2);
    Vector weights[Columns];
    for (int n = 0; n < Columns; ++n) std::memcpy(&weights[n], u + (c * Columns + n) * Lanes, sizeof(Vector));
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const float value = v[r * channels + c];
#pragma GCC unroll 2
      for (int n = 0; n < Columns; ++n) sums[r][n] += value * weights[n];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int n = 0; n < Columns; ++n) {
      const Vector sum = sums[r][n];  // copies of the array would keep it in memory
      std::memcpy(m + r * outputs + n * Lanes, &sum, sizeof(sum));
    }
  }
}

/// `rows` of at most `Rows`.
template <std::int64_t Lanes, int Columns, int Rows>
[[gnu::always_inline]] inline void products(std::int64_t rows, const float* v, const float* u, float* m,
                                            std::int64_t channels, std::int64_t outputs, const float* next) {
  if (rows == Rows)
    product<Lanes, Columns, Rows>(v, u, m, channels, outputs, next);
  else if constexpr (Rows > 1)
    products<Lanes, Columns, Rows - 1>(rows, v, u, m, channels, outputs, next);
}

template <std::int64_t Lanes, int Columns, int Rows>
[[gnu::always_inline]] inline void multiply(const float* v, const float* u, float* m, std::int64_t tiles,
                                            std::int64_t channels, std::int64_t outputs, std::int64_t from,
                                            std::int64_t to) {
  constexpr std::int64_t kPanel = Columns * Lanes;
  const std::int64_t parts = (tiles + Rows - 1) / Rows;
  for (std::int64_t k = from; k < to; k += kPanel) {
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t begin = tiles * part / parts;
      const std::int64_t end = tiles * (part + 1) / parts;
      const float* rows = v + begin * channels;
      float* results = m + begin * outputs + k;
      const float* panel = u + k * channels;
      const float* next = part == 0 ? panel + kPanel * channels : panel;
      if (k + kPanel <= to)
        products<Lanes, Columns, Rows>(end - begin, rows, panel, results, channels, outputs, next);
      else
        products<Lanes, 1, Rows>(end - begin, rows, panel, results, channels, outputs, next);
    }
  }
}

template <std::int64_t Lanes, int Columns, int Rows>
struct Set {
  static constexpr std::int64_t kLanes = Lanes;
  static constexpr int kColumns = Columns;
  static constexpr int kRows = Rows;
};
using Wide = Set<16, 2, 14>;  // 32 registers of 16 lanes
using Half = Set<8, 2, 6>;    // 16 registers of 8 lanes

std::int64_t weight_size(std::int64_t channels, std::int64_t outputs) { return channels * outputs; }
std::int64_t no_operand(std::int64_t, std::int64_t) { return 0; }

// A function for each instruction set, as targets cannot depend on a template's parameter.
#define HEATPROOF_WINOGRAD(NAME, SET, TARGET)                                                           \
  TARGET void NAME##_inputs(const float* x, const Maps& maps, const Grid& grid, std::int64_t first,     \
                            std::int64_t last, float* v, std::int64_t step) {                           \
    transform_inputs<SET::kLanes>(x, maps, grid, first, last, v, step);                                 \
  }                                                                                                     \
  TARGET void NAME##_multiply(const float* v, const float* u, float* m, std::int64_t tiles,             \
                              std::int64_t channels, std::int64_t outputs, std::int64_t from,           \
                              std::int64_t to) {                                                        \
    multiply<SET::kLanes, SET::kColumns, SET::kRows>(v, u, m, tiles, channels, outputs, from, to);      \
  }                                                                                                     \
  TARGET void NAME##_outputs(const float* m, std::int64_t step, const Finish& finish, const Maps& maps, \
                             const Grid& grid, std::int64_t first, std::int64_t last, float* y) {       \
    transform_outputs<SET::kLanes>(m, step, finish, maps, grid, first, last, y);                        \
  }                                                                                                     \
  void NAME##_pack(const Weights& weights, std::int64_t from, std::int64_t to, float* u) {              \
    transform_weights(weights, SET::kColumns* SET::kLanes, from, to, u);                                \
  }                                                                                                     \
  constexpr Kernels NAME = {SET::kLanes, SET::kRows,    weight_size,     NAME##_pack,   no_operand,     \
                            nullptr,     NAME##_inputs, NAME##_multiply, NAME##_outputs};

#if defined(__x86_64__)
#if defined(__AVX512F__)  // could not be inlined into functions for less
HEATPROOF_WINOGRAD(kWide, Wide, )
HEATPROOF_WINOGRAD(kHalf, Half, )
#else
HEATPROOF_WINOGRAD(kWide, Wide, [[gnu::target("arch=x86-64-v4")]])
HEATPROOF_WINOGRAD(kHalf, Half, [[gnu::target("arch=x86-64-v3")]])
#endif
constexpr Kernels kTiles = {kWide.lanes,
                            amx::kRows,
                            amx::weight_size,
                            amx::pack,
                            amx::operand_size,
                            amx::prepare,
                            kWide.transform_inputs,
                            amx::multiply,
                            kWide.transform_outputs};
#endif

}  // namespace

const Kernels* kernels([[maybe_unused]] dnnl::cpu_isa isa) {
#if defined(__x86_64__)
  const auto includes = [isa](dnnl::cpu_isa least) {
    return (static_cast<unsigned>(isa) & static_cast<unsigned>(least)) == static_cast<unsigned>(least);
  };
  if (includes(dnnl::cpu_isa::avx512_core_amx) && amx::available()) return &kTiles;
  if (includes(dnnl::cpu_isa::avx512_core)) return &kWide;
  if (includes(dnnl::cpu_isa::avx2)) return &kHalf;
#endif
  return nullptr;
}

HEATPROOF_SIMD void transform_weights(const Weights& weights, std::int64_t columns, std::int64_t from,
                                      std::int64_t to, float* u) {
  constexpr double kAtP = 2 * kP2 * (kP2 - kQ2);
  constexpr double kAtQ = 2 * kQ2 * (kQ2 - kP2);
  // The rows of G: 1, x, x² at each point, divided by Π(point − other points).
  constexpr double g[kWindow][3] = {{1.0 / (kP2 * kQ2), 0, 0},          {1 / kAtP, kP / kAtP, kP2 / kAtP},
                                    {1 / kAtP, -kP / kAtP, kP2 / kAtP}, {1 / kAtQ, kQ / kAtQ, kQ2 / kAtQ},
                                    {1 / kAtQ, -kQ / kAtQ, kQ2 / kAtQ}, {0, 0, 1}};
  for (std::int64_t k = from; k < to; k += kChannels) {
    const std::int64_t panel = k / columns * columns;
    const std::int64_t width = std::min(columns, weights.outputs - panel);
    for (std::int64_t c = 0; c < weights.channels; ++c) {
      double taps[9][kChannels];
      for (std::int64_t lane = 0; lane < kChannels; ++lane) {
        const float* tap = weights.first + (k + lane) * weights.output_step + c * weights.channel_step;
        for (std::int64_t t = 0; t < 9; ++t)  // scalar
          taps[t][lane] = tap[t / 3 * weights.row_step + t % 3 * weights.column_step];
      }
      double half[kWindow][3][kChannels];
      for (std::int64_t i = 0; i < kWindow; ++i)
        for (std::int64_t j = 0; j < 3; ++j)
          for (std::int64_t lane = 0; lane < kChannels; ++lane)
            half[i][j][lane] =
                g[i][0] * taps[j][lane] + g[i][1] * taps[3 + j][lane] + g[i][2] * taps[6 + j][lane];
      float* at = u + panel * weights.channels + c * width + (k - panel);
      for (std::int64_t i = 0; i < kWindow; ++i)
        for (std::int64_t j = 0; j < kWindow; ++j)
          for (std::int64_t lane = 0; lane < kChannels; ++lane)
            at[(i * kWindow + j) * weights.channels * weights.outputs + lane] = static_cast<float>(
                g[j][0] * half[i][0][lane] + g[j][1] * half[i][1][lane] + g[j][2] * half[i][2][lane]);
    }
  }
}

}  // namespace heatproof::winograd
