// Model parameter randomisation test: an explanation should change when the network's weights become random.
// Adebayo et al. 2018; Hedström et al. 2024.
#include <algorithm>
#include <cmath>

#include "explain/equivalents.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Layers [first, last) that are random at step k of n.
std::pair<std::size_t, std::size_t> randomised(const std::string& order, std::size_t k, std::size_t n) {
  if (order == "independent") return {k, k + 1};
  if (order == "bottom_up") return {0, k + 1};
  return {n - 1 - k, n};  // top_down: from the output
}

Scores score(const Evaluation& e, const Parameters& p) {
  const std::size_t layers = weight_layers(e.network.graph(1)).size();
  if (layers == 0) throw UsageError("mprt: the network has no layers with constant weights");
  const std::string order = p.text("order");
  const auto size = static_cast<std::size_t>(e.inputs.elements() / e.size());
  Scores s;
  auto& curves = s.curves["similarity"];
  curves.resize(static_cast<std::size_t>(e.size()));
  const auto values = [&](const Tensor& t, std::size_t i) {
    const auto row = t.data<float>().subspan(i * size, size);
    std::vector<double> v(row.begin(), row.end());
    if (p.flag("abs")) {
      for (double& x : v) x = std::fabs(x);
    }
    return v;
  };
  // Only the last step of top_down and bottom_up matters for full randomisation (efficient MPRT).
  for (std::size_t k = p.flag("full") ? layers - 1 : 0; k < layers; ++k) {
    const auto [first, last] = randomised(order, k, layers);
    const Network other(
        [&, f = first, l = last](std::int64_t batch) {
          return randomize_layers(e.network.graph(batch), f, l, e.seed);
        },
        e.network.options());
    const Tensor relevance = e.explain_on(other, e.inputs, e.targets, e.ids);
    for (std::size_t i = 0; i < curves.size(); ++i)
      curves[i].push_back(spearman(values(e.relevance, i), values(relevance, i)));
  }
  for (const auto& curve : curves) {
    double sum = 0;
    for (double v : curve) sum += v;
    s.values.push_back(sum / static_cast<double>(curve.size()));
  }
  return s;
}

}  // namespace

const Metric kMprt = {
    .name = "mprt",
    .group = Group::randomisation,
    .better = Better::lower,
    .unit = "Spearman's rho",
    .source = "Adebayo et al. 2018",
    .about =
        "Rank correlation between the explanation and that of the network with random layers, averaged over "
        "the steps. "
        "Near 1: the explanation does not depend on what was learned.",
    .parameters = {{"order",
                    std::string("top_down"),
                    "which layers become random: from the output, from the input, or one at a time",
                    {},
                    {},
                    {"top_down", "bottom_up", "independent"}},
                   {"full", false, "only the network with all layers random"},
                   absolute_parameter(false)},
    .needs_explainer = true,
    .score_all = score,
};

}  // namespace heatproof
