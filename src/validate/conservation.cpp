// Axioms on the sum and the sign of relevance. Montavon et al. 2017, definitions 1 and 2.
#include <cmath>

#include "validate/metrics.h"

namespace heatproof {

const Metric kConservation = {
    .name = "conservation",
    .group = Group::axiom,
    .better = Better::one,
    .unit = "ratio",
    .source = "Bach et al. 2015, eq. 2; Montavon et al. 2017",
    .about =
        "Sum of the relevance of all inputs, divided by the target's logit. 1: nothing was created or lost.",
    .scores_zero = true,
    .score =
        [](const Sample& s, const Parameters&) {
          double sum = 0;
          for (float r : s.relevance) sum += r;
          return sum / s.target_logit;
        },
};

const Metric kPositivity = {
    .name = "positivity",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "share",
    .source = "Montavon et al. 2017, definition 2",
    .about =
        "Share of the absolute relevance that is negative: 0 for methods that only find evidence in favour.",
    .score =
        [](const Sample& s, const Parameters&) {
          double negative = 0;
          double total = 0;
          for (float r : s.relevance) {
            negative += std::max(0.0F, -r);
            total += std::fabs(r);
          }
          return total > 0 ? negative / total : 0.0;
        },
};

}  // namespace heatproof
