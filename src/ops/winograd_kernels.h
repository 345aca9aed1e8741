// The loops of Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016, arXiv:1509.09308): a tile of
// 4×4 results is Aᵀ[(G w Gᵀ) ⊙ (Bᵀ d B)]A of 6×6 inputs d, so that 36 products take the place of 144. Sums
// over input channels come before Aᵀ·A, and are 36 products of matrices. The transforms interpolate at 0,
// ±3/4, ±3/2 and ∞: their errors are a third of those of 0, ±1, ±2.
#pragma once

#include <cstdint>

#include "engine/dnnl_api.h"

namespace heatproof::winograd {

constexpr std::int64_t kTile = 4;       // results along an axis
constexpr std::int64_t kWindow = 6;     // what they are computed from
constexpr std::int64_t kProducts = 36;  // of a tile and a pair of channels
constexpr std::int64_t kChannels = 16;  // are a multiple of this

/// How maps [N, C, H, W] lie in memory. Steps count floats.
struct Maps {
  std::int64_t channels, height, width;
  std::int64_t block, block_step;  // channels that lie side by side (a multiple of Kernels::lanes), and from
                                   // one such block to the next
  std::int64_t pixel_step, row_step, image_step;
};

/// Tiles of all images, row by row. `top` and `left`: zeros before the maps.
struct Grid {
  std::int64_t down, across, top, left;
};

/// What happens to a result before it is written: max(least, min(most, result + bias + residual)).
struct Finish {
  const float* bias;      // one per channel, or nullptr
  const float* residual;  // lies as the results do (it may be they), or nullptr
  float least, most;
};

/// Weights [K, C, 3, 3] in memory: distances of neighbours, in floats.
struct Weights {
  const float* first;
  std::int64_t outputs, channels;
  std::int64_t output_step, channel_step, row_step, column_step;
};

struct Kernels {
  std::int64_t lanes;  // channels that are read at once
  std::int64_t rows;   // tiles whose products are in registers at once

  /// Floats that the weights of one of the 36 products take.
  std::int64_t (*weight_size)(std::int64_t channels, std::int64_t outputs);
  /// Transforms the weights of output channels [from, to).
  void (*pack)(const Weights& weights, std::int64_t from, std::int64_t to, float* u);

  /// Floats that v [tile][channel] takes as an operand of `multiply`; 0 where it is read as it is.
  std::int64_t (*operand_size)(std::int64_t tiles, std::int64_t channels);
  void (*prepare)(const float* v, std::int64_t tiles, std::int64_t channels, float* operand);

  /// [36][tile][channel] of tiles [first, last) of x; `step` from one of the 36 to the next.
  void (*transform_inputs)(const float* x, const Maps& maps, const Grid& grid, std::int64_t first,
                           std::int64_t last, float* v, std::int64_t step);
  /// m[tile][k] = Σ_c v[tile][c] · u[c][k] for k in [from, to), which begin and end with panels of 32, or
  /// with the last channel; `outputs` in all.
  void (*multiply)(const float* operand, const float* u, float* m, std::int64_t tiles, std::int64_t channels,
                   std::int64_t outputs, std::int64_t from, std::int64_t to);
  /// The reverse of transform_inputs, into y.
  void (*transform_outputs)(const float* m, std::int64_t step, const Finish& finish, const Maps& maps,
                            const Grid& grid, std::int64_t first, std::int64_t last, float* y);
};

/// For an instruction set; nullptr where there are none: below AVX2.
const Kernels* kernels(dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa());

/// Weights of output channels [from, to) as [36][k / columns][c][k % columns].
void transform_weights(const Weights& weights, std::int64_t columns, std::int64_t from, std::int64_t to,
                       float* u);

}  // namespace heatproof::winograd
