// How concentrated relevance is.
#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Relevance of every sample as `abs` wants it, of pixels or of all elements of the input.
std::vector<std::vector<double>> magnitudes(const Evaluation& e, const Parameters& p) {
  return attributions(p.text("over") == "elements" ? e.given() : e.heatmap, p);
}

std::vector<Parameter> parameters() {
  return {{"over",
           std::string("pixels"),
           "what is counted: pixels (channels pooled), or all elements of the input, as Quantus does",
           {},
           {},
           {"pixels", "elements"}},
          {"abs", true, "use |relevance|; false: as it is, which only relevance that is not negative allows"},
          normalise_parameter()};
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

/// NaN where values are negative.
double entropy(const std::vector<double>& values) {
  double total = 0;
  for (double v : values) total += v;
  double sum = 0;
  for (double v : values) sum -= v != 0 ? v / total * std::log(v / total) : 0;
  return sum;
}

template <typename F>
Scores each(const Evaluation& e, const Parameters& p, F f) {
  const auto values = magnitudes(e, p);
  Scores s;
  s.values.resize(values.size());
  try_parallel_for(e.size(), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    s.values[at] = f(values[at]);
  });
  return s;
}

}  // namespace

const Metric kSparseness = {
    .name = "sparseness",
    .group = Group::complexity,
    .better = Better::higher,
    .unit = "Gini index",
    .source = "Chalasani et al. 2020",
    .about = "Gini index of |relevance| over the pixels of one sample, 0 (flat) to 1 (one pixel).",
    .parameters =
        joined(parameters(),
               {{"offset", 0.0, "added to |relevance|; Quantus adds 1e-7 to tiny relevance, too", 0.0}}),
    .score_all =
        [](const Evaluation& e, const Parameters& p) {
          return each(e, p, [&](std::vector<double> values) {
            for (double& v : values) v += p.number("offset");
            return gini(std::move(values));
          });
        },
};

const Metric kComplexity = {
    .name = "complexity",
    .group = Group::complexity,
    .better = Better::lower,
    .unit = "nats",
    .source = "Bhatt et al. 2020",
    .about = "Entropy of the share of |relevance| that each pixel has.",
    .parameters = parameters(),
    .score_all = [](const Evaluation& e, const Parameters& p) { return each(e, p, entropy); },
};

const Metric kEffectiveComplexity = {
    .name = "effective_complexity",
    .group = Group::complexity,
    .better = Better::lower,
    .unit = "pixels",
    .source = "Nguyen and Martinez 2020",
    .about = "Pixels whose |relevance|, relative to the largest, is above eps.",
    .parameters = joined(parameters(), {{"eps", 1e-5, "what counts as none", 0.0}}),
    .score_all =
        [](const Evaluation& e, const Parameters& p) {
          return each(e, p, [&](const std::vector<double>& values) {
            return static_cast<double>(
                std::ranges::count_if(values, [&](double v) { return v > p.number("eps"); }));
          });
        },
};

}  // namespace heatproof
