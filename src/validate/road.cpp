// ROAD: remove and debias. Rong et al. 2022.
#include <Eigen/Sparse>
#include <Eigen/SparseCholesky>
#include <algorithm>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

struct Neighbour {
  std::int64_t dy, dx;
  double weight;
};
constexpr Neighbour kNeighbours[] = {{0, 1, 1.0 / 6},   {0, -1, 1.0 / 6},  {1, 0, 1.0 / 6},
                                     {-1, 0, 1.0 / 6},  {1, 1, 1.0 / 12},  {1, -1, 1.0 / 12},
                                     {-1, 1, 1.0 / 12}, {-1, -1, 1.0 / 12}};

/// Every removed pixel becomes the weighted mean of its neighbours, all at once: one symmetric positive
/// definite system per mask, solved for each channel.
void impute_linear(std::span<float> x, std::int64_t channels, std::int64_t height, std::int64_t width,
                   std::span<const std::size_t> removed, double noise, RandomStream& random) {
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
  const Eigen::MatrixXd values = solver.solve(known);
  if (solver.info() != Eigen::Success || !values.allFinite())
    throw Error("road: no pixel is left to impute from; remove fewer");
  for (Eigen::Index k = 0; k < n; ++k) {
    for (std::int64_t c = 0; c < channels; ++c)
      x[static_cast<std::size_t>(c * height * width) + removed[static_cast<std::size_t>(k)]] =
          static_cast<float>(values(k, c) + noise * random.normal());
  }
}

Scores road(const Evaluation& e, const Parameters& p) {
  const Shape& s = e.inputs.shape();
  if (s.rank() != 4) throw UsageError("road works on images only");
  const std::int64_t pixels = s[2] * s[3];
  std::vector<std::vector<std::size_t>> orders;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const Sample sample = sample_of(e, i);
    orders.push_back(descending(std::vector<double>(sample.heatmap.begin(), sample.heatmap.end())));
  }
  std::vector<std::int64_t> percentages;
  for (std::int64_t q = 1; q < 100; q += p.integer("every")) percentages.push_back(q);
  Scores result;
  result.values.assign(static_cast<std::size_t>(e.size()), 0);
  auto& curves = result.curves["kept"];
  curves.assign(static_cast<std::size_t>(e.size()), std::vector<double>(percentages.size()));
  const auto steps = static_cast<std::int64_t>(percentages.size());
  const auto size = static_cast<std::size_t>(e.inputs.elements() / e.size());
  e.network.stream(
      e.size() * steps, ScoreKind::logit,
      [&](std::int64_t index, std::span<float> x) {
        const std::int64_t i = index / steps;
        std::ranges::copy(e.inputs.data<float>().subspan(static_cast<std::size_t>(i) * size, size),
                          x.begin());
        const std::int64_t count = pixels * percentages[static_cast<std::size_t>(index % steps)] / 100;
        RandomStream random = e.random("road " + std::to_string(index % steps), i);
        if (count > 0)
          impute_linear(x, s[1], s[2], s[3],
                        std::span(orders[static_cast<std::size_t>(i)]).first(static_cast<std::size_t>(count)),
                        p.number("noise"), random);
      },
      [&](std::int64_t index, std::span<const float> scores) {
        const auto i = static_cast<std::size_t>(index / steps);
        const auto best = std::ranges::max_element(scores) - scores.begin();
        const double kept = best == e.targets[i] ? 1 : 0;
        curves[i][static_cast<std::size_t>(index % steps)] = kept;
        result.values[i] += kept / static_cast<double>(steps);
      });
  return result;
}

}  // namespace

const Metric kRoad = {
    .name = "road",
    .group = Group::faithfulness,
    .better = Better::lower,
    .unit = "share",
    .source = "Rong et al. 2022",
    .about =
        "Share of removal levels at which the target stays the prediction, most relevant pixels first, "
        "removed by noisy linear imputation.",
    .parameters = {{"every", std::int64_t{2}, "levels: 1 %, then every so many percent", 1, 98},
                   {"noise", 0.01, "standard deviation of the imputer's noise", 0.0}},
    .score_all = road,
};

}  // namespace heatproof
