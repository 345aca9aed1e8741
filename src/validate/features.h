// What metrics share that remove sets of features, a feature being one element of the input (as in Quantus).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "validate/metric.h"

namespace heatproof {

// Parameters with Quantus's names and defaults.
Parameter absolute_parameter(bool otherwise);
Parameter normalise_parameter();
Parameter features_in_step_parameter();
/// black: the image's minimum; white: its maximum; mean; uniform: random in [0, 1); or a number.
Parameter perturb_baseline_parameter(const std::string& otherwise);
Parameter watched_score_parameter();

/// Relevance of sample i, flat, as the parameters `abs` and `normalise` (division by max |a|) want it.
std::vector<double> attributions_of(const Evaluation& e, std::int64_t i, const Parameters& p);
/// Values that removed features of sample i take, flat. `copy` tells random draws apart.
/// Throws UsageError for baselines that are neither a known word nor a number.
std::vector<float> baseline_of(const Evaluation& e, std::int64_t i, const std::string& name,
                               std::int64_t copy = 0);

/// Indices by decreasing value; equal values by index.
std::vector<std::size_t> descending(std::span<const double> values);

/// Correlations; NaN where one of the two is constant.
double pearson(std::span<const double> a, std::span<const double> b);
double spearman(std::span<const double> a, std::span<const double> b);

/// The watched score (`logit`, `probability`, or `difference` to the best other class) of the sample's target
/// in one row of scores.
double watched(std::span<const float> scores, std::int64_t target, const std::string& kind);

/// Scores of `copies` edited copies of each sample, [sample][copy]; edit(sample, copy, x) changes the copy in
/// place.
using Edit = std::function<void(std::int64_t sample, std::int64_t copy, std::span<float> x)>;
std::vector<std::vector<double>> scores_of_edits(const Evaluation& e, std::int64_t copies,
                                                 const std::string& kind, const Edit& edit);
/// Scores of the inputs as they are.
std::vector<double> scores_of_inputs(const Evaluation& e, const std::string& kind);

}  // namespace heatproof
