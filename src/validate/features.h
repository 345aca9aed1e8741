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
/// sample: divided by the largest |relevance| of the sample; batch: of all samples (Quantus); none.
Parameter normalise_parameter(const std::string& otherwise = "sample");
Parameter features_in_step_parameter();
std::size_t features_in_step(const Parameters& p, std::size_t features);
/// black: the image's minimum; white: its maximum; mean (where features stay away, of what is left by then,
/// as in Quantus); uniform: random in [0, 1); or a number.
Parameter perturb_baseline_parameter(const std::string& otherwise);
Parameter watched_score_parameter();
/// Both tables, one after the other.
std::vector<Parameter> joined(std::vector<Parameter> a, const std::vector<Parameter>& b);

/// Sample i of a tensor [N, ...], flat.
std::span<const float> row_of(const Tensor& t, std::int64_t i);
std::span<float> row_of(Tensor& t, std::int64_t i);

/// Relevance [N, ...] of every sample, flat, as the parameters `abs` and `normalise` want it.
std::vector<std::vector<double>> attributions(const Tensor& relevance, const Parameters& p);
/// Values that removed features of sample i take, flat. `copy` tells random draws apart.
/// Throws UsageError for baselines that are neither a known word nor a number.
std::vector<float> baseline_of(const Evaluation& e, std::int64_t i, const std::string& name,
                               std::int64_t copy = 0);

/// The same for features that leave in steps and stay away: a `mean` is that of the input as it is when they
/// leave.
std::vector<float> baseline_of_steps(const Evaluation& e, std::int64_t i, const std::string& name,
                                     const std::vector<std::vector<std::size_t>>& steps);
/// `order` in pieces of `size`.
std::vector<std::vector<std::size_t>> in_steps(const std::vector<std::size_t>& order, std::size_t size);

/// The same of every sample.
std::vector<std::vector<float>> all_baselines(const Evaluation& e, const std::string& name);

/// noise on the inputs, as a share of their range.
Parameter jitter_parameter(double otherwise);
/// All inputs with that noise, uniform in ± jitter · (largest - smallest value of the sample), so that a
/// constant background makes no ties under a max pooling, where a network has no gradient.
Tensor jittered(const Evaluation& e, double jitter);

/// Indices by decreasing value, NaN last; equal values by index, or by the rank that `ties` gives them.
std::vector<std::size_t> descending(std::span<const double> values, std::span<const std::size_t> ties = {});

/// `ties`: random (a seeded shuffle, so that a flat heatmap is no order at all) or index (as peers do).
Parameter ties_parameter();
/// Indices of one sample's relevance (of features, pixels, patches) by decreasing value, ties as the
/// parameter wants them, or by index where `as_quantus` is set. The channels of a pixel stay together.
std::vector<std::size_t> most_relevant_first(const Evaluation& e, std::int64_t i,
                                             std::span<const double> values, const Parameters& p);

/// Ranks from 1; equal values share the mean of theirs. All NaN where one of the values is.
std::vector<double> ranks(std::span<const double> values);

/// Correlations; NaN where one of the two is constant.
double pearson(std::span<const double> a, std::span<const double> b);
double spearman(std::span<const double> a, std::span<const double> b);

/// What a metric watches: `logit`, `probability`, or `difference` to the best other class (of the same place,
/// where the network chooses a class for each). A `probability` that is only the metric's default is the
/// logit where the network has none; what was asked for and cannot be watched is a UsageError.
std::string watched_kind(const Network& network, const Parameters& p);
/// Why a network has no score of a kind; empty where it has.
std::string why_unwatched(const Network& network, const std::string& kind);
/// The watched score of a target in one row of scores.
double watched(const Network& network, std::span<const float> scores, std::int64_t target,
               const std::string& kind);

/// Scores of `copies` edited copies of each sample, [sample][copy]; edit(sample, copy, x) changes the copy in
/// place.
using Edit = std::function<void(std::int64_t sample, std::int64_t copy, std::span<float> x)>;
std::vector<std::vector<double>> scores_of_edits(const Evaluation& e, std::int64_t copies,
                                                 const std::string& kind, const Edit& edit);
/// The same where the copies are steps of walks along which only patches change from one step to the next:
/// copy = walk · steps + step. Computed incrementally where that is cheaper, and once where walks are equal.
using Place = std::vector<std::int64_t>;
struct SampleWalks {
  std::int64_t walks = 1, steps = 0;  // of each sample
  std::vector<std::int64_t> patch;    // its size along the spatial axes
  Edit edit;
  /// Where it is known what changes: turns a step's copy into the next and tells where, as Walks::advance
  /// does.
  std::function<std::vector<Place>(std::int64_t sample, std::int64_t copy, std::span<float> x)> advance = {};
  /// All that the edits of a walk hang on besides the sample's input, as Walks::changes.
  std::function<void(std::int64_t sample, std::int64_t walk, Sha256& hash)> changes;
};
std::vector<std::vector<double>> scores_of_walks(const Evaluation& e, const SampleWalks& walks,
                                                 const std::string& kind);
/// The samples of an evaluation as donors.
Donors own_donors(const Evaluation& e);
/// How many random orders are averaged where relevance gives none.
Parameter orders_parameter();
/// Replaces scores and curves of `samples`, whose order is chance, by means over so many orders; `once`
/// measures an evaluation of these samples with the next seed.
void average_orders(const Evaluation& e, const std::vector<std::int64_t>& samples, std::int64_t orders,
                    const std::function<Scores(const Evaluation&)>& once, Scores& scores);
/// Pixels along the longer spatial axis of inputs [N, ...].
std::int64_t longer_side(const Shape& inputs);
/// Throws UsageError naming the parameter when a patch of this side is larger than the inputs.
void check_patch(const Evaluation& e, const std::string& parameter, std::int64_t side);
/// Side of about 14 patches along the longer side of an input [N, ...].
std::int64_t usual_patch(const Shape& inputs);

/// Scores of the inputs as they are.
std::vector<double> scores_of_inputs(const Evaluation& e, const std::string& kind);

}  // namespace heatproof
