// Sensitivity-n: do sums of relevance over n features tell how much the score falls without them? Ancona et
// al. 2018, sec. 4.
#include <algorithm>
#include <cmath>
#include <set>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

/// Sizes of the removed sets: from one feature to a share of all, in equal factors.
std::vector<std::size_t> sizes_of(std::size_t features, const Parameters& p) {
  const double most = std::max(1.0, p.number("n_max_percentage") * static_cast<double>(features));
  const auto count = static_cast<std::size_t>(p.integer("sizes"));
  std::set<std::size_t> sizes;
  for (std::size_t k = 0; k < count; ++k) {
    const double t = count == 1 ? 1 : static_cast<double>(k) / static_cast<double>(count - 1);
    sizes.insert(static_cast<std::size_t>(std::llround(std::pow(most, t))));
  }
  return {sizes.begin(), sizes.end()};
}

Scores by_random_sets(const Evaluation& e, const Parameters& p) {
  const auto relevance = attributions(e.relevance, p);
  const auto fillers = all_baselines(e, p.text("perturb_baseline"));
  const std::vector<std::size_t> sizes = sizes_of(relevance[0].size(), p);
  const auto runs = static_cast<std::size_t>(p.integer("nr_runs"));
  const auto features = [&](std::int64_t i, std::size_t copy) {
    RandomStream random = e.random("sensitivity_n " + std::to_string(copy), i);
    std::vector<std::size_t> all(relevance[0].size());
    for (std::size_t f = 0; f < all.size(); ++f) all[f] = f;
    const std::size_t n = sizes[copy / runs];
    for (std::size_t f = 0; f < n; ++f) std::swap(all[f], all[f + random.below(all.size() - f)]);
    all.resize(n);
    return all;
  };
  const auto before = scores_of_inputs(e, p.text("score"));
  std::vector<std::vector<double>> sums(relevance.size(), std::vector<double>(sizes.size() * runs));
  const auto after = scores_of_edits(e, static_cast<std::int64_t>(sizes.size() * runs), p.text("score"),
                                     [&](std::int64_t i, std::int64_t copy, std::span<float> x) {
                                       const auto at = static_cast<std::size_t>(i);
                                       double sum = 0;
                                       for (std::size_t f : features(i, static_cast<std::size_t>(copy))) {
                                         sum += relevance[at][f];
                                         x[f] = fillers[at][f];
                                       }
                                       sums[at][static_cast<std::size_t>(copy)] = sum;
                                     });
  Scores result;
  for (std::size_t i = 0; i < after.size(); ++i) {
    std::vector<double> curve;
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      std::vector<double> falls;
      for (std::size_t r = 0; r < runs; ++r) falls.push_back(before[i] - after[i][k * runs + r]);
      curve.push_back(pearson(std::span(sums[i]).subspan(k * runs, runs), falls));
    }
    result.values.push_back(mean(curve));
    result.curves["correlation"].push_back(std::move(curve));
  }
  return result;
}

/// Quantus removes features by relevance, step after step, and correlates each step's relevance with the fall
/// so far over the samples.
Scores as_quantus(const Evaluation& e, const Parameters& p) {
  const auto relevance = attributions(e.relevance, p);
  const std::size_t n = relevance[0].size();
  const std::size_t step = features_in_step(p, n);
  std::vector<std::vector<std::size_t>> orders;
  std::vector<std::vector<float>> fillers;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    orders.push_back(descending(relevance[static_cast<std::size_t>(i)]));
    fillers.push_back(baseline_of_steps(e, i, p.text("perturb_baseline"), in_steps(orders.back(), step)));
  }
  const auto before = scores_of_inputs(e, p.text("score"));
  const std::size_t steps = (n + step - 1) / step;
  const auto after = scores_of_edits(e, static_cast<std::int64_t>(steps), p.text("score"),
                                     [&](std::int64_t i, std::int64_t k, std::span<float> x) {
                                       const auto at = static_cast<std::size_t>(i);
                                       const std::size_t end =
                                           std::min(n, (static_cast<std::size_t>(k) + 1) * step);
                                       for (std::size_t f = 0; f < end; ++f)
                                         x[orders[at][f]] = fillers[at][orders[at][f]];
                                     });
  const Shape& s = e.inputs.shape();
  const double pixels = static_cast<double>(n) / static_cast<double>(s.rank() >= 3 ? s[1] : 1);
  const auto most =
      static_cast<std::size_t>(p.number("n_max_percentage") * pixels / static_cast<double>(step));
  std::vector<double> curve;
  for (std::size_t k = 0; k < std::min(most, steps); ++k) {
    std::vector<double> sums;
    std::vector<double> falls;
    for (std::size_t i = 0; i < relevance.size(); ++i) {
      double sum = 0;
      for (std::size_t f = k * step; f < std::min(n, (k + 1) * step); ++f) sum += relevance[i][orders[i][f]];
      sums.push_back(sum);
      falls.push_back(before[i] - after[i][k]);
    }
    curve.push_back(pearson(falls, sums));
  }
  const std::vector<double> values(relevance.size(), mean(curve));
  return {values, {{"correlation", std::vector<std::vector<double>>(relevance.size(), curve)}}};
}

Scores score(const Evaluation& e, const Parameters& p) {
  return p.flag("as_quantus") ? as_quantus(e, p) : by_random_sets(e, p);
}

}  // namespace

const Metric kSensitivityN = {
    .name = "sensitivity_n",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "Pearson's r",
    .source = "Ancona et al. 2018",
    .about =
        "Correlation over random sets of n features between their summed relevance and the fall of the score "
        "without them, averaged over sizes n; curve: by size.",
    .parameters = {{"sizes", std::int64_t{8}, "sizes n, from one feature on in equal factors", 1, 1000},
                   {"nr_runs", std::int64_t{50}, "random sets of each size", 2, 1e6},
                   {"n_max_percentage", 0.8, "the largest size, as a share of all features", 0.0, 1.0},
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(false),
                   normalise_parameter(),
                   {"as_quantus", false,
                    "as Quantus 0.6: most relevant first, correlated over samples; one value for all"},
                   features_in_step_parameter()},
    .score_all = score,
};

}  // namespace heatproof
