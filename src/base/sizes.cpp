#include "base/sizes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "heatproof/error.h"

namespace heatproof::sizes {

std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result))
    throw Error(fmt::format("sizes {} and {} are too large together", a, b));
  return result;
}

std::int64_t sum(std::span<const std::int64_t> values) {
  std::int64_t total = 0;
  for (std::int64_t v : values) total = sum(total, v);
  return total;
}

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result))
    throw Error(fmt::format("{} times {} is too large for a size", a, b));
  return result;
}

std::int64_t product(std::span<const std::int64_t> values) {
  std::int64_t total = 1;
  for (std::int64_t v : values) total = product(total, v);
  return total;
}

std::int64_t quotient_up(std::int64_t a, std::int64_t b) {
  if (b < 1) throw Error(fmt::format("a size cannot be divided by {}", b));
  return a / b + (a % b > 0 ? 1 : 0);
}

std::int64_t extent(std::int64_t kernel, std::int64_t dilation) {
  return sum(product(dilation, sum(kernel, -1)), 1);
}

std::int64_t whole(double value) {
  if (!(std::fabs(value) < 9.2e18)) throw Error(fmt::format("{} is no integer", value));
  return static_cast<std::int64_t>(value);
}

void check(const Shape& shape) {
  if (shape.rank() > kMostAxes)
    throw Error(fmt::format("a value of {} axes; at most {} are supported", shape.size(), kMostAxes));
  shape.elements();
}

bool is_within(const Shape& shape, std::int64_t elements) {
  try {
    check(shape);
  } catch (const Error&) {
    return false;
  }
  return shape.elements() <= elements;
}

bool is_empty(const Shape& shape) {
  return std::ranges::any_of(shape, [](std::int64_t d) { return d == 0; });
}

std::string text(std::span<const std::int64_t> values) {
  constexpr std::size_t kShown = 8;
  if (values.size() <= kShown + 2) return fmt::format("{}", fmt::join(values, ", "));
  return fmt::format("{}, ... ({} numbers)", fmt::join(values.first(kShown), ", "), values.size());
}

}  // namespace heatproof::sizes
