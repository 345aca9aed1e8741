#include "ops/winograd_amx.h"

// clang 16 cannot ask for AMX (__builtin_cpu_supports); it builds the fuzzers only.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 warns falsely of intrinsics (GCC bug 105593)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

// Lists what the functions need, since compilers inline intrinsics into nothing else.
#define HEATPROOF_AMX \
  __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")))

namespace heatproof::winograd::amx {

namespace {

constexpr std::int64_t kSide = 16;        // rows of a tile
constexpr std::int64_t kDepth = 32;       // input channels of a tile
constexpr std::int64_t kTileSize = 512;   // numbers of bf16 in a tile
constexpr std::int64_t kTileStride = 64;  // bytes of a row
constexpr std::int64_t kParts = 3;        // of a number
constexpr std::int64_t kStep = kParts * kTileSize;

std::int64_t steps_of(std::int64_t channels) { return (channels + kDepth - 1) / kDepth; }

/// Sixteen numbers of bf16 as single precision.
HEATPROOF_AMX inline __m512 widened(__m256i part) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(part), 16));
}

/// The three parts of 32 numbers, in tiles that follow each other.
HEATPROOF_AMX inline void split(__m512 low, __m512 high, std::uint16_t* to) {
  for (std::int64_t part = 0; part < kParts; ++part) {
    const auto rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    _mm512_storeu_si512(to + part * kTileSize, rounded);
    low = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(rounded)));
    high = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64(rounded, 1)));
  }
}

/// What LDTILECFG reads.
struct alignas(64) Configuration {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// Tiles 0 to 3 hold results, 4 and 5 rows, 6 and 7 columns; `low` and `high` rows are in use.
HEATPROOF_AMX void configure(std::int64_t low, std::int64_t high) {
  Configuration c;
  const std::int64_t rows[8] = {low, low, high, high, low, high, kSide, kSide};
  for (int i = 0; i < 8; ++i) {
    c.rows[i] = static_cast<std::uint8_t>(rows[i]);
    c.row_bytes[i] = kTileStride;
  }
  asm volatile("" ::"r"(&c) : "memory");  // intrinsics do not tell what they read
  _tile_loadconfig(&c);
}

// Numbers of tiles must be literals, also in intrinsics, so that these are macros.
#define HEATPROOF_ROWS(PART)                         \
  _tile_loadd(4, a + (PART)*kTileSize, kTileStride); \
  if constexpr (Rows == 2) _tile_loadd(5, a + below + (PART)*kTileSize, kTileStride)
#define HEATPROOF_COLUMNS(PART)                      \
  _tile_loadd(6, b + (PART)*kTileSize, kTileStride); \
  if constexpr (Columns == 2) _tile_loadd(7, b + kStep + (PART)*kTileSize, kTileStride)
#define HEATPROOF_MULTIPLY                             \
  _tile_dpbf16ps(0, 4, 6);                             \
  if constexpr (Columns == 2) _tile_dpbf16ps(1, 4, 7); \
  if constexpr (Rows == 2) _tile_dpbf16ps(2, 5, 6);    \
  if constexpr (Rows == 2 && Columns == 2) _tile_dpbf16ps(3, 5, 7)

/// Rows × Columns tiles of results. `below`: from one row of tiles to the next.
template <int Rows, int Columns>
HEATPROOF_AMX void product(const std::uint16_t* a, std::int64_t below, const std::uint16_t* b,
                           std::int64_t steps, float* m, std::int64_t outputs) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t step = 0; step < steps; ++step, a += kStep, b += 2 * kStep) {
    // Small products first.
    HEATPROOF_ROWS(2);
    HEATPROOF_COLUMNS(0);
    HEATPROOF_MULTIPLY;
    HEATPROOF_ROWS(0);
    HEATPROOF_COLUMNS(2);
    HEATPROOF_MULTIPLY;
    HEATPROOF_COLUMNS(1);
    HEATPROOF_MULTIPLY;
    HEATPROOF_ROWS(1);
    HEATPROOF_MULTIPLY;
    HEATPROOF_COLUMNS(0);
    HEATPROOF_MULTIPLY;
    HEATPROOF_ROWS(0);
    HEATPROOF_MULTIPLY;
  }
  const std::int64_t stride = outputs * static_cast<std::int64_t>(sizeof(float));
  _tile_stored(0, m, stride);
  if constexpr (Columns == 2) _tile_stored(1, m + kSide, stride);
  if constexpr (Rows == 2) _tile_stored(2, m + kSide * outputs, stride);
  if constexpr (Rows == 2 && Columns == 2) _tile_stored(3, m + kSide * outputs + kSide, stride);
}

bool permitted() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool available() {
  static const bool yes = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
                          __builtin_cpu_supports("avx512bf16") && permitted();
  return yes;
}

