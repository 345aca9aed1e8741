// How concentrated relevance is.
#include <algorithm>
#include <cmath>

#include "validate/metrics.h"

namespace heatproof {

namespace {

std::vector<double> magnitudes(const Sample& s) {
  std::vector<double> values;
  for (float r : s.heatmap) values.push_back(std::fabs(static_cast<double>(r)));
  return values;
}

/// Gini index of values that are not negative: 0 when all are equal.
double gini(std::vector<double> values) {
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  double weighted = 0;
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    weighted += (2 * (static_cast<double>(i) + 1) - n - 1) * values[i];
    total += values[i];
  }
  return total > 0 ? weighted / (n * total) : 0;
}

}  // namespace

const Metric kSparseness = {
    .name = "sparseness",
    .group = Group::complexity,
    .better = Better::higher,
    .unit = "Gini index",
    .source = "Chalasani et al. 2020",
    .about = "Gini index of |relevance| over the pixels of one sample, 0 (flat) to 1 (one pixel).",
    .score = [](const Sample& s, const Parameters&) { return gini(magnitudes(s)); },
};

const Metric kComplexity = {
    .name = "complexity",
    .group = Group::complexity,
    .better = Better::lower,
    .unit = "nats",
    .source = "Bhatt et al. 2020",
    .about = "Entropy of the share of |relevance| that each pixel has.",
    .score =
        [](const Sample& s, const Parameters&) {
          const std::vector<double> values = magnitudes(s);
          double total = 0;
          for (double v : values) total += v;
          double entropy = 0;
          for (double v : values) entropy -= v > 0 ? v / total * std::log(v / total) : 0;
          return entropy;
        },
};

const Metric kEffectiveComplexity = {
    .name = "effective_complexity",
    .group = Group::complexity,
    .better = Better::lower,
    .unit = "pixels",
    .source = "Nguyen and Martinez 2020",
    .about = "Pixels whose |relevance|, relative to the largest, is above eps.",
    .parameters = {{"eps", 1e-5, "what counts as none", 0.0}},
    .score =
        [](const Sample& s, const Parameters& p) {
          const std::vector<double> values = magnitudes(s);
          const double most = values.empty() ? 0 : *std::ranges::max_element(values);
          return static_cast<double>(
              std::ranges::count_if(values, [&](double v) { return v > p.number("eps") * most; }));
        },
};

}  // namespace heatproof
