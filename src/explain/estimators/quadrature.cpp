#include "explain/estimators/quadrature.h"

#include <cmath>
#include <numbers>

namespace heatproof {

namespace {

/// Zeros of the Legendre polynomial by Newton's method; weights 2 / ((1 − z²) P'(z)²), halved for [0, 1].
Quadrature gauss_legendre(std::int64_t n) {
  Quadrature q;
  for (std::int64_t i = n; i >= 1; --i) {
    double z = std::cos(std::numbers::pi * (static_cast<double>(i) - 0.25) / (static_cast<double>(n) + 0.5));
    double slope = 1;
    for (int round = 0; round < 100; ++round) {
      double p = 1;
      double before = 0;
      for (std::int64_t k = 1; k <= n; ++k) {
        const auto d = static_cast<double>(k);
        const double next = ((2 * d - 1) * z * p - (d - 1) * before) / d;
        before = p;
        p = next;
      }
      slope = static_cast<double>(n) * (z * p - before) / (z * z - 1);
      const double move = p / slope;
      z -= move;
      if (std::abs(move) < 1e-15) break;
    }
    q.points.push_back(0.5 * (1 + z));
    q.weights.push_back(1 / ((1 - z * z) * slope * slope));
  }
  return q;
}

}  // namespace

const std::vector<std::string>& quadrature_rules() {
  static const std::vector<std::string> rules{"midpoint", "left", "right", "trapezoid", "gauss_legendre"};
  return rules;
}

Quadrature quadrature(const std::string& rule, std::int64_t steps) {
  if (rule == "gauss_legendre") return gauss_legendre(steps);
  Quadrature q;
  const auto n = static_cast<double>(steps);
  for (std::int64_t k = 0; k < steps; ++k) {
    const auto i = static_cast<double>(k);
    q.weights.push_back(1 / n);
    if (rule == "trapezoid")
      q.points.push_back(steps == 1 ? 0 : i / (n - 1));
    else
      q.points.push_back((i + (rule == "left" ? 0.0 : rule == "right" ? 1.0 : 0.5)) / n);
  }
  if (rule == "trapezoid") q.weights.front() /= 2, q.weights.back() /= 2;
  return q;
}

}  // namespace heatproof
