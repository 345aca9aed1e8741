// ROAD: remove and debias. Rong et al. 2022.
#include <fmt/format.h>

#include <algorithm>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/imputer.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Whether a network's decision on a target is still there: the class is chosen, or, where every output is
/// decided by itself, it lies on the same side of one half as for the whole input.
class Decision {
 public:
  explicit Decision(const Evaluation& e) : e_(e), reading_(e.network.probability()) {
    if (!reading_)
      throw UsageError(
          fmt::format("road counts how often the network's decision stays; {}; pixel_flipping, insertion and "
                      "irof watch scores",
                      reading_.missing));
    const Tensor logits = e.logits.defined() ? e.logits : e.network.predict(e.inputs);
    for (std::int64_t i = 0; i < e.size(); ++i)
      whole_.push_back(reading_.choices > 1 ||
                       reading_.decides(row_of(logits, i), e.targets[static_cast<std::size_t>(i)]));
  }
  bool stays(std::size_t i, std::span<const float> logits) const {
    return reading_.decides(logits, e_.targets[i]) == whole_[i];
  }

 private:
  const Evaluation& e_;
  const Probability& reading_;
  std::vector<bool> whole_;
};

Scores road(const Evaluation& e, const Parameters& p) {
  const Shape& s = e.inputs.shape();
  if (s.rank() != 4) throw UsageError("road works on images only");
  const Decision decision(e);
  const std::int64_t pixels = s[2] * s[3];
  std::vector<std::vector<std::size_t>> orders;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const Sample sample = sample_of(e, i);
    const std::vector<double> heatmap(sample.heatmap.begin(), sample.heatmap.end());
    orders.push_back(most_relevant_first(e, i, heatmap, p));
  }
  std::vector<std::int64_t> percentages;
  for (std::int64_t q = p.integer("first"); q < 100; q += p.integer("every")) percentages.push_back(q);
  Scores result;
  result.values.assign(static_cast<std::size_t>(e.size()), 0);
  auto& curves = result.curves["kept"];
  curves.assign(static_cast<std::size_t>(e.size()), std::vector<double>(percentages.size()));
  const auto steps = static_cast<std::int64_t>(percentages.size());
  e.network.stream(
      e.size() * steps, ScoreKind::logit,
      [&](std::int64_t index, std::span<float> x) {
        const std::int64_t i = index / steps;
        std::ranges::copy(row_of(e.inputs, i), x.begin());
        const std::int64_t count = pixels * percentages[static_cast<std::size_t>(index % steps)] / 100;
        linear_imputer(e, i, p.number("noise"))(
            x, std::span(orders[static_cast<std::size_t>(i)]).first(static_cast<std::size_t>(count)));
      },
      [&](std::int64_t index, std::span<const float> scores) {
        const auto i = static_cast<std::size_t>(index / steps);
        e.see_scores(index / steps, scores);
        const double kept = decision.stays(i, scores) ? 1 : 0;
        curves[i][static_cast<std::size_t>(index % steps)] = kept;
        result.values[i] += kept / static_cast<double>(steps);
      });
  return result;
}

}  // namespace

const Metric kRoad = {
    .name = "road",
    .group = Group::faithfulness,
    .better = Better::lower,
    .unit = "share",
    .source = "Rong et al. 2022",
    .about =
        "Share of removal levels at which the target stays the prediction, most relevant pixels first, "
        "removed by noisy linear imputation.",
    .parameters = {{"first", std::int64_t{1}, "the first level in percent of the pixels", 1, 99},
                   {"every", std::int64_t{2}, "then every so many percent, below 100", 1, 98},
                   {"noise", 0.01, "standard deviation of the imputer's noise", 0.0},
                   ties_parameter()},
    .score_all = road,
};

}  // namespace heatproof
