// Pixel-flipping and region perturbation: features are removed by decreasing (MoRF) or increasing (LeRF)
// relevance while the target's score is watched. Bach et al. 2015; Samek et al. 2017; symmetric relevance
// gain: Blücher et al. 2024.
#include <algorithm>
#include <array>

#include "base/files.h"
#include "validate/features.h"
#include "validate/flipping.h"
#include "validate/imputer.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Quantus removes elements of the input one by one, each channel of a pixel for itself.
Scores as_quantus(const Evaluation& e, const Parameters& p) {
  std::vector<std::vector<float>> fillers;
  std::vector<std::vector<std::size_t>> orders;
  for (const auto& row : attributions(e.relevance, p)) orders.push_back(descending(row));
  const std::size_t n = orders[0].size();
  const std::size_t step = features_in_step(p, n);
  for (std::int64_t i = 0; i < e.size(); ++i)
    fillers.push_back(baseline_of_steps(e, i, p.text("perturb_baseline"),
                                        in_steps(orders[static_cast<std::size_t>(i)], step)));
  const auto steps = static_cast<std::int64_t>((n + step - 1) / step);
  Scores s;
  s.curves["morf"] = scores_of_walks(
      e,
      {.steps = steps,
       .patch = {1, 1},
       .edit =
           [&](std::int64_t i, std::int64_t k, std::span<float> x) {
             const auto& order = orders[static_cast<std::size_t>(i)];
             for (std::size_t f = 0; f < std::min(n, (static_cast<std::size_t>(k) + 1) * step); ++f)
               x[order[f]] = fillers[static_cast<std::size_t>(i)][order[f]];
           },
       .changes =
           [&](std::int64_t i, std::int64_t, Sha256& hash) {
             hash.add_values("elements");
             hash.add_values(std::array{step});
             hash.add_values(orders[static_cast<std::size_t>(i)]);
             hash.add_values(fillers[static_cast<std::size_t>(i)]);
           }},
      p.text("score"));
  for (const auto& curve : s.curves["morf"]) {
    double area = 0;
    for (std::size_t k = 1; k < curve.size(); ++k) area += 0.5 * (curve[k] + curve[k - 1]);
    s.values.push_back(area);
  }
  return s;
}

Scores score(const Evaluation& e, const Parameters& p) {
  if (p.flag("as_quantus")) return as_quantus(e, p);
  return flip(e, {.patch = p.integer("patch"),
                  .steps = p.integer("steps"),
                  .order = p.text("order"),
                  .imputer = p.text("imputer"),
                  .score = p.text("score"),
                  .summary = p.text("summary"),
                  .shuffle_ties = p.text("ties") == "random",
                  .orders = p.integer("orders")});
}

}  // namespace

const Metric kPixelFlipping = {
    .name = "pixel_flipping",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "score of the target",
    .source = "Bach et al. 2015; Samek et al. 2017; Blücher et al. 2024",
    .about =
        "Removes patches by relevance and watches the target's score. symmetric: area under the curve when "
        "the least relevant go "
        "first minus when the most relevant go first (symmetric relevance gain); morf, lerf, random: area "
        "under that one curve. summary=aopc: mean falls of the score instead of areas.",
    .parameters =
        {{"patch", std::int64_t{0}, "side of the patches in pixels; 0: about 14 along the longer side", 0,
          4096},
         {"steps", std::int64_t{14}, "measurements along the curve", 1, 100000},
         {"order",
          std::string("symmetric"),
          "which go first",
          {},
          {},
          {"symmetric", "morf", "lerf", "random"}},
         {"imputer", std::string("blur"), "what takes their place", {}, {}, imputer_names()},
         {"score", std::string("logit"), "what is watched", {}, {}, {"logit", "probability", "difference"}},
         {"summary",
          std::string("area"),
          "area under the curve, or aopc, the mean fall of the score",
          {},
          {},
          {"area", "aopc"}},
         ties_parameter(),
         orders_parameter(),
         {"as_quantus", false,
          "as Quantus 0.6: elements one by one, most relevant first; with the parameters below, and score"},
         features_in_step_parameter(),
         perturb_baseline_parameter("black"),
         absolute_parameter(false),
         normalise_parameter()},
    .variants = {"imputer=mean", "imputer=local_mean", "imputer=black", "patch=8", "steps=28",
                 "score=probability"},
    .score_all = score,
    .direction =
        [](const Parameters& p) {
          if (p.flag("as_quantus")) return Better::lower;
          const std::string& order = p.text("order");
          if (order == "symmetric") return Better::higher;
          const bool low_area = order == "morf";
          return low_area != (p.text("summary") == "aopc") ? Better::lower : Better::higher;
        },
};

}  // namespace heatproof
