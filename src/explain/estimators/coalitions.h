// Groups of positions that are shown or hidden together, and linear models of how the score hangs on them.
#pragma once

#include <vector>

#include "explain/estimators/estimator.h"

namespace heatproof {

/// A grid over the positions of an input: every axis is cut into at most `cells` equal parts. Inputs without
/// channels have one.
struct Groups {
  std::int64_t count = 0;
  std::vector<std::int64_t> of;  // the group of every position
};
Groups grid_groups(const Shape& input, std::int64_t cells);
Parameter cells_parameter();

/// Which groups are shown, per copy.
using Coalition = std::vector<bool>;
/// All 2^count of them.
std::vector<Coalition> all_coalitions(std::int64_t count);
/// Whether there are so few groups that `samples` is enough for all coalitions.
bool few(std::int64_t count, std::int64_t samples);

/// Scores [copy] of sample n with the groups outside of each coalition replaced by the baseline.
std::vector<double> scores_of_coalitions(const EstimatorSetup& setup, const Groups& groups,
                                         const Parameters& p, const Samples& sample,
                                         const std::vector<Coalition>& coalitions);

/// Values of groups → relevance of one sample [1, ...]: every position of a group, in all channels, has the
/// group's value.
void spread(const Groups& groups, const std::vector<double>& values, std::span<float> relevance);

/// Calls explain(sample) for each sample alone and stacks what it returns, values of groups.
Tensor explain_groups(const Groups& groups, const Samples& samples,
                      const std::function<std::vector<double>(const Samples&)>& explain);

}  // namespace heatproof
