// Insertion and deletion: the target's probability while pixels come into a blurred image, or leave for
// black, most relevant first. RISE, Petsiuk et al. 2018, sec. 4.3.
#include <algorithm>

#include "validate/features.h"
#include "validate/flipping.h"
#include "validate/imputer.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

std::vector<Parameter> parameters(const std::string& imputer) {
  return {
      {"patch", std::int64_t{1}, "side of the patches in pixels; 0: about 14 along the longer side", 0, 4096},
      {"steps", std::int64_t{100}, "measurements along the curve", 1, 100000},
      {"imputer", imputer, "what stands where a pixel is missing", {}, {}, imputer_names()},
      {"score",
       std::string("probability"),
       "what is watched; the logit where the network has no probability",
       {},
       {},
       {"logit", "probability", "difference"}}};
}

Flipping flipping(const Evaluation& e, const Parameters& p, const std::string& order) {
  return {.patch = p.integer("patch"),
          .steps = p.integer("steps"),
          .order = order,
          .imputer = p.text("imputer"),
          .score = watched_kind(e.network, p)};
}

Scores deletion(const Evaluation& e, const Parameters& p) {
  Scores s = flip(e, flipping(e, p, "morf"));
  s.curves = {{"deletion", s.curves.at("morf")}};
  return s;
}

/// Inserting the most relevant first is removing the least relevant first, seen from the end.
Scores insertion(const Evaluation& e, const Parameters& p) {
  Scores s = flip(e, flipping(e, p, "lerf"));
  auto curves = s.curves.at("lerf");
  for (auto& curve : curves) std::ranges::reverse(curve);
  s.curves = {{"insertion", std::move(curves)}};
  return s;
}

}  // namespace

const Metric kInsertion = {
    .name = "insertion",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "probability (or logit) of the target",
    .source = "Petsiuk et al. 2018",
    .about = "Area under the curve of the score while pixels come into a blurred image, most relevant first.",
    .parameters = parameters("blur"),
    .score_all = insertion,
};

const Metric kDeletion = {
    .name = "deletion",
    .group = Group::faithfulness,
    .better = Better::lower,
    .unit = "probability (or logit) of the target",
    .source = "Petsiuk et al. 2018",
    .about = "Area under the curve of the score while pixels turn black, most relevant first.",
    .parameters = parameters("black"),
    .score_all = deletion,
};

}  // namespace heatproof
