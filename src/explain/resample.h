// Linear maps along the axes of positions: blurring and interpolation, as matrices, so that graphs can do
// them.
#pragma once

#include "graph/builder.h"

namespace heatproof {

/// Applies a matrix [m, n] to the axis `axis` of length n, which becomes m long.
Value along(Value x, int axis, const Tensor& rows);
/// First axis of positions: 2 where there are channels, else 1.
int first_position(const Shape& shape);

/// [n, n]: a Gaussian that reaches to four deviations, mirrored at the ends (OpenCV's BORDER_REFLECT_101).
Tensor blurring(std::int64_t n, double sigma);
/// [to, from]: linear interpolation between the centres of cells, as torch's with align_corners=False.
Tensor interpolation(std::int64_t from, std::int64_t to);

}  // namespace heatproof
