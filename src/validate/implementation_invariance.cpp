// Implementation invariance: networks that compute the same function should get the same explanation.
// Sundararajan et al. 2017.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "explain/equivalents.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Largest difference of the logits of two networks, relative to the largest logit; over what is finite, the
/// samples of the rest are marked.
double difference(const Evaluation& e, const Tensor& a, const Tensor& b) {
  double most = 0;
  double size = 1e-30;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto first = row_of(a, i);
    const auto second = row_of(b, i);
    for (std::size_t k = 0; k < first.size(); ++k) {
      const double gap = first[k] == second[k] ? 0 : static_cast<double>(first[k]) - second[k];
      if (!std::isfinite(e.seen(i, gap))) continue;
      most = std::max(most, std::fabs(gap));
      if (std::isfinite(first[k])) size = std::max(size, std::fabs(static_cast<double>(first[k])));
    }
  }
  return most / size;
}

double dissimilarity(std::span<const float> a, std::span<const float> b, const std::string& measure) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  double gap = 0;
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i];
    const double y = b[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
    gap = std::max(gap, std::fabs(x - y));
    most = std::max(most, std::fabs(x));
  }
  if (measure == "max") return most > 0 ? gap / most : gap > 0 ? INFINITY : 0;
  return aa > 0 && bb > 0 ? std::max(0.0, 1 - ab / std::sqrt(aa * bb)) : aa == bb ? 0 : 1;
}

Scores score(const Evaluation& e, const Parameters& p) {
  const Equivalent& rewrite = find_equivalent(p.text("rewrite"));
  const bool applies = rewrite.rewrite(e.network.graph(e.network.unit())).places > 0;
  if (!applies) return {std::vector<double>(static_cast<std::size_t>(e.size()), NAN)};
  NetworkOptions options = e.network.options();
  options.as_written = true;
  const Network other([&](std::int64_t batch) { return rewrite.rewrite(e.network.graph(batch)).graph; },
                      options);
  const bool moved = rewrite.differs_at_ties && p.number("jitter") > 0;
  const Tensor inputs = moved ? jittered(e, p.number("jitter")) : e.inputs;
  const double error = difference(e, moved ? e.network.predict(inputs) : e.logits, other.predict(inputs));
  if (!(error < 1e-3)) {
    throw Error(
        fmt::format("implementation_invariance: the network rewritten by '{}' differs by {:.2g} of the "
                    "largest logit; its numbers "
                    "are too fragile to compare explanations",
                    rewrite.name, error));
  }
  const Tensor own = moved ? e.explain(inputs, e.targets, e.ids) : e.relevance;
  const Tensor relevance = e.explain_on(other, inputs, e.targets, e.ids);
  Scores s;
  const auto size = static_cast<std::size_t>(e.inputs.elements() / e.size());
  for (std::size_t i = 0; i < static_cast<std::size_t>(e.size()); ++i) {
    s.values.push_back(dissimilarity(own.data<float>().subspan(i * size, size),
                                     relevance.data<float>().subspan(i * size, size), p.text("measure")));
  }
  return s;
}

std::vector<std::string> rewrite_names() {
  std::vector<std::string> names;
  for (const Equivalent& e : equivalents()) names.push_back(e.name);
  return names;
}

}  // namespace

const Metric kImplementationInvariance = {
    .name = "implementation_invariance",
    .group = Group::axiom,
    .better = Better::lower,
    .unit = "dissimilarity",
    .source = "Sundararajan et al. 2017",
    .about =
        "How much the explanation changes when the network is written in another way that computes the same "
        "function; NaN where the network has nothing to rewrite. Split, rescale and permute rewrite the "
        "hidden "
        "layers whose channels can be followed to the layers behind them; `check` says how many. Rewrites of "
        "max "
        "pooling are compared at inputs with a little noise (jitter), away from ties.",
    .parameters =
        {{"rewrite", std::string("split"), "how the network is written anew", {}, {}, rewrite_names()},
         {"measure",
          std::string("cosine"),
          "1 - cosine, or the largest difference relative to the largest relevance",
          {},
          {},
          {"cosine", "max"}},
         jitter_parameter(1e-4)},
    .needs_explainer = true,
    .score_all = score,
};

}  // namespace heatproof
