// Input invariance: a shift of all inputs that the first bias takes back should not change the explanation.
// Kindermans et al. 2017.
#include <algorithm>
#include <cmath>

#include "explain/network_edits.h"
#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/similarity.h"

namespace heatproof {

namespace {

/// As numpy.isclose with Quantus's tolerance.
bool all_close(std::span<const double> a, std::span<const double> b) {
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (!(std::fabs(a[k] - b[k]) <= 1e-4 + 1e-5 * std::fabs(b[k]))) return false;
  }
  return true;
}

Scores score(const Evaluation& e, const Parameters& p) {
  const auto shift = static_cast<float>(p.number("input_shift"));
  const Network other([&](std::int64_t batch) { return shift_input(e.network.graph(batch), shift); },
                      e.network.options());
  const double jitter = p.number("jitter");
  const Tensor inputs = jitter > 0 ? jittered(e, jitter) : e.inputs;
  Tensor moved = inputs.clone();
  for (float& v : moved.data<float>()) v += shift;
  const auto before = attributions(jitter > 0 ? e.explain(inputs, e.targets, e.ids) : e.relevance, p);
  const auto after = attributions(e.explain_on(other, moved, e.targets, e.ids), p);
  Scores s;
  for (std::size_t i = 0; i < before.size(); ++i)
    s.values.push_back(p.text("measure") == "close" ? (all_close(before[i], after[i]) ? 1 : 0)
                                                    : 1 - cosine(before[i], after[i]));
  return s;
}

}  // namespace

const Metric kInputInvariance = {
    .name = "input_invariance",
    .group = Group::axiom,
    .better = Better::higher,
    .unit = "yes or no, or dissimilarity",
    .source = "Kindermans et al. 2017",
    .about =
        "1 when the explanation stays what it is (to 1e-4) while all inputs are shifted and the first bias "
        "takes the shift back; measure=cosine: 1 - cosine of the two.",
    .parameters = {{"input_shift", -1.0, "added to every input value"},
                   {"measure", std::string("close"), "close or cosine", {}, {}, {"close", "cosine"}},
                   jitter_parameter(1e-4),
                   absolute_parameter(false),
                   normalise_parameter("none")},
    .needs_explainer = true,
    .score_all = score,
    .direction =
        [](const Parameters& p) { return p.text("measure") == "close" ? Better::higher : Better::lower; },
};

}  // namespace heatproof
