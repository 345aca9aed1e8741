// The noisy linear imputer: removed pixels become the weighted mean of their neighbours. Rong et al. 2022,
// sec. 4.
#include <Eigen/Sparse>
#include <Eigen/SparseCholesky>
#include <array>

#include "base/files.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/imputer.h"

namespace heatproof {

namespace {

struct Neighbour {
  std::int64_t dy, dx;
  double weight;
};
constexpr Neighbour kNeighbours[] = {{0, 1, 1.0 / 6},   {0, -1, 1.0 / 6},  {1, 0, 1.0 / 6},
                                     {-1, 0, 1.0 / 6},  {1, 1, 1.0 / 12},  {1, -1, 1.0 / 12},
                                     {-1, 1, 1.0 / 12}, {-1, -1, 1.0 / 12}};

/// One symmetric positive definite system per mask, solved for all channels: values [removed, channels].
Eigen::MatrixXd solve(std::span<const float> x, std::int64_t channels, std::int64_t height,
                      std::int64_t width, std::span<const std::size_t> removed) {
  std::vector<std::int64_t> unknown(static_cast<std::size_t>(height * width), -1);
  for (std::size_t k = 0; k < removed.size(); ++k) unknown[removed[k]] = static_cast<std::int64_t>(k);
  const auto n = static_cast<Eigen::Index>(removed.size());
  std::vector<Eigen::Triplet<double>> entries;
  Eigen::MatrixXd known = Eigen::MatrixXd::Zero(n, channels);
  for (Eigen::Index k = 0; k < n; ++k) {
    const auto pixel = static_cast<std::int64_t>(removed[static_cast<std::size_t>(k)]);
    double total = 0;
    for (const Neighbour& o : kNeighbours) {
      const std::int64_t y = pixel / width + o.dy;
      const std::int64_t z = pixel % width + o.dx;
      if (y < 0 || y >= height || z < 0 || z >= width) continue;
      total += o.weight;
      const auto at = static_cast<std::size_t>(y * width + z);
      if (unknown[at] >= 0) {
        entries.emplace_back(k, unknown[at], -o.weight);
      } else {
        for (std::int64_t c = 0; c < channels; ++c)
          known(k, c) += o.weight * x[static_cast<std::size_t>(c * height * width) + at];
      }
    }
    entries.emplace_back(k, k, total);
  }
  Eigen::SparseMatrix<double> matrix(n, n);
  matrix.setFromTriplets(entries.begin(), entries.end());
  const Eigen::SimplicialLDLT<Eigen::SparseMatrix<double>> solver(matrix);
  Eigen::MatrixXd values = solver.solve(known);
  if (solver.info() != Eigen::Success || !values.allFinite())
    throw Error("noisy linear imputation: the linear system has no solution; is the image finite?");
  return values;
}

}  // namespace

Impute linear_imputer(const Evaluation& e, std::int64_t i, double noise) {
  const Shape& s = e.inputs.shape();
  if (s.rank() != 4) throw UsageError("noisy linear imputation works on images only");
  const auto impute = [&e, i, noise, channels = s[1], height = s[2], width = s[3]](
                          std::span<float> x, std::span<const std::size_t> removed) {
    if (removed.empty()) return;
    const auto pixels = static_cast<std::size_t>(height * width);
    if (removed.size() >= pixels) {  // nothing is left to impute from
      imputer("mean", e, i, 0)(x, removed);
      return;
    }
    const Eigen::MatrixXd values = solve(x, channels, height, width, removed);
    RandomStream random = e.random("noisy linear " + std::to_string(removed.size()), i);
    for (std::size_t k = 0; k < removed.size(); ++k) {
      for (std::int64_t c = 0; c < channels; ++c)
        x[static_cast<std::size_t>(c) * pixels + removed[k]] =
            static_cast<float>(values(static_cast<Eigen::Index>(k), c) + noise * random.normal());
    }
  };
  return {impute, [&e, i, noise](Sha256& hash) {
            hash.add_values("noisy linear");
            hash.add_values(std::array{noise});
            hash.add_values(std::array{e.seed, e.ids[static_cast<std::size_t>(i)]});
          }};
}

}  // namespace heatproof
