#include "explain/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

Tensor matrix(std::int64_t rows, std::int64_t columns, const std::vector<double>& values) {
  const std::vector<float> numbers(values.begin(), values.end());
  return Tensor::of({rows, columns}, std::span<const float>(numbers));
}

/// Position i mirrored into 0 … n−1 without repeating the ends.
std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

}  // namespace

Value along(Value x, int axis, const Tensor& rows) {
  std::vector<std::int64_t> perm;
  for (int i = 0; i < x.shape().rank(); ++i) perm.push_back(i);
  std::swap(perm[static_cast<std::size_t>(axis)], perm.back());
  Builder& g = x.builder();
  return transpose(g.add(kLinear, {transpose(x, perm), g.constant(rows)}), perm);
}

int first_position(const Shape& shape) { return shape.rank() < 3 ? 1 : 2; }

Tensor blurring(std::int64_t n, double sigma) {
  const std::int64_t reach = (std::llround(8 * sigma + 1) | 1) / 2;
  const auto height = [&](std::int64_t d) {
    return std::exp(-static_cast<double>(d * d) / (2 * sigma * sigma));
  };
  double sum = 0;
  for (std::int64_t d = -reach; d <= reach; ++d) sum += height(d);
  std::vector<double> values(static_cast<std::size_t>(n * n), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = -reach; d <= reach; ++d)
      values[static_cast<std::size_t>(i * n + mirrored(i + d, n))] += height(d) / sum;
  }
  return matrix(n, n, values);
}

Tensor interpolation(std::int64_t from, std::int64_t to) {
  std::vector<double> values(static_cast<std::size_t>(from * to), 0);
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  for (std::int64_t i = 0; i < to; ++i) {
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const auto low = std::min(static_cast<std::int64_t>(at), from - 1);
    const std::int64_t high = std::min(low + 1, from - 1);
    const double share = at - static_cast<double>(low);
    values[static_cast<std::size_t>(i * from + low)] += 1 - share;
    values[static_cast<std::size_t>(i * from + high)] += share;
  }
  return matrix(to, from, values);
}

}  // namespace heatproof
