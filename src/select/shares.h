// Scores that are hits or misses.
#pragma once

#include "select/statistics.h"

namespace heatproof {

/// Nothing but 0 and 1, and what is not finite.
bool are_shares(const std::vector<std::vector<double>>& scores);

/// `bootstrap.interval`, and Clopper and Pearson's where all values are 0, or all 1, and nothing else is
/// possible (`shares`): four hits of four say little, but not nothing.
Interval interval_of(const Bootstrap& bootstrap, const std::vector<double>& values, bool shares);

}  // namespace heatproof
