#include "validate/neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "validate/features.h"

namespace heatproof {

std::vector<Parameter> neighbour_parameters(std::int64_t copies, const std::string& changed) {
  return {{"nr_samples", copies, "noisy copies", 1, 1e6},
          {"changed",
           changed,
           "copies with another prediction: skip, use, or nan (one makes the score NaN, as in Quantus)",
           {},
           {},
           {"skip", "use", "nan"}}};
}

std::vector<Parameter> uniform_noise_parameters(double lower, double upper) {
  return {{"lower_bound", lower, "noise is uniform in ± this, or from this"},
          {"upper_bound", upper, "to this, where it is larger"}};
}

Noise uniform_noise(const Parameters& p) {
  const double low = p.number("lower_bound");
  const double high = p.number("upper_bound");
  if (high > low) return [=](RandomStream& r) { return r.uniform(low, high); };
  return [=](RandomStream& r) { return r.uniform(-low, low); };
}

Scores over_noisy_copies(const Evaluation& e, const Parameters& p, const Noise& noise, Over over,
                         const std::function<double(const NoisyCopy&)>& measure) {
  const std::string& changed = p.text("changed");
  const auto classes = argmax_rows(e.logits);
  std::vector<std::vector<double>> values(static_cast<std::size_t>(e.size()));
  for (std::int64_t k = 0; k < p.integer("nr_samples"); ++k) {
    Tensor moved = e.inputs.clone();
    std::vector<std::uint64_t> ids;
    for (std::int64_t i = 0; i < e.size(); ++i) {
      RandomStream random = e.random("noise " + std::to_string(k), i);
      for (float& v : row_of(moved, i)) v += static_cast<float>(noise(random));
      ids.push_back(e.ids[static_cast<std::size_t>(i)] * 1'000'003 + static_cast<std::uint64_t>(k) + 1);
    }
    const Tensor logits = e.network.predict(moved);
    for (std::int64_t i = 0; i < e.size(); ++i) e.see_scores(i, row_of(logits, i));
    const auto now = argmax_rows(logits);
    const auto relevance = attributions(e.explain(moved, e.targets, ids), p);
    for (std::int64_t i = 0; i < e.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const bool other = now[at] != classes[at] && changed != "use";
      if (other && changed == "skip") continue;
      values[at].push_back(other ? std::numeric_limits<double>::quiet_NaN()
                                 : measure({i, row_of(moved, i), relevance[at], row_of(logits, i)}));
    }
  }
  Scores s;
  for (const auto& v : values) {
    const double sum = std::accumulate(v.begin(), v.end(), 0.0);  // NaN as soon as one is
    if (v.empty() || std::isnan(sum))
      s.values.push_back(std::numeric_limits<double>::quiet_NaN());
    else
      s.values.push_back(over == Over::mean ? sum / static_cast<double>(v.size())
                                            : *std::ranges::max_element(v));
  }
  return s;
}

}  // namespace heatproof
