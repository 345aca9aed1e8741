// Infidelity: does relevance times the change of the input predict the change of the score? Yeh et al. 2019.
#include <algorithm>

#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

struct Block {
  std::int64_t y, x;
};

Scores infidelity(const Evaluation& e, const Parameters& p) {
  const Shape& s = e.inputs.shape();
  const std::int64_t side = p.integer("patch_size");
  check_patch(e, "patch_size", side);
  const std::int64_t channels = s.rank() >= 3 ? s[1] : 1;
  const std::int64_t height = s.rank() == 4 ? s[2] : 1;
  const std::int64_t width = s.elements() / (s[0] * channels * height);
  std::vector<Block> blocks;
  for (std::int64_t y = 0; y < height; y += side) {
    for (std::int64_t x = 0; x < width; x += side) blocks.push_back({y, x});
  }
  const bool cumulative = p.flag("cumulative");
  std::vector<std::vector<std::size_t>> features;  // of each block
  for (const Block& b : blocks) {
    features.emplace_back();
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t y = b.y; y < std::min(b.y + side, height); ++y) {
        for (std::int64_t z = b.x; z < std::min(b.x + side, width); ++z)
          features.back().push_back(static_cast<std::size_t>((c * height + y) * width + z));
      }
    }
  }
  const auto relevance = attributions(e.relevance, p);
  std::vector<std::vector<float>> fillers;
  for (std::int64_t i = 0; i < e.size(); ++i)
    fillers.push_back(cumulative ? baseline_of_steps(e, i, p.text("perturb_baseline"), features)
                                 : baseline_of(e, i, p.text("perturb_baseline")));
  const auto before = scores_of_inputs(e, p.text("score"));
  std::vector<std::vector<double>> predicted(relevance.size(), std::vector<double>(blocks.size()));
  const auto after = scores_of_edits(e, static_cast<std::int64_t>(blocks.size()), p.text("score"),
                                     [&](std::int64_t i, std::int64_t k, std::span<float> x) {
                                       const auto at = static_cast<std::size_t>(i);
                                       const std::vector<float> original(x.begin(), x.end());
                                       for (std::int64_t b = cumulative ? 0 : k; b <= k; ++b) {
                                         for (std::size_t f : features[static_cast<std::size_t>(b)])
                                           x[f] = fillers[at][f];
                                       }
                                       double sum = 0;
                                       for (std::size_t f = 0; f < x.size(); ++f)
                                         sum += relevance[at][f] * (static_cast<double>(original[f]) - x[f]);
                                       predicted[at][static_cast<std::size_t>(k)] = sum;
                                     });
  Scores result;
  for (std::size_t i = 0; i < after.size(); ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < blocks.size(); ++k) {
      const double d = before[i] - after[i][k] - predicted[i][k];
      sum += d * d;
    }
    result.values.push_back(sum / static_cast<double>(blocks.size()));
  }
  return result;
}

}  // namespace

const Metric kInfidelity = {
    .name = "infidelity",
    .group = Group::faithfulness,
    .better = Better::lower,
    .unit = "squared score",
    .source = "Yeh et al. 2019",
    .about =
        "Mean squared difference between relevance times the change of the input, and the change of the "
        "score, over removed patches.",
    .parameters = {{"patch_size", std::int64_t{4}, "side of the patches in pixels", 1, 4096},
                   {"cumulative", true, "patches stay removed, as in Quantus; false: one at a time"},
                   perturb_baseline_parameter("black"),
                   watched_score_parameter(),
                   absolute_parameter(false),
                   normalise_parameter("none")},
    .score_all = infidelity,
};

}  // namespace heatproof
