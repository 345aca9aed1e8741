// How alike two explanations are.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace heatproof {

/// Structural similarity (Wang et al. 2004) of two rows of numbers as scikit-image does it with its defaults:
/// windows of 7, edges cut off. NaN for fewer than 7 numbers, and where both are constant and equal.
double ssim(std::span<const double> a, std::span<const double> b);

double cosine(std::span<const double> a, std::span<const double> b);

/// ssim, spearman, pearson, cosine.
const std::vector<std::string>& similarity_names();
double similarity(const std::string& name, std::span<const double> a, std::span<const double> b);

}  // namespace heatproof
