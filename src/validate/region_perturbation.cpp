// Patches removed one after the other, with Quantus's definitions of patches and baselines. (pixel_flipping
// is our own.)
#include <algorithm>
#include <array>
#include <cmath>

#include "base/files.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// A grid of square patches; the image is centred on it when its size is no multiple.
struct Patches {
  std::int64_t channels, height, width, side, rows, cols, top, left;

  Patches(const Shape& x, std::int64_t patch_size)
      : channels(x.rank() >= 3 ? x[1] : 1),
        height(x.rank() == 4 ? x[2] : 1),
        width(x.elements() / (x[0] * channels * height)),
        side(patch_size) {
    rows = (height + side - 1) / side;
    cols = (width + side - 1) / side;
    if (height == 1) rows = 1;
    top = height == 1 ? 0 : (rows * side - height) / 2;
    left = (cols * side - width) / 2;
  }
  std::int64_t count() const { return rows * cols; }
  /// Along the spatial axes of an input; empty where it has none.
  std::vector<std::int64_t> size(const Shape& x) const {
    if (x.rank() == 4) return {std::min(side, height), std::min(side, width)};
    return x.rank() == 3 ? std::vector{std::min(side, width)} : std::vector<std::int64_t>{};
  }

  /// First position of a patch; one that sticks out begins at the edge.
  std::int64_t first_row(std::int64_t patch) const {
    return std::max<std::int64_t>(0, patch / cols * side - top);
  }
  std::int64_t first_column(std::int64_t patch) const {
    return std::max<std::int64_t>(0, patch % cols * side - left);
  }
  /// First position of a window of `size` that lies inside of the input and holds the patch.
  Place place(const Shape& x, std::int64_t patch) const {
    const Place sizes = size(x);
    Place at{std::min(first_column(patch), width - sizes.back())};
    if (sizes.size() == 2) at.insert(at.begin(), std::min(first_row(patch), height - sizes[0]));
    return at;
  }

  template <typename F>
  void for_features(std::int64_t patch, F f) const {
    const std::int64_t y0 = first_row(patch);
    const std::int64_t y1 = height == 1 ? 1 : std::min(height, (patch / cols + 1) * side - top);
    const std::int64_t x0 = first_column(patch);
    const std::int64_t x1 = std::min(width, (patch % cols + 1) * side - left);
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t y = y0; y < y1; ++y) {
        for (std::int64_t x = x0; x < x1; ++x) f(static_cast<std::size_t>((c * height + y) * width + x));
      }
    }
  }
};

std::vector<std::vector<std::int64_t>> orders_of(const Evaluation& e, const Patches& g, const Parameters& p,
                                                 const std::string& order) {
  std::vector<std::vector<std::int64_t>> orders;
  const auto relevance = attributions(e.relevance, p);
  for (std::int64_t i = 0; i < e.size(); ++i) {
    if (order == "random") {
      orders.push_back(e.random("region_perturbation", i).permutation(g.count()));
      continue;
    }
    std::vector<double> sums(static_cast<std::size_t>(g.count()));
    for (std::int64_t k = 0; k < g.count(); ++k)
      g.for_features(k, [&](std::size_t f) {
        sums[static_cast<std::size_t>(k)] += relevance[static_cast<std::size_t>(i)][f];
      });
    if (order == "lerf") {
      for (double& s : sums) s = -s;
    }
    orders.emplace_back();
    for (std::size_t k : most_relevant_first(e, i, sums, p))
      orders.back().push_back(static_cast<std::int64_t>(k));
  }
  return orders;
}

/// Samples whose order is chance: it is to be random, or all patches are equal.
std::vector<std::int64_t> unordered(const Evaluation& e, const Patches& g, const Parameters& p,
                                    const std::string& order) {
  std::vector<std::int64_t> samples;
  const bool ties = p.text("ties") == "random" && g.count() > 1;
  const bool absolute = p.flag("abs");
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto row = row_of(e.relevance, i);
    const auto flat = [&] {
      return std::ranges::all_of(
          row, [&](float v) { return absolute ? std::fabs(v) == std::fabs(row[0]) : v == row[0]; });
    };
    if (order == "random" || (ties && flat())) samples.push_back(i);
  }
  return samples;
}

