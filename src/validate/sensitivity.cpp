// How much explanations change under random noise: max-sensitivity, average sensitivity, local Lipschitz
// estimate.
#include <cmath>

#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/neighbours.h"

namespace heatproof {

namespace {

double norm(std::span<const double> a) {
  double sum = 0;
  for (double v : a) sum += v * v;
  return std::sqrt(sum);
}

/// ‖R(x') − R(x)‖ / ‖R(x)‖ over noisy copies.
Scores sensitivity(const Evaluation& e, const Parameters& p, Over over) {
  const auto before = attributions(e.relevance, p);
  return over_noisy_copies(e, p, uniform_noise(p), over, [&](const NoisyCopy& c) {
    const auto& own = before[static_cast<std::size_t>(c.sample)];
    std::vector<double> change;
    for (std::size_t f = 0; f < own.size(); ++f) change.push_back(c.relevance[f] - own[f]);
    return norm(change) / norm(own);
  });
}

Scores max_sensitivity(const Evaluation& e, const Parameters& p) { return sensitivity(e, p, Over::largest); }
Scores avg_sensitivity(const Evaluation& e, const Parameters& p) { return sensitivity(e, p, Over::mean); }

Scores lipschitz(const Evaluation& e, const Parameters& p) {
  const auto before = attributions(e.relevance, p);
  const double mean = p.number("perturb_mean");
  const double deviation = p.number("perturb_std");
  const Noise noise = [=](RandomStream& r) { return mean + deviation * r.normal(); };
  return over_noisy_copies(e, p, noise, Over::largest, [&](const NoisyCopy& c) {
    const auto& own = before[static_cast<std::size_t>(c.sample)];
    const auto x = row_of(e.inputs, c.sample);
    std::vector<double> change;
    std::vector<double> moved;
    for (std::size_t f = 0; f < own.size(); ++f) {
      change.push_back(c.relevance[f] - own[f]);
      moved.push_back(static_cast<double>(c.x[f]) - x[f]);
    }
    return norm(change) / (norm(moved) + 1e-10);
  });
}

std::vector<Parameter> sensitivity_parameters() {
  return joined(joined(neighbour_parameters(50, "use"), uniform_noise_parameters(0.2, 0)),
                {absolute_parameter(false), normalise_parameter("none")});
}

}  // namespace

const Metric kMaxSensitivity = {
    .name = "max_sensitivity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relative change",
    .source = "Yeh et al. 2019",
    .about = "Largest relative change of relevance (L2) over inputs with uniform noise.",
    .parameters = sensitivity_parameters(),
    .needs_explainer = true,
    .score_all = max_sensitivity,
};

const Metric kAvgSensitivity = {
    .name = "avg_sensitivity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relative change",
    .source = "Yeh et al. 2019",
    .about = "Mean relative change of relevance (L2) over inputs with uniform noise.",
    .parameters = sensitivity_parameters(),
    .needs_explainer = true,
    .score_all = avg_sensitivity,
};

const Metric kLocalLipschitzEstimate = {
    .name = "local_lipschitz_estimate",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relevance per input distance",
    .source = "Alvarez-Melis and Jaakkola 2018",
    .about = "Largest change of relevance per change of input (both L2) over inputs with normal noise.",
    .parameters =
        joined(neighbour_parameters(50, "use"), {{"perturb_mean", 0.0, "mean of the noise"},
                                                 {"perturb_std", 0.1, "standard deviation of the noise", 0.0},
                                                 absolute_parameter(false),
                                                 normalise_parameter()}),
    .needs_explainer = true,
    .score_all = lipschitz,
};

}  // namespace heatproof
