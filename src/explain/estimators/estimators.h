// The list of estimators; each has a file of its name.
#pragma once

#include <vector>

#include "explain/recipe.h"

namespace heatproof {

Method integrated_gradients();
Method smoothgrad();
Method occlusion();
Method rise();
Method lime();
Method kernel_shap();
Method random_noise();
/// All of them, one line each.
std::vector<Method> estimator_methods();

/// Positions where windows of `patch` begin on an axis of `size`, captum's way: by `stride`, the last one
/// cut at the border; and the number of windows along the axis.
std::int64_t window_count(std::int64_t size, std::int64_t patch, std::int64_t stride);

}  // namespace heatproof
