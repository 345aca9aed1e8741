// Axioms that compare with an input without features: completeness, and that what does not matter gets
// nothing.
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

Scores completeness(const Evaluation& e, const Parameters& p) {
  const auto before = scores_of_inputs(e, p.text("score"));
  const auto after =
      scores_of_edits(e, 1, p.text("score"), [&](std::int64_t i, std::int64_t, std::span<float> x) {
        const auto filler = baseline_of(e, i, p.text("perturb_baseline"));
        std::copy(filler.begin(), filler.end(), x.begin());
      });
  Scores result;
  const auto relevance = attributions(e.given(), p);
  for (std::size_t at = 0; at < relevance.size(); ++at) {
    double sum = 0;
    for (double r : relevance[at]) sum += r;
    const double expected = p.text("to") == "score" ? before[at] : before[at] - after[at][0];
    const double gap = sum - expected;
    result.values.push_back(p.flag("as_quantus") ? (gap == 0 ? 1 : 0) : std::fabs(gap));
  }
  return result;
}

Scores non_sensitivity(const Evaluation& e, const Parameters& p) {
  const std::int64_t n = e.inputs.elements() / e.size();
  const auto step = static_cast<std::int64_t>(features_in_step(p, static_cast<std::size_t>(n)));
  const auto fillers = all_baselines(e, p.text("perturb_baseline"));
  const std::int64_t steps = (n + step - 1) / step;
  const auto before = scores_of_inputs(e, p.text("score"));
  const auto after =
      scores_of_edits(e, steps, p.text("score"), [&](std::int64_t i, std::int64_t k, std::span<float> x) {
        for (std::int64_t f = k * step; f < std::min(n, (k + 1) * step); ++f)
          x[static_cast<std::size_t>(f)] = fillers[static_cast<std::size_t>(i)][static_cast<std::size_t>(f)];
      });
  Scores result;
  const auto relevance = attributions(e.relevance, p);
  for (std::size_t at = 0; at < relevance.size(); ++at) {
    double wrong = 0;
    for (std::int64_t f = 0; f < n; ++f) {
      const bool irrelevant = relevance[at][static_cast<std::size_t>(f)] < p.number("eps");
      const bool insensitive =
          std::fabs(after[at][static_cast<std::size_t>(f / step)] - before[at]) < p.number("eps");
      wrong += irrelevant != insensitive;
    }
    result.values.push_back(wrong);
  }
  return result;
}

}  // namespace

const Metric kCompleteness = {
    .name = "completeness",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "score of the target",
    .source = "Sundararajan et al. 2017",
    .about = "|Σ relevance − (f(x) − f(baseline))|.",
    .parameters = {{"to",
                    std::string("difference"),
                    "what relevance should sum to: f(x) - f(baseline), or the score f(x)",
                    {},
                    {},
                    {"difference", "score"}},
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(false),
                   normalise_parameter("none"),
                   {"as_quantus", false, "1 when the two are equal to the last bit, else 0"}},
    .scores_zero = true,
    .score_all = completeness,
};

const Metric kNonSensitivity = {
    .name = "non_sensitivity",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "features",
    .source = "Nguyen and Martinez 2020",
    .about = "Features that have relevance without effect, or an effect without relevance.",
    .parameters = {{"eps", 1e-5, "smaller relevance and smaller effects are none", 0.0},
                   features_in_step_parameter(),
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(true),
                   normalise_parameter()},
    .score_all = non_sensitivity,
};

}  // namespace heatproof
