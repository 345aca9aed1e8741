// What takes the place of removed pixels.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "validate/metric.h"

namespace heatproof {

/// Names for parameter tables.
const std::vector<std::string>& imputer_names();

struct Impute {
  /// Changes the removed pixels (indices into H·W; for other than images: into all features) of one input in
  /// place, in all channels.
  std::function<void(std::span<float> x, std::span<const std::size_t> removed)> change;
  /// Adds to a hash all that this hangs on besides the sample's input.
  std::function<void(Sha256& hash)> tell;

  void operator()(std::span<float> x, std::span<const std::size_t> removed) const { change(x, removed); }
};

/// An imputer for sample i of an evaluation; it may be called from several threads.
/// mean: of each channel of this image. black, white: the network's values of such pixels (0 and 1 when
/// unknown). uniform: noise between the channel's least and largest value. blur: Gaussian, σ = a tenth of the
/// shorter side. local_mean: mean of the box of `reach` pixels around each pixel. noisy_linear: the weighted
/// mean of the neighbours, all removed pixels at once, plus noise (Rong et al. 2022). inpaint: OpenCV's Telea
/// 2004. another: the same pixels of another image of the data set.
/// Throws UsageError for unknown names, and where there is no other image.
Impute imputer(const std::string& name, const Evaluation& e, std::int64_t i, std::int64_t reach);

/// The noisy linear imputer with a given standard deviation of the noise; the noise hangs on how many pixels
/// are removed.
Impute linear_imputer(const Evaluation& e, std::int64_t i, double noise);

}  // namespace heatproof
