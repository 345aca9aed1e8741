#include "validate/flipping.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/files.h"
#include "validate/features.h"
#include "validate/imputer.h"

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
  const std::int64_t side = patch > 0 ? patch : usual_patch(s);
  check_patch(e, "patch", side);
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

std::vector<double> patch_means(const Evaluation& e, const Grid& g, std::int64_t i) {
  const Sample s = sample_of(e, i);
  std::vector<double> mean;
  for (std::int64_t p = 0; p < g.size(); ++p) {
    double sum = 0;
    std::int64_t n = 0;
    for_pixels(g, p, [&](std::int64_t pixel) {
      sum += s.heatmap[static_cast<std::size_t>(pixel)];
      ++n;
    });
    mean.push_back(sum / static_cast<double>(n));
  }
  return mean;
}

/// Patches by decreasing mean relevance; ties in random order, so that a flat heatmap is no order at all.
std::vector<std::int64_t> order_of(const Evaluation& e, const Grid& g, std::int64_t i, bool shuffle_ties) {
  const std::vector<double> mean = patch_means(e, g, i);
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

/// Mean fall below the first score (AOPC; Samek et al. 2017, eq. 12).
double mean_fall(const std::vector<double>& curve) {
  return curve[0] - std::accumulate(curve.begin(), curve.end(), 0.0) / static_cast<double>(curve.size());
}

/// Scores of all steps of all walks, in batches over images and steps; walks of one image are neighbours.
void measure(const Evaluation& e, const Grid& g, const std::vector<std::int64_t>& removed,
             const std::vector<Impute>& imputers, std::vector<Walk>& walks, const std::string& kind) {
  const std::size_t steps = removed.size();
  const std::size_t per_image = walks.size() / static_cast<std::size_t>(e.size());
  const auto edit = [&](std::int64_t image, std::int64_t copy, std::span<float> x) {
    const auto i = static_cast<std::size_t>(image);
    const auto k = static_cast<std::size_t>(copy);
    const Walk& walk = walks[i * per_image + k / steps];
    std::vector<std::size_t> pixels;
    for (std::int64_t p = 0; p < removed[k % steps]; ++p) {
      for_pixels(g, walk.order[static_cast<std::size_t>(p)],
                 [&](std::int64_t pixel) { pixels.push_back(static_cast<std::size_t>(pixel)); });
    }
    imputers[i](x, pixels);
  };
  const bool image = e.inputs.shape().rank() == 4;
  const auto scores = scores_of_walks(
      e,
      {.walks = static_cast<std::int64_t>(per_image),
       .steps = static_cast<std::int64_t>(steps),
       .patch = image ? std::vector{g.patch_height, g.patch_width} : std::vector<std::int64_t>{},
       .edit = edit,
       .changes =
           [&](std::int64_t i, std::int64_t walk, Sha256& hash) {
             hash.add_values("flipping");
             hash.add_values(std::array{g.patch_height, g.patch_width});
             hash.add_values(removed);
             hash.add_values(
                 walks[static_cast<std::size_t>(i) * per_image + static_cast<std::size_t>(walk)].order);
             imputers[static_cast<std::size_t>(i)].tell(hash);
           }},
      kind);
  for (std::size_t w = 0; w < walks.size(); ++w) {
    const auto begin = scores[w / per_image].begin() + static_cast<std::ptrdiff_t>(w % per_image * steps);
    walks[w].scores.assign(begin, begin + static_cast<std::ptrdiff_t>(steps));
  }
}

std::vector<std::int64_t> first_order(const Evaluation& e, const Grid& g, std::int64_t i,
                                      const Flipping& how) {
  return how.order == "random" ? e.random("pixel_flipping random", i).permutation(g.size())
                               : order_of(e, g, i, how.shuffle_ties);
}

/// Scores of one order per image.
Scores flip_once(const Evaluation& e, const Flipping& how) {
  const Grid g = grid_of(e, how.patch);
  const auto removed = steps_of(g, how.steps);
  const bool both = how.order == "symmetric";
  std::vector<Impute> imputers;
  std::vector<Walk> walks;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    imputers.push_back(imputer(how.imputer, e, i, std::max(g.patch_height, g.patch_width)));
    std::vector<std::int64_t> morf = first_order(e, g, i, how);
    std::vector<std::int64_t> lerf(morf.rbegin(), morf.rend());
    if (how.order != "lerf") walks.push_back({std::move(morf), {}});
    if (both || how.order == "lerf") walks.push_back({std::move(lerf), {}});
  }
  measure(e, g, removed, imputers, walks, how.score);
  const auto summary = [&](const Walk& w) {
    return how.summary == "aopc" ? mean_fall(w.scores) : area(w.scores, removed);
  };
  Scores result;
  const std::size_t per_image = both ? 2 : 1;
  for (std::size_t i = 0; i < walks.size(); i += per_image) {
    const double first = summary(walks[i]);
    const double second = both ? summary(walks[i + 1]) : 0;
    result.values.push_back(!both ? first : how.summary == "aopc" ? first - second : second - first);
    result.curves[both ? "morf" : how.order].push_back(walks[i].scores);
    if (both) result.curves["lerf"].push_back(walks[i + 1].scores);
  }
  return result;
}

/// Images whose order is chance.
std::vector<std::int64_t> unordered(const Evaluation& e, const Flipping& how) {
  const Grid g = grid_of(e, how.patch);
  std::vector<std::int64_t> images;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto flat = [&] {
      const auto [least, most] = std::ranges::minmax(patch_means(e, g, i));
      return how.shuffle_ties && least == most;
    };
    if (how.order == "random" || flat()) images.push_back(i);
  }
  return images;
}

}  // namespace

FlippingPath flipping_path(const Evaluation& e, const Flipping& how) {
  const Grid g = grid_of(e, how.patch);
  FlippingPath path{g.patch_height, g.patch_width, g.rows, g.cols, steps_of(g, how.steps), {}};
  for (std::int64_t i = 0; i < e.size(); ++i) path.orders.push_back(first_order(e, g, i, how));
  return path;
}

Scores flip(const Evaluation& e, const Flipping& how) {
  Scores result = flip_once(e, how);
  const std::vector<std::int64_t> chance = unordered(e, how);
  if (how.order != "symmetric") {
    average_orders(
        e, chance, how.orders, [&](const Evaluation& few) { return flip_once(few, how); }, result);
    return result;
  }
  for (const std::int64_t i : chance) {  // one direction is as good as the other
    const auto at = static_cast<std::size_t>(i);
    auto& morf = result.curves.at("morf")[at];
    auto& lerf = result.curves.at("lerf")[at];
    for (std::size_t k = 0; k < morf.size(); ++k) morf[k] = lerf[k] = 0.5 * (morf[k] + lerf[k]);
    if (!std::isnan(result.values[at])) result.values[at] = 0;
  }
  return result;
}

}  // namespace heatproof
