// Model parameter randomisation test: an explanation should change when the network's weights become random.
// Adebayo et al. 2018; smooth and efficient variants: Hedström et al. 2024.
#include <algorithm>
#include <cmath>

#include "explain/network_edits.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/neighbours.h"
#include "validate/similarity.h"

namespace heatproof {

namespace {

/// Layers [first, last) that are random at step k of n.
std::pair<std::size_t, std::size_t> randomised(const std::string& order, std::size_t k, std::size_t n) {
  if (order == "independent") return {k, k + 1};
  if (order == "bottom_up") return {0, k + 1};
  return {n - 1 - k, n};  // top_down: from the output
}

std::size_t layers_of(const Evaluation& e) {
  const std::size_t layers = weight_layers(e.network.graph(e.network.unit())).size();
  if (layers == 0) throw UsageError("mprt: the network has no layers with constant weights");
  return layers;
}

Network with_random_layers(const Evaluation& e, std::size_t first, std::size_t last) {
  return Network(
      [&e, first, last](std::int64_t batch) {
        return randomize_layers(e.network.graph(batch), first, last, e.seed);
      },
      e.network.options());
}

/// Similarity; 0 where it is undefined because one of the two is flat (random weights may leave all ReLUs
/// dead, and no relevance), unless both are equal.
double alike(const std::string& measure, const std::vector<double>& a, const std::vector<double>& b) {
  const double s = a == b ? 1 : similarity(measure, a, b);
  return std::isnan(s) ? 0 : s;
}

/// Explains the samples on a network, given as a function of inputs and sample numbers.
using ExplainSamples = std::function<Tensor(const Tensor&, std::span<const std::uint64_t>)>;
/// What is compared: an explanation of all samples, made with `explain`.
using Reading = std::function<Tensor(const ExplainSamples&)>;

Scores randomisation(const Evaluation& e, const Parameters& p, const Reading& read) {
  const std::size_t layers = layers_of(e);
  const std::string& order = p.text("order");
  const auto own =
      attributions(read([&](const Tensor& x, auto ids) { return e.explain(x, e.targets, ids); }), p);
  Scores s;
  auto& curves = s.curves["similarity"];
  curves.resize(own.size());
  // With `full` only the step at which all layers are random.
  for (std::size_t k = p.flag("full") ? layers - 1 : 0; k < layers; ++k) {
    const auto [first, last] =
        p.flag("full") ? std::pair<std::size_t, std::size_t>{0, layers} : randomised(order, k, layers);
    const Network other = with_random_layers(e, first, last);
    const auto now = attributions(
        read([&](const Tensor& x, auto ids) { return e.explain_on(other, x, e.targets, ids); }), p);
    for (std::size_t i = 0; i < own.size(); ++i)
      curves[i].push_back(alike(p.text("similarity"), own[i], now[i]));
  }
  for (const auto& curve : curves) {
    double sum = 0;
    for (double v : curve) sum += v;
    s.values.push_back(sum / static_cast<double>(curve.size()));
  }
  return s;
}

Scores mprt(const Evaluation& e, const Parameters& p) {
  return randomisation(e, p, [&](const ExplainSamples& explain) { return explain(e.inputs, e.ids); });
}

/// Explanations averaged over noisy inputs; the last copy is the input itself.
Scores smooth_mprt(const Evaluation& e, const Parameters& p) {
  const std::int64_t copies = p.integer("nr_samples");
  return randomisation(e, p, [&](const ExplainSamples& explain) {
    Tensor mean = Tensor::zeros(DType::f32, e.inputs.shape());
    for (std::int64_t k = 0; k < copies; ++k) {
      Tensor x = e.inputs.clone();
      std::vector<std::uint64_t> ids;
      for (std::int64_t i = 0; i < e.size(); ++i) {
        ids.push_back(e.ids[static_cast<std::size_t>(i)] * 1'000'003 + static_cast<std::uint64_t>(k) + 1);
        const auto row = row_of(x, i);
        const auto [low, high] = std::ranges::minmax(row);
        const double sigma = p.number("noise_magnitude") * (static_cast<double>(high) - low);
        RandomStream random = e.random("smooth_mprt " + std::to_string(k), i);
        for (float& v : row) {
          if (k + 1 < copies) v += static_cast<float>(sigma * random.normal());
        }
      }
      const Tensor relevance = explain(x, ids);
      for (std::size_t f = 0; f < mean.data<float>().size(); ++f)
        mean.data<float>()[f] += relevance.data<float>()[f] / static_cast<float>(copies);
    }
    return mean;
  });
}

/// Entropy of the histogram of relevance, in nats.
double discrete_entropy(const std::vector<double>& a, std::size_t bins) {
  const auto [low, high] = std::ranges::minmax(a);
  std::vector<double> counts(bins, 0);
  for (double v : a) {
    const double t = high > low ? (v - low) / (high - low) : 0.5;
    counts[std::min(bins - 1, static_cast<std::size_t>(t * static_cast<double>(bins)))] += 1;
  }
  double entropy = 0;
  for (double c : counts) {
    const double share = c / static_cast<double>(a.size());
    if (share > 0) entropy -= share * std::log(share);
  }
  return entropy;
}

Scores efficient_mprt(const Evaluation& e, const Parameters& p) {
  const auto bins = static_cast<std::size_t>(p.integer("n_bins"));
  const Network other = with_random_layers(e, 0, layers_of(e));
  const auto before = attributions(e.relevance, p);
  const auto after = attributions(e.explain_on(other, e.inputs, e.targets, e.ids), p);
  Scores s;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double entropy = discrete_entropy(before[i], bins);
    s.values.push_back((discrete_entropy(after[i], bins) - entropy) / entropy);
  }
  return s;
}

std::vector<Parameter> parameters() {
  return {
      {"order",
       std::string("top_down"),
       "which layers become random: from the output, from the input, or one at a time",
       {},
       {},
       {"top_down", "bottom_up", "independent"}},
      {"full", false, "only the network with all layers random"},
      {"similarity", std::string("spearman"), "how explanations are compared", {}, {}, similarity_names()},
      absolute_parameter(false),
      normalise_parameter("none")};
}

}  // namespace

