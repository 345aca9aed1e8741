// Products of matrices in single precision on the tiles of AMX (Intel's matrix extensions), which multiply
// numbers of bf16: every number is the sum of three of them, to its last bit, and six of the nine products of
// parts are as much as single precision can tell (Henry, Tang and Heinecke 2019, arXiv:1904.06376).
#pragma once

#include "ops/winograd_kernels.h"

namespace heatproof::winograd::amx {

/// Whether processor, operating system and compiler have them. Asks the system for its permission once.
bool available();

constexpr std::int64_t kRows = 32;     // tiles of the map whose products are in registers at once
constexpr std::int64_t kColumns = 32;  // output channels of a panel of weights

// As in Kernels.
std::int64_t weight_size(std::int64_t channels, std::int64_t outputs);
void pack(const Weights& weights, std::int64_t from, std::int64_t to, float* u);
std::int64_t operand_size(std::int64_t tiles, std::int64_t channels);
void prepare(const float* v, std::int64_t tiles, std::int64_t channels, float* to);
void multiply(const float* operand, const float* u, float* m, std::int64_t tiles, std::int64_t channels,
              std::int64_t outputs, std::int64_t from, std::int64_t to);

}  // namespace heatproof::winograd::amx
