#include "select/shares.h"

#include <algorithm>
#include <cmath>

namespace heatproof {

bool are_shares(const std::vector<std::vector<double>>& scores) {
  return std::ranges::all_of(scores, [](const auto& row) {
    return std::ranges::all_of(row, [](double v) { return v == 0 || v == 1 || !std::isfinite(v); });
  });
}

Interval interval_of(const Bootstrap& bootstrap, const std::vector<double>& values, bool shares) {
  const bool equal = std::ranges::adjacent_find(values, std::ranges::not_equal_to()) == values.end();
  if (!shares || !equal || values.size() < 2 || !are_shares({values}) || !std::isfinite(values[0]))
    return bootstrap.interval(values);
  return exact_share_of(values[0] == 1 ? values.size() : 0, values.size());
}

}  // namespace heatproof
