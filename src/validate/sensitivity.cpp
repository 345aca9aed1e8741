// How much explanations change under random noise: max-sensitivity, average sensitivity, local Lipschitz
// estimate.
#include <algorithm>
#include <cmath>
#include <limits>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

std::span<const float> row(const Tensor& t, std::int64_t i) {
  const auto size = static_cast<std::size_t>(t.elements() / t.shape()[0]);
  return t.data<float>().subspan(static_cast<std::size_t>(i) * size, size);
}

double norm(std::span<const float> a, std::span<const float> b, int power) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::fabs(static_cast<double>(a[i]) - (b.empty() ? 0.0F : b[i]));
    sum += power == 1 ? d : d * d;
  }
  return power == 1 ? sum : std::sqrt(sum);
}

/// Calls use(sample, noisy input, its relevance) for every noisy copy whose prediction is still the same.
template <typename Use>
void for_noisy(const Evaluation& e, const Parameters& p, const std::function<double(RandomStream&)>& noise,
               Use use) {
  const std::int64_t copies = p.integer("nr_samples");
  const auto classes = argmax_rows(e.logits);
  for (std::int64_t k = 0; k < copies; ++k) {
    Tensor moved = e.inputs.clone();
    const auto size = static_cast<std::size_t>(moved.elements() / e.size());
    std::vector<std::uint64_t> ids;
    for (std::int64_t i = 0; i < e.size(); ++i) {
      RandomStream random = e.random("noise " + std::to_string(k), i);
      for (float& v : moved.data<float>().subspan(static_cast<std::size_t>(i) * size, size))
        v += static_cast<float>(noise(random));
      ids.push_back(e.ids[static_cast<std::size_t>(i)] * 1'000'003 + static_cast<std::uint64_t>(k) + 1);
    }
    const auto now = argmax_rows(e.network.predict(moved));
    const Tensor relevance = e.explain(moved, e.targets, ids);
    for (std::int64_t i = 0; i < e.size(); ++i) {
      if (now[static_cast<std::size_t>(i)] == classes[static_cast<std::size_t>(i)])
        use(i, row(moved, i), row(relevance, i));
    }
  }
}

/// ‖R(x') − R(x)‖ / ‖R(x)‖ for every noisy copy.
std::vector<std::vector<double>> sensitivities(const Evaluation& e, const Parameters& p) {
  const double bound = p.number("lower_bound");
  std::vector<std::vector<double>> all(static_cast<std::size_t>(e.size()));
  for_noisy(
      e, p, [bound](RandomStream& r) { return r.uniform(-bound, bound); },
      [&](std::int64_t i, std::span<const float>, std::span<const float> relevance) {
        const auto before = row(e.relevance, i);
        all[static_cast<std::size_t>(i)].push_back(norm(relevance, before, 2) / norm(before, {}, 2));
      });
  return all;
}

Scores max_sensitivity(const Evaluation& e, const Parameters& p) {
  Scores s;
  for (const auto& v : sensitivities(e, p))
    s.values.push_back(v.empty() ? NAN : *std::ranges::max_element(v));
  return s;
}

Scores avg_sensitivity(const Evaluation& e, const Parameters& p) {
  Scores s;
  for (const auto& v : sensitivities(e, p)) {
    double sum = 0;
    for (double x : v) sum += x;
    s.values.push_back(v.empty() ? NAN : sum / static_cast<double>(v.size()));
  }
  return s;
}

Scores lipschitz(const Evaluation& e, const Parameters& p) {
  Scores s;
  s.values.assign(static_cast<std::size_t>(e.size()), NAN);
  const double std = p.number("perturb_std");
  for_noisy(
      e, p, [std](RandomStream& r) { return std * r.normal(); },
      [&](std::int64_t i, std::span<const float> x, std::span<const float> relevance) {
        const double ratio = norm(relevance, row(e.relevance, i), 1) / (norm(x, row(e.inputs, i), 2) + 1e-10);
        double& most = s.values[static_cast<std::size_t>(i)];
        most = std::isnan(most) ? ratio : std::max(most, ratio);
      });
  return s;
}

Parameter samples_parameter() { return {"nr_samples", std::int64_t{50}, "noisy copies", 1, 1e6}; }

}  // namespace

const Metric kMaxSensitivity = {
    .name = "max_sensitivity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relative change",
    .source = "Yeh et al. 2019",
    .about =
        "Largest relative change of relevance (L2) over inputs with uniform noise that keep their "
        "prediction.",
    .parameters = {samples_parameter(), {"lower_bound", 0.2, "noise is uniform in ± this", 0.0}},
    .needs_explainer = true,
    .score_all = max_sensitivity,
};

const Metric kAvgSensitivity = {
    .name = "avg_sensitivity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relative change",
    .source = "Yeh et al. 2019",
    .about =
        "Mean relative change of relevance (L2) over inputs with uniform noise that keep their prediction.",
    .parameters = {samples_parameter(), {"lower_bound", 0.2, "noise is uniform in ± this", 0.0}},
    .needs_explainer = true,
    .score_all = avg_sensitivity,
};

const Metric kLocalLipschitzEstimate = {
    .name = "local_lipschitz_estimate",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relevance per input distance",
    .source = "Alvarez-Melis and Jaakkola 2018",
    .about =
        "Largest change of relevance (L1) per change of input (L2) over inputs with normal noise that keep "
        "their prediction.",
    .parameters = {samples_parameter(), {"perturb_std", 0.1, "standard deviation of the noise", 0.0}},
    .needs_explainer = true,
    .score_all = lipschitz,
};

}  // namespace heatproof
