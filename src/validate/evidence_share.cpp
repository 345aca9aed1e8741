// Does relevance divide as the evidence is known to divide? For data with several pieces of evidence of known
// weight (heatproof synth patches).
#include <cmath>
#include <map>

#include "validate/metrics.h"

namespace heatproof {

const Metric kEvidenceShare = {
    .name = "evidence_share",
    .group = Group::localisation,
    .better = Better::lower,
    .unit = "share in the wrong place",
    .source = "heatproof; total variation distance",
    .about =
        "Distance between the shares of positive relevance on each piece of evidence and its true weight, "
        "given as the mask's "
        "values (0: no evidence): 0 when they agree, 1 when all relevance is elsewhere.",
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters&) {
          std::map<float, double> relevance;  // by weight, which names the piece
          double total = 0;
          double weights = 0;
          for (std::size_t i = 0; i < s.heatmap.size(); ++i) {
            const double r = std::max(0.0F, s.heatmap[i]);
            relevance[s.mask[i]] += r;
            total += r;
          }
          for (const auto& [weight, r] : relevance) weights += weight;
          if (weights <= 0) return static_cast<double>(NAN);
          if (total <= 0) return 1.0;
          double distance = 0;
          for (const auto& [weight, r] : relevance) distance += 0.5 * std::fabs(r / total - weight / weights);
          return distance;
        },
};

}  // namespace heatproof