/// The mean of the image as it is when each patch of the order leaves, edges repeated up to the grid (as in
/// Quantus).
std::vector<float> running_means(std::span<const float> x, const Patches& g,
                                 const std::vector<std::int64_t>& order) {
  const std::int64_t height = g.height == 1 ? 1 : g.rows * g.side;
  const std::int64_t width = g.cols * g.side;
  std::vector<double> now;
  for (std::int64_t c = 0; c < g.channels; ++c) {
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t z = 0; z < width; ++z) {
        const std::int64_t from_y = std::clamp<std::int64_t>(y - g.top, 0, g.height - 1);
        const std::int64_t from_x = std::clamp<std::int64_t>(z - g.left, 0, g.width - 1);
        now.push_back(x[static_cast<std::size_t>((c * g.height + from_y) * g.width + from_x)]);
      }
    }
  }
  double sum = 0;
  for (double v : now) sum += v;
  std::vector<float> means;
  for (const std::int64_t patch : order) {
    const double mean = sum / static_cast<double>(now.size());
    means.push_back(static_cast<float>(mean));
    const std::int64_t y0 = patch / g.cols * g.side;
    const std::int64_t x0 = patch % g.cols * g.side;
    for (std::int64_t c = 0; c < g.channels; ++c) {
      for (std::int64_t y = y0; y < std::min(height, y0 + g.side); ++y) {
        for (std::int64_t z = x0; z < x0 + g.side; ++z) {
          double& v = now[static_cast<std::size_t>((c * height + y) * width + z)];
          sum += mean - v;
          v = mean;
        }
      }
    }
  }
  return means;
}

/// What each feature becomes when its patch leaves.
std::vector<float> filler_of(const Evaluation& e, std::int64_t i, const Patches& g, const std::string& name,
                             const std::vector<std::int64_t>& order) {
  std::vector<float> filler = baseline_of(e, i, name);
  if (name != "mean") return filler;
  const std::vector<float> means = running_means(row_of(e.inputs, i), g, order);
  for (std::size_t k = 0; k < order.size(); ++k)
    g.for_features(order[k], [&](std::size_t f) { filler[f] = means[k]; });
  return filler;
}

/// Scores after 1, 2, … patches are gone.
std::vector<std::vector<double>> walk(const Evaluation& e, const Patches& g, const Parameters& p,
                                      const std::string& order, std::int64_t steps) {
  const auto orders = orders_of(e, g, p, order);
  std::vector<std::vector<float>> baselines;
  for (std::int64_t i = 0; i < e.size(); ++i)
    baselines.push_back(filler_of(e, i, g, p.text("perturb_baseline"), orders[static_cast<std::size_t>(i)]));
  const auto remove = [&](std::int64_t i, std::int64_t k, std::span<float> x) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t patch = orders[at][static_cast<std::size_t>(k)];
    g.for_features(patch, [&](std::size_t f) { x[f] = baselines[at][f]; });
    return patch;
  };
  return scores_of_walks(e,
                         {.steps = steps,
                          .patch = g.size(e.inputs.shape()),
                          .edit =
                              [&](std::int64_t i, std::int64_t k, std::span<float> x) {
                                for (std::int64_t s = 0; s <= k; ++s) remove(i, s, x);
                              },
                          .advance =
                              [&](std::int64_t i, std::int64_t k, std::span<float> x) {
                                return std::vector<Place>{g.place(e.inputs.shape(), remove(i, k, x))};
                              },
                          .changes =
                              [&](std::int64_t i, std::int64_t, Sha256& hash) {
                                const auto at = static_cast<std::size_t>(i);
                                hash.add_values("patches");
                                hash.add_values(std::array{g.side});
                                hash.add_values(std::span(orders[at]).first(static_cast<std::size_t>(steps)));
                                hash.add_values(baselines[at]);
                              }},
                         p.text("score"));
}

