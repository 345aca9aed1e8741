#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "heatproof/error.h"
#include "validate/metrics.h"

namespace heatproof {

const std::vector<const Metric*>& metrics() {
  // One line per metric.
  static const std::vector<const Metric*> all{
      &kPixelFlipping,
      &kInsertion,
      &kDeletion,
      &kRegionPerturbation,
      &kSelectivity,
      &kFaithfulnessCorrelation,
      &kFaithfulnessEstimate,
      &kMonotonicity,
      &kMonotonicityCorrelation,
      &kInfidelity,
      &kRoad,
      &kIrof,
      &kSensitivityN,
      &kSufficiency,
      &kCompleteness,
      &kNonSensitivity,
      &kSensitivityA,
      &kSensitivityB,
      &kInputInvariance,
      &kConservation,
      &kPositivity,
      &kImplementationInvariance,
      &kMprt,
      &kSmoothMprt,
      &kEfficientMprt,
      &kRandomLogit,
      &kContinuity,
      &kMaxSensitivity,
      &kAvgSensitivity,
      &kLocalLipschitzEstimate,
      &kRelativeInputStability,
      &kRelativeOutputStability,
      &kRelativeRepresentationStability,
      &kConsistency,
      &kSparseness,
      &kComplexity,
      &kEffectiveComplexity,
      &kPointingGame,
      &kRelevanceMassAccuracy,
      &kRelevanceRankAccuracy,
      &kTopKIntersection,
      &kAttributionLocalisation,
      &kAuc,
      &kFocus,
      &kEvidenceShare,
  };
  return all;
}

std::uint64_t sample_id(std::string_view hash) {
  std::uint64_t id = 0;
  for (char c : hash.substr(0, 15))
    id = id << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return id;
}

std::string to_string(Group group) {
  static const char* const names[] = {"faithfulness", "axiom",      "robustness",
                                      "localisation", "complexity", "randomisation"};
  return names[static_cast<int>(group)];
}

std::string to_string(Better better) {
  static const char* const names[] = {"higher is better", "lower is better", "1 is best"};
  return names[static_cast<int>(better)];
}

double Evaluation::target_logit(std::int64_t i) const {
  return logits
      .data<float>()[static_cast<std::size_t>(i * logits.shape()[1] + targets[static_cast<std::size_t>(i)])];
}

Sample sample_of(const Evaluation& e, std::int64_t i) {
  const auto k = static_cast<std::size_t>(i);
  const auto size = static_cast<std::size_t>(e.given().elements() / e.size());
  const std::int64_t height = e.heatmap.shape()[1];
  const std::int64_t width = e.heatmap.shape()[2];
  const auto pixels = static_cast<std::size_t>(height * width);
  return {e.given().data<float>().subspan(k * size, size),
          e.heatmap.data<float>().subspan(k * pixels, pixels),
          e.masks.defined() ? e.masks.data<float>().subspan(k * pixels, pixels) : std::span<const float>(),
          height,
          width,
          e.target_logit(i)};
}

bool MetricSpec::compares_samples() const {
  return metric->compares_samples ||
         (parameters.has("normalise") && parameters.text("normalise") == "batch") ||
         (parameters.has("as_quantus") && parameters.flag("as_quantus"));
}

double goodness(const MetricSpec& metric, double score) {
  return metric.better() == Better::higher  ? score
         : metric.better() == Better::lower ? -score
                                            : -std::abs(score - 1);
}

MetricSpec parse_metric(std::string_view text) {
  const Spec spec = parse_spec(text);
  const auto it = std::ranges::find_if(metrics(), [&](const Metric* m) { return m->name == spec.name; });
  if (it == metrics().end()) {
    std::vector<std::string> known;
    for (const Metric* m : metrics()) known.push_back(m->name);
    const std::string near = nearest(spec.name, known);
    throw UsageError(
        fmt::format("unknown metric '{}'{}; heatproof list metrics names all {}", abbreviated(spec.name, 100),
                    near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near), known.size()));
  }
  MetricSpec m{*it, Parameters(spec, (*it)->parameters), {}};
  m.text = canonical(m.metric->name, m.parameters, m.metric->parameters);
  return m;
}

}  // namespace heatproof
