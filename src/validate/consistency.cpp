// Consistency: do samples with the same (discretised) explanation have the same prediction? Dasgupta et al.
// 2022.
#include <algorithm>
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

double sign(double v) { return static_cast<double>((v > 0) - (v < 0)); }

std::vector<double> discretise(const std::vector<double>& a, const Parameters& p) {
  const std::string& how = p.text("discretise");
  const auto n = static_cast<std::size_t>(p.integer("n"));
  std::vector<double> result;
  if (how == "rank") {
    for (std::size_t k : descending(a)) result.push_back(static_cast<double>(k));
    return result;
  }
  if (how == "floating_points") {
    const double scale = std::pow(10.0, static_cast<double>(n));
    for (double v : a) result.push_back(std::nearbyint(v * scale) / scale);
    return result;
  }
  const std::size_t count = how == "top_n_sign" ? std::min(n, a.size()) : a.size();
  for (std::size_t k = 0; k < count; ++k) result.push_back(sign(a[k]));
  return result;
}

Scores score(const Evaluation& e, const Parameters& p) {
  std::vector<std::vector<double>> labels;
  for (const auto& row : attributions(e.relevance, p)) labels.push_back(discretise(row, p));
  const auto classes = argmax_rows(e.logits);
  Scores result;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    double alike = 0;
    double same = 0;
    for (std::size_t j = 0; j < labels.size(); ++j) {
      if (i == j || labels[i] != labels[j]) continue;
      alike += 1;
      same += classes[i] == classes[j];
    }
    result.values.push_back(alike > 0 ? same / alike : 0);
  }
  return result;
}

}  // namespace

const Metric kConsistency = {
    .name = "consistency",
    .group = Group::robustness,
    .better = Better::higher,
    .unit = "share",
    .source = "Dasgupta et al. 2022",
    .about =
        "Of the samples with the same discretised relevance, the share with the same prediction; 0 where no "
        "other sample has it. Needs many samples.",
    .parameters = {{"discretise",
                    std::string("top_n_sign"),
                    "signs of the first n features, all signs, the ranking, or n decimals",
                    {},
                    {},
                    {"top_n_sign", "sign", "rank", "floating_points"}},
                   {"n", std::int64_t{5}, "features (top_n_sign) or decimals (floating_points)", 0, 1e9},
                   absolute_parameter(true),
                   normalise_parameter()},
    .compares_samples = true,
    .score_all = score,
};

}  // namespace heatproof