Scores region_perturbation_once(const Evaluation& e, const Parameters& p) {
  const Patches g(e.inputs.shape(), p.integer("patch_size"));
  const std::int64_t steps = std::min(p.integer("regions_evaluation"), g.count());
  const auto after = walk(e, g, p, p.text("order"), steps);
  const auto before = scores_of_inputs(e, p.text("score"));
  Scores result;
  for (std::size_t i = 0; i < after.size(); ++i) {
    std::vector<double> falls;
    double sum = 0;
    for (double score : after[i]) {
      falls.push_back(before[i] - score);
      sum += falls.back();
    }
    result.values.push_back(sum / static_cast<double>(steps + 1));
    result.curves["fall"].push_back(std::move(falls));
  }
  return result;
}

Scores selectivity_once(const Evaluation& e, const Parameters& p) {
  const Patches g(e.inputs.shape(), p.integer("patch_size"));
  const auto after = walk(e, g, p, "morf", g.count());
  Scores result;
  for (const auto& curve : after) {
    double area = 0;
    for (std::size_t k = 1; k < curve.size(); ++k) area += 0.5 * (curve[k] + curve[k - 1]);
    result.values.push_back(area / static_cast<double>(std::max<std::size_t>(1, curve.size() - 1)));
    result.curves["score"].push_back(curve);
  }
  return result;
}

/// Measured once, and averaged where the order is chance.
Scores averaged(const Evaluation& e, const Parameters& p, const std::string& order,
                Scores (*once)(const Evaluation&, const Parameters&)) {
  check_patch(e, "patch_size", p.integer("patch_size"));
  Scores scores = once(e, p);
  const Patches g(e.inputs.shape(), p.integer("patch_size"));
  average_orders(
      e, unordered(e, g, p, order), p.integer("orders"), [&](const Evaluation& few) { return once(few, p); },
      scores);
  return scores;
}

Scores region_perturbation(const Evaluation& e, const Parameters& p) {
  return averaged(e, p, p.text("order"), region_perturbation_once);
}

Scores selectivity(const Evaluation& e, const Parameters& p) {
  return averaged(e, p, "morf", selectivity_once);
}

const Parameter kPatchSize{"patch_size", std::int64_t{8}, "side of the patches in pixels", 1, 4096};

}  // namespace

const Metric kRegionPerturbation = {
    .name = "region_perturbation",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "score of the target",
    .source = "Samek et al. 2017",
    .about = "AOPC: mean fall of the score over 0, 1, … removed patches. Curve: the falls after each patch.",
    .parameters =
        {kPatchSize,
         {"order", std::string("morf"), "which patches go first", {}, {}, {"morf", "lerf", "random"}},
         {"regions_evaluation", std::int64_t{100}, "patches to remove", 1, 1e6},
         perturb_baseline_parameter("black"),
         watched_score_parameter(),
         absolute_parameter(false),
         normalise_parameter(),
         ties_parameter(),
         orders_parameter()},
    .score_all = region_perturbation,
    .direction =
        [](const Parameters& p) { return p.text("order") == "lerf" ? Better::lower : Better::higher; },
};

const Metric kSelectivity = {
    .name = "selectivity",
    .group = Group::faithfulness,
    .better = Better::lower,
    .unit = "score of the target",
    .source = "Montavon et al. 2018",
    .about = "Mean height of the curve of scores while all patches are removed, most relevant first.",
    .parameters = {kPatchSize, perturb_baseline_parameter("black"), watched_score_parameter(),
                   absolute_parameter(false), normalise_parameter(), ties_parameter(), orders_parameter()},
    .score_all = selectivity,
};

}  // namespace heatproof
