// RISE: the mean of random masks, weighed by the score of the input seen through them. Petsiuk, Das and
// Saenko 2018, eq. 6: masks are coarse random grids, enlarged and shifted by a part of a cell.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "explain/estimators/estimators.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// A grid of (cells + 1)² zeros and ones with an offset, seen as a smooth mask over height x width.
class Mask {
 public:
  Mask(RandomStream random, std::int64_t cells, double share, std::int64_t height, std::int64_t width)
      : cells_(cells), down_(random.uniform()), right_(random.uniform()) {
    step_down_ = static_cast<double>(cells) / static_cast<double>(height);
    step_right_ = static_cast<double>(cells) / static_cast<double>(width);
    for (std::int64_t i = 0; i < (cells + 2) * (cells + 2); ++i)
      grid_.push_back(random.uniform() < share ? 1.0F : 0.0F);
  }

  /// In [0, 1], linear between the cells' corners.
  float at(std::int64_t row, std::int64_t column) const {
    const double y = static_cast<double>(row) * step_down_ + down_;
    const double x = static_cast<double>(column) * step_right_ + right_;
    const auto i = static_cast<std::size_t>(y);
    const auto j = static_cast<std::size_t>(x);
    const auto fy = static_cast<float>(y - static_cast<double>(i));
    const auto fx = static_cast<float>(x - static_cast<double>(j));
    const auto n = static_cast<std::size_t>(cells_ + 2);
    const float* g = grid_.data() + i * n + j;
    return (1 - fy) * ((1 - fx) * g[0] + fx * g[1]) + fy * ((1 - fx) * g[n] + fx * g[n + 1]);
  }

 private:
  std::int64_t cells_;
  double down_, right_, step_down_ = 0, step_right_ = 0;
  std::vector<float> grid_;
};

struct Rise {
  std::uint64_t seed;
  std::int64_t masks, cells;
  double share;
  std::int64_t height, width;

  Mask mask(std::uint64_t id, std::int64_t number) const {
    RandomStream sample(seed, {"rise"}, id);
    return {RandomStream(sample.bits(), {"mask"}, static_cast<std::uint64_t>(number)), cells, share, height,
            width};
  }
};

Tensor explain(const EstimatorSetup& setup, const Rise& rise, const Parameters& p, const Samples& samples) {
  const Tensor baselines = baselines_of(setup, samples, p.text("baseline"));
  const Samples unseen{baselines, samples.targets, samples.ids};
  const auto positions = static_cast<std::size_t>(rise.height * rise.width);
  const auto visit = [&](const Mask& mask, auto&& use) {
    for (std::int64_t row = 0; row < rise.height; ++row) {
      for (std::int64_t column = 0; column < rise.width; ++column)
        use(static_cast<std::size_t>(row * rise.width + column), mask.at(row, column));
    }
  };
  const auto scores = scores_of_copies(setup.network, samples, score_kind(setup.network, p), rise.masks,
                                       [&](std::int64_t n, std::int64_t copy, std::span<float> x) {
                                         const auto x0 = unseen.row(n);
                                         visit(rise.mask(samples.ids[static_cast<std::size_t>(n)], copy),
                                               [&](std::size_t i, float m) {
                                                 for (std::size_t c = i; c < x.size(); c += positions)
                                                   x[c] = x0[c] + m * (x[c] - x0[c]);
                                               });
                                       });
  Tensor relevance = Tensor::empty(DType::f32, samples.inputs.shape());
  for (std::int64_t n = 0; n < samples.size(); ++n) {
    std::vector<double> sum(positions, 0);
    for (std::int64_t k = 0; k < rise.masks; ++k) {
      const double score = scores[static_cast<std::size_t>(n)][static_cast<std::size_t>(k)];
      visit(rise.mask(samples.ids[static_cast<std::size_t>(n)], k),
            [&](std::size_t i, float m) { sum[i] += score * m; });
    }
    const double scale = 1 / (static_cast<double>(rise.masks) * rise.share);
    const auto values = relevance.rows(n, n + 1).data<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(sum[i % positions] * scale);
  }
  return relevance;
}

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const Shape& shape = setup.network.input_shape();
  if (shape.rank() != 4)
    throw UsageError(
        fmt::format("rise: needs images as input; the network's has shape {}", to_string(shape)));
  const Rise rise{setup.seed, p.integer("masks"), p.integer("cells"), p.number("share"), shape[2], shape[3]};
  return [setup, rise, p](const Samples& samples) { return explain(setup, rise, p, samples); };
}

}  // namespace

Method rise() {
  Parameter score = score_parameter();
  score.otherwise = std::string("probability");
  score.about += "; the logit where the network has no probability";
  return {.name = "rise",
          .parameters = {{"masks", std::int64_t{1000}, "random masks", 1.0, 1e6},
                         {"cells", std::int64_t{7}, "cells of a mask along each side", 1.0, 4096.0},
                         {"share", 0.5, "of cells through which the input is seen", 0.001, 1.0},
                         baseline_parameter(),
                         score,
                         pool_parameter()},
          .about = "mean of random masks, weighed by the score of the input seen through them",
          .source = "Petsiuk et al. 2018",
          .estimator = estimator};
}

}  // namespace heatproof
