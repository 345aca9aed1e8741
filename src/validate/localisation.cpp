// Does relevance lie where the evidence is known to be?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Relevance of the pixels, as `abs` wants it.
std::vector<double> pixels_of(const Sample& s, const Parameters& p) {
  std::vector<double> values(s.heatmap.begin(), s.heatmap.end());
  if (p.flag("abs")) {
    for (double& v : values) v = std::fabs(v);
  }
  return values;
}

std::size_t mask_size(const Sample& s) {
  return static_cast<std::size_t>(std::ranges::count_if(s.mask, [](float m) { return m > 0; }));
}

/// Share of the k most relevant pixels that lies in the mask. Of the pixels that are equal to the k-th, as
/// many are taken as there is room for: the share of the mask among them, whatever their order.
double hits(const Sample& s, const Parameters& p, std::size_t k) {
  const auto values = pixels_of(s, p);
  const auto order = descending(values);
  const bool by_index = p.text("ties") == "index";
  const double last = values[order[k - 1]];
  double inside = 0;
  double taken = 0;
  double tied = 0;
  double tied_inside = 0;
  for (std::size_t r = 0; r < order.size(); ++r) {
    const bool in = s.mask[order[r]] > 0;
    if (by_index ? r < k : values[order[r]] > last) {
      taken += 1;
      inside += in;
    } else if (values[order[r]] == last) {
      tied += 1;
      tied_inside += in;
    }
  }
  const double room = static_cast<double>(k) - taken;
  return (inside + (room > 0 ? room * tied_inside / tied : 0)) / static_cast<double>(k);
}

Parameter shared_ties_parameter() {
  return {"ties",
          std::string("share"),
          "pixels equal to the last that counts: their share in the mask, or those first in memory",
          {},
          {},
          {"share", "index"}};
}

/// Share of the relevance that lies in the mask; NaN where there is none.
double inside(const Sample& s, const std::vector<double>& values) {
  double in = 0;
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    total += values[i];
    if (s.mask[i] > 0) in += values[i];
  }
  return total != 0 ? in / total : NAN;
}

Scores attribution_localisation(const Evaluation& e, const Parameters& p) {
  Scores result;
  const auto others =
      static_cast<double>(e.inputs.elements() / e.size() * std::max<std::int64_t>(0, e.size() - 2));
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const Sample s = sample_of(e, i);
    auto values = pixels_of(s, p);
    for (double& v : values) v = p.flag("positive_attributions") ? std::max(v, 0.0) : v;
    const auto size = static_cast<double>(mask_size(s));
    double score = inside(s, values);
    if (size == 0 || score > 1 || std::ranges::all_of(values, [](double v) { return v == 0; })) score = NAN;
    if (p.flag("weighted"))
      score *= p.flag("as_quantus") ? size / others : static_cast<double>(values.size()) / size;
    result.values.push_back(score);
  }
  return result;
}

}  // namespace

const Metric kPointingGame = {
    .name = "pointing_game",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "hit",
    .source = "Zhang et al. 2018",
    .about =
        "1 when the most relevant pixel lies in the mask, else 0; of equal ones their share in the mask.",
    .parameters = {absolute_parameter(false),
                   {"weighted", false, "a hit counts 1 - the share of the image that the mask takes"},
                   {"as_quantus", false, "one of several equal pixels in the mask is a hit"}},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          const auto values = pixels_of(s, p);
          const double size = static_cast<double>(mask_size(s));
          if (size == 0) return static_cast<double>(NAN);
          const double most = *std::ranges::max_element(values);
          std::size_t tied = 0;
          std::size_t hits = 0;
          for (std::size_t i = 0; i < values.size(); ++i) {
            if (values[i] != most) continue;
            ++tied;
            hits += s.mask[i] > 0;
          }
          const double worth = p.flag("weighted") ? 1 - size / static_cast<double>(values.size()) : 1.0;
          if (p.flag("as_quantus")) return hits > 0 ? worth : 0.0;
          return worth * static_cast<double>(hits) / static_cast<double>(tied);
        },
};

const Metric kRelevanceMassAccuracy = {
    .name = "relevance_mass_accuracy",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Arras et al. 2022",
    .about = "Share of the positive relevance that lies in the mask; NaN where there is none.",
    .parameters = {absolute_parameter(false),
                   {"signed", false, "negative relevance counts against, as in Quantus"}},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          auto values = pixels_of(s, p);
          for (double& v : values) {
            if (!p.flag("signed")) v = std::max(v, 0.0);
          }
          return mask_size(s) > 0 ? inside(s, values) : NAN;
        },
};

const Metric kRelevanceRankAccuracy = {
    .name = "relevance_rank_accuracy",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Arras et al. 2022",
    .about = "Of the K most relevant pixels, K being the mask's size, the share that lies in the mask.",
    .parameters = {absolute_parameter(false), shared_ties_parameter()},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          const std::size_t k = mask_size(s);
          return k > 0 ? hits(s, p, k) : NAN;
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
                   {"concept_influence", false, "divide by the share of the image that the mask takes"},
                   absolute_parameter(false),
                   shared_ties_parameter()},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          const std::size_t size = mask_size(s);
          if (size == 0) return static_cast<double>(NAN);
          const auto k = static_cast<std::size_t>(p.integer("k"));
          if (k > s.heatmap.size())
            throw UsageError(fmt::format("top_k_intersection: k={} is more than the {} pixels of an image", k,
                                         s.heatmap.size()));
          const double share = hits(s, p, k);
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
    .parameters = {{"abs", true, "use |relevance|; false: as it is"},
                   {"positive_attributions", false, "only positive relevance counts"},
                   {"weighted", false, "divide by the share of the image that the mask takes"},
                   {"as_quantus", false,
                    "weighted multiplies by the mask's size over the number of input values of all samples "
                    "but the first two, as in Quantus 0.6"}},
    .needs_masks = true,
    .score_all = attribution_localisation,
};

const Metric kAuc = {
    .name = "auc",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "area",
    .source = "Fawcett 2006",
    .about = "Area under the ROC curve of relevance as a detector of the mask's pixels; 0.5 is chance.",
    .parameters = {absolute_parameter(false)},
    .needs_masks = true,
    .score =
        [](const Sample& s, const Parameters& p) {
          const auto values = pixels_of(s, p);
          // Mann and Whitney: the share of pairs (inside, outside) in the right order, ties counted half.
          auto order = descending(values);
          std::ranges::reverse(order);
          double below = 0;
          double pairs = 0;
          double inside = 0;
          for (std::size_t k = 0; k < order.size();) {
            double in = 0;
            double out = 0;
            const double value = values[order[k]];
            for (; k < order.size() && values[order[k]] == value; ++k) (s.mask[order[k]] > 0 ? in : out) += 1;
            pairs += in * (below + 0.5 * out);
            below += out;
            inside += in;
          }
          return inside > 0 && below > 0 ? pairs / (inside * below) : static_cast<double>(NAN);
        },
};

}  // namespace heatproof
