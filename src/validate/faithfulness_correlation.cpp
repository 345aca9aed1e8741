// Does the sum of the relevance of removed features tell how much the score falls?
#include <algorithm>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Correlation over `sets` sets of features per sample: Σ relevance of a set against the fall of the score
/// without it.
Scores correlate(
    const Evaluation& e, const Parameters& p, std::int64_t sets,
    const std::function<std::vector<std::size_t>(std::int64_t sample, std::int64_t set)>& features) {
  const auto relevance = attributions(e.relevance, p);
  const auto baselines = all_baselines(e, p.text("perturb_baseline"));
  const auto before = scores_of_inputs(e, p.text("score"));
  const auto after =
      scores_of_edits(e, sets, p.text("score"), [&](std::int64_t i, std::int64_t k, std::span<float> x) {
        for (std::size_t f : features(i, k)) x[f] = baselines[static_cast<std::size_t>(i)][f];
      });
  Scores result;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    std::vector<double> sums;
    std::vector<double> falls;
    for (std::int64_t k = 0; k < sets; ++k) {
      double sum = 0;
      for (std::size_t f : features(i, k)) sum += relevance[at][f];
      sums.push_back(sum);
      falls.push_back(before[at] - after[at][static_cast<std::size_t>(k)]);
    }
    result.values.push_back(pearson(sums, falls));
  }
  return result;
}

std::int64_t features_of(const Evaluation& e) { return e.inputs.elements() / e.size(); }

Scores correlation(const Evaluation& e, const Parameters& p) {
  const std::int64_t n = features_of(e);
  const std::int64_t size = p.integer("subset_size");
  if (size >= n)
    throw UsageError("faithfulness_correlation: subset_size must be smaller than the input, which has " +
                     std::to_string(n) + " features");
  return correlate(e, p, p.integer("nr_runs"), [&e, n, size](std::int64_t i, std::int64_t k) {
    RandomStream random = e.random("faithfulness_correlation " + std::to_string(k), i);
    std::vector<std::size_t> all(static_cast<std::size_t>(n));
    for (std::size_t f = 0; f < all.size(); ++f) all[f] = f;
    for (std::size_t f = 0; f < static_cast<std::size_t>(size); ++f)
      std::swap(all[f], all[f + random.below(static_cast<std::uint64_t>(n) - f)]);
    all.resize(static_cast<std::size_t>(size));
    return all;
  });
}

Scores estimate(const Evaluation& e, const Parameters& p) {
  const auto n = static_cast<std::size_t>(features_of(e));
  const std::size_t step = features_in_step(p, n);
  std::vector<std::vector<std::size_t>> orders;
  const auto relevance = attributions(e.relevance, p);
  for (std::int64_t i = 0; i < e.size(); ++i)
    orders.push_back(most_relevant_first(e, i, relevance[static_cast<std::size_t>(i)], p));
  return correlate(e, p, static_cast<std::int64_t>((n + step - 1) / step),
                   [&](std::int64_t i, std::int64_t k) {
                     const auto& order = orders[static_cast<std::size_t>(i)];
                     const std::size_t begin = static_cast<std::size_t>(k) * step;
                     return std::vector<std::size_t>(
                         order.begin() + static_cast<std::ptrdiff_t>(begin),
                         order.begin() + static_cast<std::ptrdiff_t>(std::min(begin + step, n)));
                   });
}

}  // namespace

const Metric kFaithfulnessCorrelation = {
    .name = "faithfulness_correlation",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "Pearson's r",
    .source = "Bhatt et al. 2020",
    .about =
        "Correlation over random sets of features between their summed relevance and the fall of the score "
        "without them.",
    .parameters = {{"nr_runs", std::int64_t{100}, "random sets", 2, 1e6},
                   {"subset_size", std::int64_t{224}, "features of a set", 1, 1e9},
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(false),
                   normalise_parameter()},
    .score_all = correlation,
};

const Metric kFaithfulnessEstimate = {
    .name = "faithfulness_estimate",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "Pearson's r",
    .source = "Alvarez-Melis and Jaakkola 2018",
    .about =
        "Correlation between the relevance of each feature (or step of features) and the fall of the score "
        "without it.",
    .parameters = {features_in_step_parameter(), perturb_baseline_parameter("black"),
                   watched_score_parameter(), absolute_parameter(false), normalise_parameter(),
                   ties_parameter()},
    .score_all = estimate,
};

}  // namespace heatproof
