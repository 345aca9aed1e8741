// Kernel SHAP: Shapley values of groups of positions, as the solution of a weighted least-squares problem.
// Lundberg and Lee 2017, theorem 2; coalitions are drawn from the kernel in pairs with their complements
// (Covert and Lee 2021), or enumerated where there are few, which is exact.
#include <Eigen/Dense>
#include <algorithm>

#include "base/random.h"
#include "explain/estimators/coalitions.h"
#include "explain/estimators/estimators.h"

namespace heatproof {

namespace {

double choose(std::int64_t n, std::int64_t k) {
  double value = 1;
  for (std::int64_t i = 1; i <= k; ++i) value *= static_cast<double>(n - k + i) / static_cast<double>(i);
  return value;
}

std::int64_t size_of(const Coalition& c) { return std::ranges::count(c, true); }

struct Problem {
  std::vector<Coalition> coalitions;  // the empty one and the full one first
  std::vector<double> weights;
};

Problem enumerated(std::int64_t groups) {
  Problem problem;
  problem.coalitions = all_coalitions(groups);
  std::swap(problem.coalitions[1], problem.coalitions.back());
  for (const Coalition& c : problem.coalitions) {
    const std::int64_t s = size_of(c);
    problem.weights.push_back(s == 0 || s == groups
                                  ? 0
                                  : static_cast<double>(groups - 1) /
                                        (choose(groups, s) * static_cast<double>(s * (groups - s))));
  }
  return problem;
}

/// Sizes come with the kernel's probability, (n − 1) / (s (n − s)); the members are any.
Problem drawn(std::int64_t groups, std::int64_t samples, RandomStream random) {
  Problem problem;
  problem.coalitions = {Coalition(static_cast<std::size_t>(groups), false),
                        Coalition(static_cast<std::size_t>(groups), true)};
  problem.weights = {0, 0};
  double total = 0;
  const auto weight = [&](std::int64_t s) { return 1 / static_cast<double>(s * (groups - s)); };
  for (std::int64_t s = 1; s < groups; ++s) total += weight(s);
  while (static_cast<std::int64_t>(problem.coalitions.size()) < samples) {
    double left = random.uniform() * total;
    std::int64_t size = 1;
    while (size < groups - 1 && (left -= weight(size)) > 0) ++size;
    const auto order = random.permutation(groups);
    Coalition shown(static_cast<std::size_t>(groups), false);
    for (std::int64_t k = 0; k < size; ++k)
      shown[static_cast<std::size_t>(order[static_cast<std::size_t>(k)])] = true;
    Coalition hidden = shown;
    hidden.flip();
    problem.coalitions.push_back(std::move(shown));
    problem.coalitions.push_back(std::move(hidden));
    problem.weights.insert(problem.weights.end(), {1, 1});
  }
  return problem;
}

/// min Σ weight (Σ_shown φ − (f − f(∅)))² where Σ φ = f(all) − f(∅).
std::vector<double> solve(const Problem& problem, const std::vector<double>& scores, std::int64_t groups) {
  const double change = scores[1] - scores[0];
  if (groups == 1) return {change};
  // The last value is what the others leave of the change.
  const Eigen::Index n = groups - 1;
  Eigen::MatrixXd normal = Eigen::MatrixXd::Zero(n, n);
  Eigen::VectorXd right = Eigen::VectorXd::Zero(n);
  Eigen::VectorXd row(n);
  for (std::size_t k = 0; k < problem.coalitions.size(); ++k) {
    const Coalition& c = problem.coalitions[k];
    const double last = c.back() ? 1 : 0;
    for (Eigen::Index g = 0; g < n; ++g) row[g] = (c[static_cast<std::size_t>(g)] ? 1 : 0) - last;
    normal += problem.weights[k] * row * row.transpose();
    right += problem.weights[k] * (scores[k] - scores[0] - last * change) * row;
  }
  const Eigen::VectorXd solution = normal.completeOrthogonalDecomposition().solve(right);
  std::vector<double> values(solution.begin(), solution.end());
  values.push_back(change - solution.sum());
  return values;
}

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const Groups groups = grid_groups(setup.network.input_shape(), p.integer("cells"));
  return [setup, groups, p](const Samples& samples) {
    return explain_groups(groups, samples, [&](const Samples& sample) {
      const Problem problem = few(groups.count, p.integer("samples")) && groups.count > 1
                                  ? enumerated(groups.count)
                                  : drawn(groups.count, groups.count > 1 ? p.integer("samples") : 2,
                                          RandomStream(setup.seed, {"kernel_shap"}, sample.ids[0]));
      return solve(problem, scores_of_coalitions(setup, groups, p, sample, problem.coalitions), groups.count);
    });
  };
}

}  // namespace

Method kernel_shap() {
  return {.name = "kernel_shap",
          .parameters = {{"samples", std::int64_t{1000}, "coalitions; all of them where that is enough", 2.0,
                          1e6},
                         cells_parameter(),
                         baseline_parameter(),
                         score_parameter(),
                         pool_parameter()},
          .about = "Shapley values of the cells of a grid",
          .source = "Lundberg and Lee 2017; Covert and Lee 2021",
          .estimator = estimator};
}

}  // namespace heatproof
