// Relative input, output and representation stability: the relative change of relevance per relative change
// of the input, per change of the logits, and per relative change of hidden values. Agarwal et al. 2022,
// sec. 3.
#include <cmath>

#include "explain/network_edits.h"
#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/neighbours.h"

namespace heatproof {

namespace {

/// ‖(a − b) / a‖, or ‖a − b‖; zeros in denominators become `eps`.
template <typename A, typename B>
double change(std::span<const A> a, std::span<const B> b, bool relative, double eps) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    double d = static_cast<double>(a[k]) - b[k];
    if (relative) d /= a[k] == 0 ? eps : a[k];
    sum += d * d;
  }
  return std::sqrt(sum);
}

/// distance(copy): how far the copy is from its sample.
Scores stability(const Evaluation& e, const Parameters& p,
                 const std::function<double(const NoisyCopy&)>& distance) {
  const double eps = p.number("eps_min");
  const auto before = attributions(e.relevance, p);
  return over_noisy_copies(e, p, uniform_noise(p), Over::largest, [&](const NoisyCopy& c) {
    const std::span<const double> own = before[static_cast<std::size_t>(c.sample)];
    const double d = e.seen(c.sample, distance(c));
    return change(own, c.relevance, true, eps) / (d == 0 ? eps : d);
  });
}

Scores input_stability(const Evaluation& e, const Parameters& p) {
  return stability(e, p, [&](const NoisyCopy& c) {
    return change(row_of(e.inputs, c.sample), c.x, true, p.number("eps_min"));
  });
}

Scores output_stability(const Evaluation& e, const Parameters& p) {
  return stability(
      e, p, [&](const NoisyCopy& c) { return change(row_of(e.logits, c.sample), c.logits, false, 0); });
}

Scores representation_stability(const Evaluation& e, const Parameters& p) {
  const std::string& layer = p.text("layer");
  const Network hidden([&](std::int64_t batch) { return representation(e.network.graph(batch), layer); },
                       e.network.options());
  const Tensor before = hidden.predict(e.inputs);
  Shape shape = e.inputs.shape();
  shape[0] = 1;
  return stability(e, p, [&](const NoisyCopy& c) {
    const Tensor after = hidden.predict(Tensor::of(shape, c.x));
    return change(row_of(before, c.sample), row_of(after, 0), true, p.number("eps_min"));
  });
}

std::vector<Parameter> parameters() {
  return joined(joined(neighbour_parameters(50, "nan"), uniform_noise_parameters(0.02, 0.2)),
                {{"eps_min", 1e-6, "stands for zeros in denominators", 0.0},
                 absolute_parameter(false),
                 normalise_parameter("none")});
}

}  // namespace

const Metric kRelativeInputStability = {
    .name = "relative_input_stability",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "ratio of relative changes",
    .source = "Agarwal et al. 2022, eq. 2",
    .about = "Largest relative change of relevance per relative change of the input, over noisy inputs.",
    .parameters = parameters(),
    .needs_explainer = true,
    .score_all = input_stability,
};

const Metric kRelativeOutputStability = {
    .name = "relative_output_stability",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relative change per logit",
    .source = "Agarwal et al. 2022, eq. 5",
    .about = "Largest relative change of relevance per change of the logits, over noisy inputs.",
    .parameters = parameters(),
    .needs_explainer = true,
    .score_all = output_stability,
};

const Metric kRelativeRepresentationStability = {
    .name = "relative_representation_stability",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "ratio of relative changes",
    .source = "Agarwal et al. 2022, eq. 3",
    .about = "Largest relative change of relevance per relative change of hidden values, over noisy inputs.",
    .parameters =
        joined(parameters(), {{"layer", std::string("*"), "nodes whose values count; * and ? as in shells"}}),
    .needs_explainer = true,
    .score_all = representation_stability,
};

}  // namespace heatproof
