// Pixel-flipping and region perturbation: features are removed by decreasing (MoRF) or increasing (LeRF)
// relevance while the target's score is watched. Bach et al. 2015; Samek et al. 2017; symmetric relevance
// gain: Blücher et al. 2024.
#include <algorithm>
#include <cmath>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/imputer.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Patches of one image; the last row and column may be smaller.
struct Grid {
  std::int64_t channels, height, width, patch_height, patch_width, rows, cols;
  std::int64_t size() const { return rows * cols; }
};

Grid grid_of(const Evaluation& e, std::int64_t patch) {
  const Shape& s = e.inputs.shape();
  const bool image = s.rank() == 4;
  Grid g{image ? s[1] : 1, image ? s[2] : 1, image ? s[3] : s.elements() / s[0], 1, 1, 1, 1};
  // By default about 14 patches along the longer side.
  const std::int64_t side =
      patch > 0 ? patch : std::max<std::int64_t>(1, (std::max(g.height, g.width) + 7) / 14);
  g.patch_height = std::min(side, g.height);
  g.patch_width = std::min(side, g.width);
  g.rows = (g.height + g.patch_height - 1) / g.patch_height;
  g.cols = (g.width + g.patch_width - 1) / g.patch_width;
  return g;
}

template <typename F>
void for_pixels(const Grid& g, std::int64_t patch, F f) {
  const std::int64_t y0 = patch / g.cols * g.patch_height;
  const std::int64_t x0 = patch % g.cols * g.patch_width;
  for (std::int64_t y = y0; y < std::min(y0 + g.patch_height, g.height); ++y) {
    for (std::int64_t x = x0; x < std::min(x0 + g.patch_width, g.width); ++x) f(y * g.width + x);
  }
}

/// Patches by decreasing mean relevance; ties in random order, so that a flat heatmap is no order at all.
std::vector<std::int64_t> order_of(const Evaluation& e, const Grid& g, std::int64_t i, bool shuffle_ties) {
  const Sample s = sample_of(e, i);
  std::vector<double> mean;
  for (std::int64_t p = 0; p < g.size(); ++p) {
    double sum = 0;
    std::int64_t n = 0;
    for_pixels(g, p, [&](std::int64_t pixel) {
      sum += s.heatmap[static_cast<std::size_t>(pixel)];
      ++n;
    });
    mean.push_back(std::isnan(sum) ? -INFINITY : sum / static_cast<double>(n));
  }
  std::vector<std::int64_t> order = e.random("pixel_flipping", i).permutation(g.size());
  if (!shuffle_ties) std::ranges::sort(order);
  std::ranges::stable_sort(order, [&](auto a, auto b) {
    return mean[static_cast<std::size_t>(a)] > mean[static_cast<std::size_t>(b)];
  });
  return order;
}

/// One image being perturbed: `removed[k]` patches of the order are gone at step k.
struct Walk {
  std::vector<std::int64_t> order;
  std::vector<double> scores;
};

std::vector<std::int64_t> steps_of(const Grid& g, std::int64_t wanted) {
  std::vector<std::int64_t> removed;
  const std::int64_t steps = std::min(wanted, g.size());
  for (std::int64_t k = 0; k <= steps; ++k) removed.push_back((g.size() * k + steps / 2) / steps);
  return removed;
}

/// Trapezoid over the removed fraction 0 … 1.
double area(const std::vector<double>& curve, const std::vector<std::int64_t>& removed) {
  double sum = 0;
  for (std::size_t k = 1; k < curve.size(); ++k) {
    sum += 0.5 * (curve[k] + curve[k - 1]) * static_cast<double>(removed[k] - removed[k - 1]);
  }
  return sum / static_cast<double>(removed.back());
}