const Metric kMprt = {
    .name = "mprt",
    .group = Group::randomisation,
    .better = Better::lower,
    .unit = "similarity",
    .source = "Adebayo et al. 2018",
    .about =
        "Similarity of the explanation to that of the network with random layers, averaged over the steps. "
        "Near 1: the explanation does not depend on what was learned.",
    .parameters = parameters(),
    .needs_explainer = true,
    .score_all = mprt,
};

const Metric kSmoothMprt = {
    .name = "smooth_mprt",
    .group = Group::randomisation,
    .better = Better::lower,
    .unit = "similarity",
    .source = "Hedström et al. 2024, sec. 4.1",
    .about = "As mprt, of explanations averaged over noisy inputs.",
    .parameters = joined(
        parameters(),
        {{"nr_samples", std::int64_t{50}, "inputs averaged over; the last is without noise", 1, 1e6},
         {"noise_magnitude", 0.1, "standard deviation of the noise, relative to the input's range", 0.0}}),
    .needs_explainer = true,
    .score_all = smooth_mprt,
};

const Metric kEfficientMprt = {
    .name = "efficient_mprt",
    .group = Group::randomisation,
    .better = Better::higher,
    .unit = "relative rise",
    .source = "Hedström et al. 2024, sec. 4.2",
    .about = "Relative rise of the entropy of the explanation's histogram when all layers become random.",
    .parameters = {{"n_bins", std::int64_t{100}, "bins of the histogram", 2, 1e6},
                   absolute_parameter(false),
                   normalise_parameter("none")},
    .needs_explainer = true,
    .score_all = efficient_mprt,
};

}  // namespace heatproof
