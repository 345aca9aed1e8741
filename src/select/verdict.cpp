#include "select/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace heatproof {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

OverControl not_compared(std::size_t control) { return {control, {kNaN, kNaN, kNaN}, kNaN}; }

bool finite(const std::vector<double>& scores) {
  return std::ranges::all_of(scores, [](double v) { return std::isfinite(v); });
}

}  // namespace

std::vector<OverControl> over_controls(const std::vector<Ranked>& ranking,
                                       const std::vector<bool>& is_control) {
  std::vector<OverControl> all;
  if (ranking.empty() || ranking[0].failed || is_control[ranking[0].recipe]) return all;
  for (const Ranked& r : ranking) {
    if (!is_control[r.recipe]) continue;
    all.push_back(r.failed ? not_compared(r.recipe)
                           : OverControl{r.recipe, r.shortfall, r.p, true, !r.in_best_set});
  }
  return all;
}

std::vector<OverControl> over_controls(
    const std::vector<double>& winner,
    const std::vector<std::pair<std::size_t, std::vector<double>>>& controls, std::uint64_t seed) {
  std::vector<OverControl> all;
  for (const auto& [control, scores] : controls) {
    if (scores.empty() || !finite(winner) || !finite(scores)) {
      all.push_back(not_compared(control));
      continue;
    }
    const Lead lead = AllPairs({winner, scores}, seed).lead(0, 1);
    all.push_back({control, lead.difference, lead.p, true, lead.proven()});
  }
  return all;
}

bool beats_every(const std::vector<OverControl>& controls) {
  return !controls.empty() && std::ranges::all_of(controls, &OverControl::beaten);
}

std::optional<OverControl> closest(const std::vector<OverControl>& controls) {
  std::optional<OverControl> found;
  for (const OverControl& c : controls) {
    if (c.compared && (!found || c.difference.mean < found->difference.mean)) found = c;
  }
  return found;
}

}  // namespace heatproof
