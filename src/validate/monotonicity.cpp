// Do features matter in the order of their relevance?
#include <algorithm>
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

struct Steps {
  std::vector<std::size_t> order;  // by increasing relevance
  std::size_t size;

  std::size_t count() const { return (order.size() + size - 1) / size; }
  std::span<const std::size_t> features(std::size_t k) const {
    return std::span(order).subspan(k * size, std::min(size, order.size() - k * size));
  }
};

/// Of every sample.
std::vector<Steps> steps_of(const Evaluation& e, const std::vector<std::vector<double>>& relevance,
                            const Parameters& p) {
  std::vector<Steps> steps;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    auto order = most_relevant_first(e, i, relevance[static_cast<std::size_t>(i)], p);
    std::ranges::reverse(order);
    const std::size_t step = features_in_step(p, order.size());
    steps.push_back({std::move(order), step});
  }
  return steps;
}

/// From nothing but the baseline, features come back by increasing relevance.
Scores monotonicity(const Evaluation& e, const Parameters& p) {
  const std::vector<Steps> steps = steps_of(e, attributions(e.relevance, p), p);
  const auto baselines = all_baselines(e, p.text("perturb_baseline"));
  const bool quantus = p.flag("as_quantus");
  const auto scores = scores_of_edits(e, static_cast<std::int64_t>(steps[0].count()), p.text("score"),
                                      [&](std::int64_t i, std::int64_t k, std::span<float> x) {
                                        const auto at = static_cast<std::size_t>(i);
                                        const std::vector<float> original(x.begin(), x.end());
                                        std::ranges::copy(baselines[at], x.begin());
                                        if (quantus) return;
                                        for (std::size_t s = 0; s <= static_cast<std::size_t>(k); ++s) {
                                          for (std::size_t f : steps[at].features(s)) x[f] = original[f];
                                        }
                                      });
  Scores result;
  for (const auto& curve : scores) {
    result.values.push_back(std::ranges::is_sorted(curve) ? 1 : 0);
    result.curves["score"].push_back(curve);
  }
  return result;
}

Scores correlation(const Evaluation& e, const Parameters& p) {
  const std::int64_t draws = p.integer("nr_samples");
  const auto relevance = attributions(e.relevance, p);
  const std::vector<Steps> steps = steps_of(e, relevance, p);
  const auto count = steps[0].count();
  const auto before = scores_of_inputs(e, p.text("score"));
  const auto after = scores_of_edits(
      e, static_cast<std::int64_t>(count) * draws, p.text("score"),
      [&](std::int64_t i, std::int64_t k, std::span<float> x) {
        const auto filler = baseline_of(e, i, p.text("perturb_baseline"), k);
        for (std::size_t f : steps[static_cast<std::size_t>(i)].features(static_cast<std::size_t>(k / draws)))
          x[f] = filler[f];
      });
  Scores result;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double scale = std::fabs(before[i]) >= p.number("eps") ? 1 / (before[i] * before[i]) : 1;
    std::vector<double> sums(count);
    std::vector<double> spreads(count);
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t f : steps[i].features(k)) sums[k] += relevance[i][f];
      for (std::int64_t d = 0; d < draws; ++d) {
        const double change =
            after[i][k * static_cast<std::size_t>(draws) + static_cast<std::size_t>(d)] - before[i];
        spreads[k] += change * change * scale / static_cast<double>(draws);
      }
    }
    result.values.push_back(spearman(sums, spreads));
  }
  return result;
}

}  // namespace

const Metric kMonotonicity = {
    .name = "monotonicity",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "yes or no",
    .source = "Arya et al. 2019",
    .about = "1 when the score never falls while features return to the baseline by increasing relevance.",
    .parameters = {features_in_step_parameter(),
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(true),
                   normalise_parameter(),
                   ties_parameter(),
                   {"as_quantus", false, "as Quantus 0.6, which never lets a feature return"}},
    .score_all = monotonicity,
};

const Metric kMonotonicityCorrelation = {
    .name = "monotonicity_correlation",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "Spearman's rho",
    .source = "Nguyen and Martinez 2020",
    .about =
        "Rank correlation between the relevance of features and the spread of the score when they are "
        "random.",
    .parameters = {features_in_step_parameter(),
                   {"nr_samples", std::int64_t{100}, "random draws per step", 1, 1e6},
                   {"eps", 1e-5, "scores below are not divided by", 0.0},
                   perturb_baseline_parameter("uniform"),
                   watched_score_parameter(),
                   absolute_parameter(true),
                   normalise_parameter(),
                   ties_parameter()},
    .score_all = correlation,
};

}  // namespace heatproof
