// Arithmetic on sizes that a file names: what does not fit into 64 bits is an error, not another size.
//
//   y[i] = sizes::sum(x[i], sizes::sum(pads[i], pads[i + rank]));
//
// All shapes of a graph have passed `sizes::check`, so that no product of their lengths can overflow.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "heatproof/tensor.h"

namespace heatproof {

/// Axes that a value may have: as many as numpy allows. Kernels keep indices of that many.
inline constexpr int kMostAxes = 64;

namespace sizes {

/// Throw Error where the result does not fit.
std::int64_t sum(std::int64_t a, std::int64_t b);
std::int64_t sum(std::span<const std::int64_t> values);
std::int64_t product(std::int64_t a, std::int64_t b);
std::int64_t product(std::span<const std::int64_t> values);
/// ⌈a / b⌉ of a ≥ 0. Throws Error where b < 1.
std::int64_t quotient_up(std::int64_t a, std::int64_t b);
/// Positions from the first to the last that a window of `kernel` taps sees: dilation · (kernel − 1) + 1.
std::int64_t extent(std::int64_t kernel, std::int64_t dilation);
/// A number without its fraction. Throws Error where it is no integer of 64 bits.
std::int64_t whole(double value);

/// Throws Error for a shape with a negative length, more than `kMostAxes` axes, or too many elements.
void check(const Shape& shape);
/// Whether a shape passes `check` and has at most so many elements.
bool is_within(const Shape& shape, std::int64_t elements);
/// Whether one of the lengths is 0.
bool is_empty(const Shape& shape);

/// "1, 2, 3", shortened where there are many.
std::string text(std::span<const std::int64_t> values);

}  // namespace sizes
}  // namespace heatproof