/// Scores of all steps of all walks, in batches over images and steps. The unperturbed image is known already
/// for logits.
void measure(const Evaluation& e, const Grid& g, const std::vector<std::int64_t>& removed,
             const std::vector<Tensor>& fillers, std::vector<Walk>& walks, const std::string& kind) {
  const auto steps = static_cast<std::int64_t>(removed.size());
  const auto per_image = static_cast<std::int64_t>(walks.size()) / e.size();
  const auto size = static_cast<std::size_t>(e.inputs.elements() / e.size());
  for (Walk& walk : walks) walk.scores.assign(removed.size(), 0);
  const auto fill = [&](std::int64_t index, std::span<float> x) {
    const std::int64_t w = index / steps;
    const auto image = static_cast<std::size_t>(w / per_image);
    std::ranges::copy(e.inputs.data<float>().subspan(image * size, size), x.begin());
    const float* filler = fillers[image].data<float>().data();
    const Walk& walk = walks[static_cast<std::size_t>(w)];
    for (std::int64_t k = 0; k < removed[static_cast<std::size_t>(index % steps)]; ++k) {
      for_pixels(g, walk.order[static_cast<std::size_t>(k)], [&](std::int64_t pixel) {
        for (std::int64_t c = 0; c < g.channels; ++c) {
          const std::int64_t at = c * g.height * g.width + pixel;
          x[static_cast<std::size_t>(at)] = filler[at];
        }
      });
    }
  };
  const auto use = [&](std::int64_t index, std::span<const float> scores) {
    const std::int64_t w = index / steps;
    walks[static_cast<std::size_t>(w)].scores[static_cast<std::size_t>(index % steps)] =
        watched(scores, e.targets[static_cast<std::size_t>(w / per_image)], kind);
  };
  e.network.stream(static_cast<std::int64_t>(walks.size()) * steps,
                   kind == "probability" ? ScoreKind::probability : ScoreKind::logit, fill, use);
}

Scores score(const Evaluation& e, const Parameters& p) {
  const Grid g = grid_of(e, p.integer("patch"));
  const auto removed = steps_of(g, p.integer("steps"));
  const std::string& order = p.text("order");
  const bool both = order == "symmetric";
  std::vector<Tensor> fillers;
  std::vector<Walk> walks;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    fillers.push_back(
        impute(p.text("imputer"), e.inputs.rows(i, i + 1), e.black, std::max(g.patch_height, g.patch_width)));
    std::vector<std::int64_t> morf = order == "random"
                                         ? e.random("pixel_flipping random", i).permutation(g.size())
                                         : order_of(e, g, i, p.text("ties") == "random");
    std::vector<std::int64_t> lerf(morf.rbegin(), morf.rend());
    if (order != "lerf") walks.push_back({std::move(morf), {}});
    if (both || order == "lerf") walks.push_back({std::move(lerf), {}});
  }
  measure(e, g, removed, fillers, walks, p.text("score"));
  Scores result;
  const std::size_t per_image = both ? 2 : 1;
  for (std::size_t i = 0; i < walks.size(); i += per_image) {
    const auto& first = walks[i].scores;
    if (both) {
      result.values.push_back(area(walks[i + 1].scores, removed) - area(first, removed));
      result.curves["morf"].push_back(first);
      result.curves["lerf"].push_back(walks[i + 1].scores);
    } else {
      result.values.push_back(area(first, removed));
      result.curves[order].push_back(first);
    }
  }
  return result;
}

}  // namespace

const Metric kPixelFlipping = {
    .name = "pixel_flipping",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "score of the target",
    .source = "Bach et al. 2015; Samek et al. 2017; Blücher et al. 2024",
    .about =
        "Removes patches by relevance and watches the target's score. symmetric: area under the curve when "
        "the least relevant go "
        "first minus when the most relevant go first (symmetric relevance gain); morf, lerf, random: area "
        "under that one curve.",
    .parameters =
        {{"patch", std::int64_t{0}, "side of the patches in pixels; 0: about 14 along the longer side", 0,
          4096},
         {"steps", std::int64_t{14}, "measurements along the curve", 1, 100000},
         {"order",
          std::string("symmetric"),
          "which go first",
          {},
          {},
          {"symmetric", "morf", "lerf", "random"}},
         {"imputer", std::string("blur"), "what takes their place", {}, {}, imputer_names()},
         {"score", std::string("logit"), "what is watched", {}, {}, {"logit", "probability", "difference"}},
         {"ties", std::string("random"), "order of equal patches", {}, {}, {"random", "index"}}},
    .score_all = score,
    .direction =
        [](const Parameters& p) { return p.text("order") == "morf" ? Better::lower : Better::higher; },
};

}  // namespace heatproof
