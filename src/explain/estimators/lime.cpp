// LIME: a linear model of the score around the input, over which cells of a grid are shown. Ribeiro, Singh
// and Guestrin 2016; masks, kernel and ridge regression as in their program for images.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "explain/estimators/coalitions.h"
#include "explain/estimators/estimators.h"

namespace heatproof {

namespace {

/// The input itself, and masks in which each cell is shown with probability 1/2; or all masks.
std::vector<Coalition> masks_of(std::int64_t groups, std::int64_t samples, RandomStream random) {
  if (few(groups, samples)) return all_coalitions(groups);
  std::vector<Coalition> masks{Coalition(static_cast<std::size_t>(groups), true)};
  while (static_cast<std::int64_t>(masks.size()) < samples) {
    Coalition c(static_cast<std::size_t>(groups));
    for (std::size_t g = 0; g < c.size(); ++g) c[g] = random.uniform() < 0.5;
    masks.push_back(std::move(c));
  }
  return masks;
}

/// √exp(−d² / width²), d the cosine distance to the mask that shows all.
double nearness(const Coalition& c, double width) {
  const auto shown = static_cast<double>(std::ranges::count(c, true));
  const double d = 1 - std::sqrt(shown / static_cast<double>(c.size()));
  return std::sqrt(std::exp(-d * d / (width * width)));
}

/// Weighted ridge regression with an intercept that is not shrunk.
std::vector<double> regress(const std::vector<Coalition>& masks, const std::vector<double>& scores,
                            const Parameters& p) {
  const auto n = static_cast<Eigen::Index>(masks[0].size());
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(n);
  double mean_score = 0;
  double total = 0;
  std::vector<double> weights;
  const auto row_of = [&](std::size_t k) {
    Eigen::VectorXd row(n);
    for (Eigen::Index g = 0; g < n; ++g) row[g] = masks[k][static_cast<std::size_t>(g)] ? 1 : 0;
    return row;
  };
  for (std::size_t k = 0; k < masks.size(); ++k) {
    weights.push_back(nearness(masks[k], p.number("width")));
    mean += weights[k] * row_of(k);
    mean_score += weights[k] * scores[k];
    total += weights[k];
  }
  mean /= total;
  mean_score /= total;
  Eigen::MatrixXd normal = p.number("ridge") * Eigen::MatrixXd::Identity(n, n);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(n);
  for (std::size_t k = 0; k < masks.size(); ++k) {
    const Eigen::VectorXd row = row_of(k) - mean;
    normal += weights[k] * row * row.transpose();
    right += weights[k] * (scores[k] - mean_score) * row;
  }
  const Eigen::VectorXd solution = normal.completeOrthogonalDecomposition().solve(right);
  return {solution.begin(), solution.end()};
}

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const Groups groups = grid_groups(setup.network.input_shape(), p.integer("cells"));
  return [setup, groups, p](const Samples& samples) {
    return explain_groups(groups, samples, [&](const Samples& sample) {
      const auto masks =
          masks_of(groups.count, p.integer("samples"), RandomStream(setup.seed, {"lime"}, sample.ids[0]));
      return regress(masks, scores_of_coalitions(setup, groups, p, sample, masks), p);
    });
  };
}

}  // namespace

Method lime() {
  return {
      .name = "lime",
      .parameters = {{"samples", std::int64_t{1000}, "masks; all of them where that is enough", 2.0, 1e6},
                     cells_parameter(),
                     {"width", 0.25, "of the kernel that weighs masks by their nearness to the input", 1e-3},
                     {"ridge", 1.0, "shrinkage of the regression", 0.0},
                     baseline_parameter(),
                     score_parameter(),
                     pool_parameter()},
      .about = "coefficients of a linear model of the score over the cells of a grid",
      .source = "Ribeiro et al. 2016",
      .estimator = estimator};
}

}  // namespace heatproof
