// Rules that integrate over a line from 0 to 1 by a weighted sum.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace heatproof {

struct Quadrature {
  std::vector<double> points;   // in [0, 1]
  std::vector<double> weights;  // about 1 in sum
};

/// `midpoint`, `left`, `right`: Riemann sums over `steps` equal parts. `trapezoid`: captum's, which weighs
/// `steps` points from 0 to 1 by 1/steps, half at the ends (1 − 1/steps in sum). `gauss_legendre`: exact for
/// polynomials of degree 2·steps − 1.
Quadrature quadrature(const std::string& rule, std::int64_t steps);
const std::vector<std::string>& quadrature_rules();

}  // namespace heatproof
