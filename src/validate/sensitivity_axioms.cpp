// Sensitivity (a) and (b): what changes the score has relevance; what never changes it has none. Sundararajan
// et al. 2017, sec. 2.1 and 3.
#include <algorithm>
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Features that are looked at: all, or a random sample of them.
std::vector<std::size_t> features_of(const Evaluation& e, std::int64_t i, std::int64_t most) {
  const std::int64_t n = e.inputs.elements() / e.size();
  std::vector<std::int64_t> order = e.random("sensitivity axioms", i).permutation(n);
  order.resize(static_cast<std::size_t>(std::min(n, most)));
  return {order.begin(), order.end()};
}

struct Effects {
  std::vector<std::size_t> features;
  std::vector<double> largest;  // |change of the score| / max(1, |score|) when the feature alone is replaced
};

/// `draws` replacements of each looked-at feature by fillers(sample, draw).
template <typename Fillers>
std::vector<Effects> effects_of(const Evaluation& e, const Parameters& p, std::int64_t draws,
                                Fillers fillers) {
  std::vector<Effects> all;
  for (std::int64_t i = 0; i < e.size(); ++i) all.push_back({features_of(e, i, p.integer("features")), {}});
  const auto count = static_cast<std::int64_t>(all[0].features.size());
  const auto before = scores_of_inputs(e, p.text("score"));
  const auto after = scores_of_edits(
      e, count * draws, p.text("score"), [&](std::int64_t i, std::int64_t k, std::span<float> x) {
        const std::size_t f = all[static_cast<std::size_t>(i)].features[static_cast<std::size_t>(k / draws)];
        x[f] = fillers(i, k % draws, f);
      });
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(count); ++k) {
      double most = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(draws); ++d)
        most = std::max(most, std::fabs(after[i][k * static_cast<std::size_t>(draws) + d] - before[i]));
      all[i].largest.push_back(most / std::max(1.0, std::fabs(before[i])));
    }
  }
  return all;
}

double largest_magnitude(std::span<const float> values) {
  double most = 0;
  for (float v : values) most = std::max(most, static_cast<double>(std::fabs(v)));
  return most;
}

Scores sensitivity_a(const Evaluation& e, const Parameters& p) {
  const auto baselines = all_baselines(e, p.text("perturb_baseline"));
  const auto effects = effects_of(e, p, 1, [&](std::int64_t i, std::int64_t, std::size_t f) {
    return baselines[static_cast<std::size_t>(i)][f];
  });
  Scores s;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto relevance = row_of(e.relevance, i);
    const double least = p.number("eps") * largest_magnitude(relevance);
    const Effects& own = effects[static_cast<std::size_t>(i)];
    double sensitive = 0;
    double missed = 0;
    for (std::size_t k = 0; k < own.features.size(); ++k) {
      if (own.largest[k] <= p.number("effect")) continue;
      sensitive += 1;
      missed += std::fabs(relevance[own.features[k]]) <= least;
    }
    s.values.push_back(sensitive > 0 ? missed / sensitive : 0);
  }
  return s;
}

Scores sensitivity_b(const Evaluation& e, const Parameters& p) {
  const std::int64_t draws = p.integer("draws");
  const auto effects = effects_of(e, p, draws, [&](std::int64_t i, std::int64_t draw, std::size_t f) {
    // Another value of the same image, so that replacements are of its range.
    RandomStream random = e.random("sensitivity_b " + std::to_string(draw), i);
    const auto x = row_of(e.inputs, i);
    return x[(f + random.below(x.size())) % x.size()];
  });
  Scores s;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto relevance = row_of(e.relevance, i);
    const Effects& own = effects[static_cast<std::size_t>(i)];
    double total = 0;
    double wasted = 0;
    for (std::size_t k = 0; k < own.features.size(); ++k) {
      const double r = std::fabs(relevance[own.features[k]]);
      total += r;
      if (own.largest[k] <= p.number("effect")) wasted += r;
    }
    s.values.push_back(total > 0 ? wasted / total : 0);
  }
  return s;
}

std::vector<Parameter> parameters() {
  return {
      {"features", std::int64_t{256}, "features looked at, drawn at random", 1, 1e9},
      {"effect", 1e-5, "changes below this share of the score (or this, for scores below 1) are none", 0.0},
      watched_score_parameter()};
}

}  // namespace

const Metric kSensitivityA = {
    .name = "sensitivity_a",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "share",
    .source = "Sundararajan et al. 2017, sec. 2.1",
    .about = "Of the features whose replacement alone changes the score, the share that has no relevance.",
    .parameters =
        joined(parameters(), {perturb_baseline_parameter("black"),
                              {"eps", 1e-6, "relevance below this share of the largest is none", 0.0}}),
    .score_all = sensitivity_a,
};

const Metric kSensitivityB = {
    .name = "sensitivity_b",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "share",
    .source = "Sundararajan et al. 2017, sec. 3; dummy axiom of Friedman 2004",
    .about = "Share of |relevance| on features whose replacement never changes the score.",
    .parameters =
        joined(parameters(), {{"draws", std::int64_t{4}, "replacements of each feature", 1, 10000}}),
    .score_all = sensitivity_b,
};

}  // namespace heatproof
