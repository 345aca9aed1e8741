// Explanations of inputs near the samples, for metrics of robustness.
#pragma once

#include <functional>
#include <span>

#include "validate/metric.h"

namespace heatproof {

/// Noise of one element.
using Noise = std::function<double(RandomStream&)>;

struct NoisyCopy {
  std::int64_t sample;
  std::span<const float> x;
  std::span<const double> relevance;  // as the parameters `abs` and `normalise` want it
  std::span<const float> logits;
};

/// Explains `nr_samples` noisy copies of every sample, and gives the largest or mean value of `measure` over
/// them, per sample. The parameter `changed` says what copies count whose prediction is another: `skip` (NaN
/// where none is left), `use`, or `nan` (one makes the score NaN).
enum class Over { largest, mean };
Scores over_noisy_copies(const Evaluation& e, const Parameters& p, const Noise& noise, Over over,
                         const std::function<double(const NoisyCopy&)>& measure);

/// nr_samples, changed.
std::vector<Parameter> neighbour_parameters(std::int64_t copies, const std::string& changed);
/// Uniform in ± lower_bound, or in [lower_bound, upper_bound) where that is larger, as in Quantus.
std::vector<Parameter> uniform_noise_parameters(double lower, double upper);
Noise uniform_noise(const Parameters& p);

}  // namespace heatproof
