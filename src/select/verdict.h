// Does the best recipe beat every control? Claimed only where it was compared with each of them.
#pragma once

#include <optional>
#include <vector>

#include "select/ranking.h"

namespace heatproof {

/// The best recipe against one control.
struct OverControl {
  std::size_t control;    // recipe
  Interval difference{};  // positive where the best recipe is better; NaN where they cannot be compared
  double p = 1;           // of a lead this large were they equal; NaN likewise
  bool compared = false;  // both have a score on every image
  bool beaten = false;    // the interval lies above zero
};

/// On the images that ranked the recipes: every lead holds for all pairs of recipes together, so that
/// choosing the best of many recipes is paid for. Empty where the best is a control itself or failed.
std::vector<OverControl> over_controls(const std::vector<Ranked>& ranking,
                                       const std::vector<bool>& is_control);

/// On other images: scores of the recipe that was chosen, and of the controls (numbers, scores), higher is
/// better. Nothing is chosen here, so that each control is compared alone.
std::vector<OverControl> over_controls(
    const std::vector<double>& winner,
    const std::vector<std::pair<std::size_t, std::vector<double>>>& controls, std::uint64_t seed);

/// All of them, and at least one.
bool beats_every(const std::vector<OverControl>& controls);

/// The control that comes closest to the winner, of those that were compared.
std::optional<OverControl> closest(const std::vector<OverControl>& controls);

}  // namespace heatproof
