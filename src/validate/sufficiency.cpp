// Sufficiency: do similar explanations come with the same prediction? Dasgupta et al. 2022.
#include <algorithm>
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Euclidean distances between all samples, each feature divided by its variance over the samples (both sets
/// counted, as SciPy does).
std::vector<std::vector<double>> distances(const std::vector<std::vector<double>>& a) {
  const std::size_t n = a.size();
  std::vector<std::vector<double>> squares(n, std::vector<double>(n));
  for (std::size_t f = 0; f < a[0].size(); ++f) {
    double mean = 0;
    for (const auto& row : a) mean += row[f] / static_cast<double>(n);
    double variance = 0;
    for (const auto& row : a)
      variance += 2 * (row[f] - mean) * (row[f] - mean) / static_cast<double>(2 * n - 1);
    if (variance == 0) continue;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j)
        squares[i][j] += (a[i][f] - a[j][f]) * (a[i][f] - a[j][f]) / variance;
    }
  }
  for (auto& row : squares) {
    for (double& v : row) v = std::sqrt(v);
  }
  return squares;
}

Scores sufficiency(const Evaluation& e, const Parameters& p) {
  const auto d = distances(attributions(e.relevance, p));
  const auto classes = argmax_rows(e.logits);
  Scores result;
  double most = 0;
  for (const auto& row : d) most = std::max(most, *std::ranges::max_element(row));
  for (std::size_t i = 0; i < d.size(); ++i) {
    double near = 0;
    double same = 0;
    for (std::size_t j = 0; j < d.size(); ++j) {
      if (i == j || (most > 0 ? d[i][j] / most : 0) > p.number("threshold")) continue;
      ++near;
      same += classes[i] == classes[j];
    }
    result.values.push_back(near > 0 ? same / near : 0);
  }
  return result;
}

}  // namespace

const Metric kSufficiency = {
    .name = "sufficiency",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "share",
    .source = "Dasgupta et al. 2022",
    .about =
        "Of the samples whose relevance is near this one's, the share with the same prediction. Needs many "
        "samples.",
    .parameters = {{"threshold", 0.6, "nearness: distance relative to the farthest pair", 0.0, 1.0},
                   absolute_parameter(true),
                   normalise_parameter()},
    .compares_samples = true,
    .score_all = sufficiency,
};

}  // namespace heatproof
