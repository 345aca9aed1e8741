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

const Metric kTopKIntersection = {
    .name = "top_k_intersection",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Theiner et al. 2021",
    .about = "Of the k most relevant pixels, the share that lies in the mask.",
    .parameters = {{"k", std::int64_t{1000}, "pixels", 1, 1e9},
                   {"concept_influence", false, "divide by the share of the image that the mask takes"}},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          std::vector<std::size_t> order(s.heatmap.size());
          std::iota(order.begin(), order.end(), std::size_t{0});
          std::ranges::stable_sort(order,
                                   [&](std::size_t a, std::size_t b) { return s.heatmap[a] > s.heatmap[b]; });
          const auto k = std::min(order.size(), static_cast<std::size_t>(p.integer("k")));
          const auto size = std::ranges::count_if(s.mask, [](float m) { return m > 0; });
          const auto hits = std::count_if(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k),
                                          [&](std::size_t i) { return s.mask[i] > 0; });
          if (size == 0) return static_cast<double>(NAN);
          const double share = static_cast<double>(hits) / static_cast<double>(k);
          return p.flag("concept_influence")
                     ? share * static_cast<double>(s.heatmap.size()) / static_cast<double>(size)
                     : share;
        },
};

const Metric kAttributionLocalisation = {
    .name = "attribution_localisation",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Kohlbrenner et al. 2020",
    .about = "Share of the relevance that lies in the mask.",
    .parameters = {{"abs", true, "use |relevance|; false: only positive relevance"},
                   {"weighted", false, "divide by the share of the image that the mask takes"}},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          double inside = 0;
          double total = 0;
          double size = 0;
          for (std::size_t i = 0; i < s.heatmap.size(); ++i) {
            const double r = p.flag("abs") ? std::fabs(s.heatmap[i]) : std::max(s.heatmap[i], 0.0F);
            total += r;
            if (s.mask[i] > 0) inside += r, size += 1;
          }
          if (size == 0 || total == 0) return static_cast<double>(NAN);
          return inside / total * (p.flag("weighted") ? static_cast<double>(s.heatmap.size()) / size : 1);
        },
};

const Metric kAuc = {
    .name = "auc",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "area",
    .source = "Fawcett 2006",
    .about = "Area under the ROC curve of relevance as a detector of the mask's pixels; 0.5 is chance.",
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters&) {
          // Mann and Whitney: the share of pairs (inside, outside) in the right order, ties counted half.
          std::vector<std::size_t> order(s.heatmap.size());
          std::iota(order.begin(), order.end(), std::size_t{0});
          std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return s.heatmap[a] < s.heatmap[b]; });
          double below = 0;
          double pairs = 0;
          double inside = 0;
          for (std::size_t k = 0; k < order.size();) {
            double in = 0;
            double out = 0;
            const float value = s.heatmap[order[k]];
            for (; k < order.size() && s.heatmap[order[k]] == value; ++k)
              (s.mask[order[k]] > 0 ? in : out) += 1;
            pairs += in * (below + 0.5 * out);
            below += out;
            inside += in;
          }
          return inside > 0 && below > 0 ? pairs / (inside * below) : static_cast<double>(NAN);
        },
};

}  // namespace heatproof
