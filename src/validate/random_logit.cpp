// Random logit: the explanation of another class should look different. Sixt et al. 2020, sec. 4.
#include <algorithm>
#include <cmath>
#include <random>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/similarity.h"

namespace heatproof {

namespace {

/// Class k of those that are not `target`.
std::int64_t other_class(std::int64_t k, std::int64_t target) { return k < target ? k : k + 1; }

/// Classes as Quantus draws them: numpy's legacy generator, randint(0, classes − 1).
std::vector<std::int64_t> as_quantus(const Evaluation& e, std::uint32_t seed) {
  const auto most = static_cast<std::uint32_t>(e.network.classes() - 2);
  std::uint32_t mask = most;
  for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
  std::mt19937 generator(seed);
  std::vector<std::int64_t> classes;
  for (const std::int64_t target : e.targets) {
    std::uint32_t draw = 0;
    if (most > 0) {
      do {
        draw = static_cast<std::uint32_t>(generator()) & mask;
      } while (draw > most);
    }
    classes.push_back(other_class(draw, target));
  }
  return classes;
}

std::vector<std::int64_t> other_classes(const Evaluation& e, const Parameters& p) {
  const std::string& how = p.text("other");
  if (how == "quantus") return as_quantus(e, static_cast<std::uint32_t>(p.integer("seed")));
  std::vector<std::int64_t> classes;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const std::int64_t target = e.targets[static_cast<std::size_t>(i)];
    if (how == "random") {
      RandomStream random = e.random("random_logit", i);
      classes.push_back(other_class(
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(e.network.classes() - 1))),
          target));
      continue;
    }
    const auto logits = row_of(e.logits, i);
    std::int64_t best = target == 0 ? 1 : 0;
    for (std::int64_t c = 0; c < e.network.classes(); ++c) {
      if (c != target && logits[static_cast<std::size_t>(c)] > logits[static_cast<std::size_t>(best)])
        best = c;
    }
    classes.push_back(best);
  }
  return classes;
}

Scores score(const Evaluation& e, const Parameters& p) {
  if (e.network.classes() < 2) throw UsageError("random_logit: the network has one class only");
  const auto own = attributions(e.relevance, p);
  const auto other = attributions(e.explain(e.inputs, other_classes(e, p), e.ids), p);
  Scores s;
  for (std::size_t i = 0; i < own.size(); ++i)
    s.values.push_back(similarity(p.text("similarity"), own[i], other[i]));
  return s;
}

}  // namespace

const Metric kRandomLogit = {
    .name = "random_logit",
    .group = Group::randomisation,
    .better = Better::lower,
    .unit = "similarity",
    .source = "Sixt et al. 2020",
    .about =
        "Similarity between the explanation of the target and that of another class. Near 1: the explanation "
        "does not depend on what is explained.",
    .parameters =
        {{"similarity", std::string("ssim"), "how explanations are compared", {}, {}, similarity_names()},
         {"other",
          std::string("random"),
          "which other class: random, the runner_up, or drawn as Quantus does",
          {},
          {},
          {"random", "runner_up", "quantus"}},
         {"seed", std::int64_t{42}, "of Quantus's generator", 0, 4294967295.0},
         absolute_parameter(false),
         normalise_parameter()},
    .needs_explainer = true,
    .score_all = score,
};

}  // namespace heatproof
