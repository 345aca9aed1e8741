// Paths of inputs along which an explanation should change gradually.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "validate/metric.h"

namespace heatproof {

/// translation: one pixel sideways each, edges repeated. rotation: two degrees each, edges repeated.
/// brightness: each 3 % nearer to black.
const std::vector<std::string>& motion_names();

/// ‖R₁ − R₀‖₁ / (‖x₁ − x₀‖₂ + least); 0 where nothing moved.
template <typename R>
double change_per_distance(std::span<const R> r0, std::span<const R> r1, std::span<const float> x0,
                           std::span<const float> x1, double least = 0) {
  double change = 0;
  double distance = 0;
  for (std::size_t i = 0; i < r0.size(); ++i) {
    change += std::fabs(static_cast<double>(r1[i]) - r0[i]);
    const double d = static_cast<double>(x1[i]) - x0[i];
    distance += d * d;
  }
  distance = std::sqrt(distance) + least;
  return distance > 0 ? change / distance : 0;
}

/// Step k (k = 1: the first) of a motion of one image x [C, H, W].
void move_image(const std::string& motion, std::span<const float> x, const Shape& shape,
                const std::vector<double>& black, std::int64_t k, std::span<float> to);

}  // namespace heatproof
