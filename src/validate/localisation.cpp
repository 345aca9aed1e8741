// Does relevance lie where the evidence is known to be?
#include <algorithm>
#include <cmath>
#include <numeric>

#include "validate/metrics.h"

namespace heatproof {

const Metric kPointingGame = {
    .name = "pointing_game",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "hit",
    .source = "Zhang et al. 2018",
    .about = "1 when the most relevant pixel lies in the mask, else 0.",
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters&) {
          const auto best = std::ranges::max_element(s.heatmap) - s.heatmap.begin();
          return s.mask[static_cast<std::size_t>(best)] > 0 ? 1.0 : 0.0;
        },
};

const Metric kRelevanceMassAccuracy = {
    .name = "relevance_mass_accuracy",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Arras et al. 2022",
    .about = "Share of the positive relevance that lies in the mask.",
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters&) {
          double inside = 0;
          double total = 0;
          for (std::size_t i = 0; i < s.heatmap.size(); ++i) {
            const double r = std::max(s.heatmap[i], 0.0F);
            total += r;
            if (s.mask[i] > 0) inside += r;
          }
          return total > 0 ? inside / total : 0.0;
        },
};

const Metric kRelevanceRankAccuracy = {
    .name = "relevance_rank_accuracy",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Arras et al. 2022",
    .about = "Of the K most relevant pixels, K being the mask's size, the share that lies in the mask.",
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters&) {
          const auto k = std::ranges::count_if(s.mask, [](float m) { return m > 0; });
          std::vector<std::size_t> order(s.heatmap.size());
          std::iota(order.begin(), order.end(), std::size_t{0});
          std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](std::size_t a, std::size_t b) {
            return s.heatmap[a] != s.heatmap[b] ? s.heatmap[a] > s.heatmap[b] : a < b;
          });
          const auto hits =
              std::count_if(order.begin(), order.begin() + k, [&](std::size_t i) { return s.mask[i] > 0; });
          return k > 0 ? static_cast<double>(hits) / static_cast<double>(k) : NAN;
        },
};

}  // namespace heatproof
