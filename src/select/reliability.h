// How far a metric can be trusted as a judge of recipes: do images agree, does the order hang on its
// parameters, does it tell explanations from noise? Tomsett et al. 2020, "Sanity Checks for Saliency
// Metrics".
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "select/statistics.h"
#include "validate/metric.h"

namespace heatproof {

struct Reliability {
  /// Krippendorff's α of the images' orders of the recipes that explain: 1 where all images order alike, 0
  /// where they order at random. Controls, which are far off, would raise it.
  double between_images;
  /// Mean Kendall's τ between the orders that two random halves of the images give, of the same recipes.
  double split_half;
  /// Chance that an explanation scores above `random` on an image, ties counted half; 0.5: the metric cannot
  /// tell explanations from noise.
  double above_random;
  /// α and τ with the controls among the recipes.
  double between_images_with_controls = std::numeric_limits<double>::quiet_NaN();
  double split_half_with_controls = std::numeric_limits<double>::quiet_NaN();
};

/// scores[recipe][image], higher is better. methods: recipes that explain; random: the control. Numbers that
/// cannot be had are NaN: too few images or recipes, no control, scores that failed.
Reliability reliability_of(const std::vector<std::vector<double>>& scores,
                           const std::vector<std::size_t>& methods, std::optional<std::size_t> random,
                           std::uint64_t seed);

/// Krippendorff's α, interval scale, values[unit][rater], complete. Krippendorff 2004, ch. 11.
double krippendorff_alpha(const std::vector<std::vector<double>>& values);

/// Kendall's τ between the orders of the recipes by two metrics on the same images, with a 95 % percentile
/// bootstrap over images. a, b: [recipe][image], higher is better.
Interval order_agreement(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b,
                         std::uint64_t seed);

/// The metric with settings that are as defensible as those given: what it declares, else every number of its
/// parameters halved and doubled.
std::vector<MetricSpec> variants_of(const MetricSpec& metric);

}  // namespace heatproof