/// Parts of 2 bytes, for whole tiles.
std::int64_t weight_size(std::int64_t channels, std::int64_t outputs) {
  return (outputs + kColumns - 1) / kColumns * steps_of(channels) * 2 * kStep / 2;
}

/// [36][k / 32][c / 32][k / 16 % 2][part][c / 2 % 16][k % 16][c % 2], zero where there are no channels.
HEATPROOF_AMX void pack(const Weights& weights, std::int64_t from, std::int64_t to, float* u) {
  const std::int64_t channels = weights.channels;
  const std::int64_t steps = steps_of(channels);
  std::vector<float> rows(static_cast<std::size_t>(kProducts * channels * kChannels));
  for (std::int64_t k = from; k < to; k += kChannels) {
    Weights some = weights;
    some.first += k * weights.output_step;
    some.outputs = kChannels;
    transform_weights(some, kChannels, 0, kChannels, rows.data());  // [36][c][k]
    for (std::int64_t i = 0; i < kProducts; ++i) {
      auto* tiles = reinterpret_cast<std::uint16_t*>(u + i * weight_size(channels, weights.outputs)) +
                    (k / kColumns * steps * 2 + k / kSide % 2) * kStep;
      const float* row = rows.data() + i * channels * kChannels;
      for (std::int64_t c = 0; c < steps * kDepth; c += 2) {
        const __m512 even = c < channels ? _mm512_loadu_ps(row + c * kChannels) : _mm512_setzero_ps();
        const __m512 odd = c < channels ? _mm512_loadu_ps(row + (c + 1) * kChannels) : _mm512_setzero_ps();
        const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
        split(_mm512_permutex2var_ps(even, first, odd), _mm512_permutex2var_ps(even, second, odd),
              tiles + c / kDepth * 2 * kStep + c % kDepth / 2 * kDepth);
      }
    }
  }
}

std::int64_t operand_size(std::int64_t tiles, std::int64_t channels) {
  return (tiles + kSide - 1) / kSide * steps_of(channels) * kStep / 2;
}

/// [tile / 16][c / 32][part][tile % 16][c % 32]
HEATPROOF_AMX void prepare(const float* v, std::int64_t tiles, std::int64_t channels, float* to) {
  const std::int64_t steps = steps_of(channels);
  auto* parts = reinterpret_cast<std::uint16_t*>(to);
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const float* row = v + tile * channels;
    std::uint16_t* at = parts + tile / kSide * steps * kStep + tile % kSide * kDepth;
    for (std::int64_t c = 0; c < channels; c += kDepth, at += kStep) {
      const __m512 high = c + kSide < channels ? _mm512_loadu_ps(row + c + kSide) : _mm512_setzero_ps();
      split(_mm512_loadu_ps(row + c), high, at);
    }
  }
}

HEATPROOF_AMX void multiply(const float* operand, const float* u, float* m, std::int64_t tiles,
                            std::int64_t channels, std::int64_t outputs, std::int64_t from, std::int64_t to) {
  const std::int64_t steps = steps_of(channels);
  const auto* rows = reinterpret_cast<const std::uint16_t*>(operand);
  const auto* columns = reinterpret_cast<const std::uint16_t*>(u);
  const std::int64_t below = steps * kStep;
  asm volatile("" ::: "memory");  // operands are written
  std::int64_t configured = 0;
  for (std::int64_t k = from; k < to; k += kColumns) {
    const std::uint16_t* b = columns + k / kColumns * steps * 2 * kStep;
    for (std::int64_t tile = 0; tile < tiles; tile += kRows) {
      const std::int64_t used = std::min(kRows, tiles - tile);
      if (used != configured) configure(std::min(used, kSide), std::max<std::int64_t>(1, used - kSide));
      configured = used;
      const std::uint16_t* a = rows + tile / kSide * below;
      float* results = m + tile * outputs + k;
      const bool wide = k + kSide < to;
      const auto f =
          used > kSide ? (wide ? product<2, 2> : product<2, 1>) : (wide ? product<1, 2> : product<1, 1>);
      f(a, below, b, steps, results, outputs);
    }
  }
  _tile_release();
  asm volatile("" ::: "memory");
}

}  // namespace heatproof::winograd::amx

#else

namespace heatproof::winograd::amx {

bool available() { return false; }
std::int64_t weight_size(std::int64_t, std::int64_t) { return 0; }
void pack(const Weights&, std::int64_t, std::int64_t, float*) {}
std::int64_t operand_size(std::int64_t, std::int64_t) { return 0; }
void prepare(const float*, std::int64_t, std::int64_t, float*) {}
void multiply(const float*, const float*, float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
              std::int64_t) {}

}  // namespace heatproof::winograd::amx

#endif
