// What takes the place of removed pixels.
#pragma once

#include <string>
#include <vector>

#include "validate/metric.h"

namespace heatproof {

/// Names for parameter tables: mean, black, blur, local_mean.
const std::vector<std::string>& imputer_names();

/// The values that removed pixels of one input take, in the input's shape [1, C, H, W] (other ranks: [1,
/// ...]). mean: of each channel of this image. black: the network's value of black pixels (0 when unknown).
/// blur: Gaussian blur, σ = a tenth of the shorter side. local_mean: mean of the box of `reach` pixels around
/// each pixel.
Tensor impute(const std::string& name, const Tensor& input, const std::vector<double>& black,
              std::int64_t reach);

}  // namespace heatproof
