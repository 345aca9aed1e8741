// Clever Hans: a network that learned a watermark, and how its explanations give it away.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/synthetic.h"
#include "demo/networks.h"
#include "validate/features.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kImages = 96;
constexpr std::int64_t kSide = 64;
constexpr std::int64_t kWindow = 16;
const char* const kRecipe = "lrp_epsilon_plus";

/// The same images with the marks of the training data, without marks, and with marks on all.
struct Drawn {
  std::vector<SyntheticImage> images;
  Tensor inputs;
  std::vector<std::int64_t> predicted;
};

Drawn draw(const Shipped& s, const Options& options, double marked, double others) {
  Drawn d;
  std::vector<Tensor> inputs;
  for (std::int64_t i = 0; i < kImages; ++i) {
    d.images.push_back(draw_synthetic(find_synthetic("watermark"), i, {kSide, marked, others}, options.seed));
    inputs.push_back(photo_of(d.images.back().rgb, kSide, kSide, s.preprocessing).input);
  }
  d.inputs = concatenate(inputs);
  d.predicted = argmax_rows(s.network.predict(d.inputs));
  return d;
}

/// Share of the images of a class (or not of it) that are predicted as `as`.
Interval share_predicted(const Drawn& d, bool of_class, std::int64_t label, std::int64_t as) {
  std::size_t all = 0;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < d.images.size(); ++i) {
    if ((d.images[i].label == label) != of_class) continue;
    ++all;
    hits += d.predicted[i] == as;
  }
  return share_of(hits, all);
}

/// "51 % [40 %, 62 %]".
std::string percent(const Interval& i) {
  return fmt::format("{:.0f} % [{:.0f}, {:.0f}]", 100 * i.mean, 100 * i.low, 100 * i.high);
}

/// Mean over the images predicted as `label` of their positive relevance, each summing to 1: [1, H, W].
Tensor mean_map(const Tensor& maps, const std::vector<std::int64_t>& predicted, std::int64_t label) {
  Tensor mean = Tensor::zeros(DType::f32, {1, kSide, kSide});
  double count = 0;
  for (std::int64_t i = 0; i < maps.shape()[0]; ++i) {
    if (predicted[static_cast<std::size_t>(i)] != label) continue;
    double total = 0;
    for (float v : row_of(maps, i)) total += std::max(v, 0.0F);
    if (total <= 0) continue;
    count += 1;
    for (std::size_t k = 0; k < static_cast<std::size_t>(kSide * kSide); ++k)
      mean.data<float>()[k] += static_cast<float>(std::max(row_of(maps, i)[k], 0.0F) / total);
  }
  for (float& v : mean.data<float>()) v /= static_cast<float>(std::max(1.0, count));
  return mean;
}

/// The window that holds most of a map.
struct HotSpot {
  std::int64_t label = 0, top = 0, left = 0;
  double share = 0;
};

HotSpot hottest(const Tensor& map, std::int64_t label) {
  HotSpot best{label, 0, 0, -1};
  for (std::int64_t top = 0; top + kWindow <= kSide; ++top) {
    for (std::int64_t left = 0; left + kWindow <= kSide; ++left) {
      double sum = 0;
      for (std::int64_t y = top; y < top + kWindow; ++y) {
        for (std::int64_t x = left; x < left + kWindow; ++x)
          sum += map.data<float>()[static_cast<std::size_t>(y * kSide + x)];
      }
      if (sum > best.share) best = {label, top, left, sum};
    }
  }
  return best;
}

/// Share of the mark's pixels that lie in the window.
double covered(const HotSpot& spot, const SyntheticImage& marked) {
  double all = 0;
  double inside = 0;
  for (std::int64_t k = 0; k < kSide * kSide; ++k) {
    if (marked.mark[static_cast<std::size_t>(k)] == 0) continue;
    const std::int64_t y = k / kSide - spot.top;
    const std::int64_t x = k % kSide - spot.left;
    all += 1;
    inside += y >= 0 && y < kWindow && x >= 0 && x < kWindow;
  }
  return inside / all;
}

void add_examples(report::Page& page, const Drawn& d, const Drawn& bare, const Tensor& maps,
                  const Tensor& bare_maps, const std::vector<std::string>& classes) {
  std::vector<report::Picture> pictures;
  const int side = static_cast<int>(kSide);
  for (std::int64_t i : {0, 4, 1, 3}) {  // two circles, a square, a star
    const auto k = static_cast<std::size_t>(i);
    pictures.push_back({side, side, d.images[k].rgb});
    pictures.push_back(draw_map(maps, i));
    pictures.push_back({side, side, bare.images[k].rgb});
    pictures.push_back(draw_map(bare_maps, i));
  }
  add_pictures(page, {"as in training", "explanation", "without the mark", "explanation"}, pictures);
  page.text(fmt::format("Without the mark the first image, a {}, is taken for a {}.", classes[0],
                        classes[static_cast<std::size_t>(bare.predicted[0])]));
}

Result run(const Options& options) {
  const Shipped s = load_shipped(options, "watermark");
  const auto& classes = find_synthetic("watermark").classes;
  const Drawn d = draw(s, options, 1, 0);
  const Drawn bare = draw(s, options, 0, 0);
  const Drawn all = draw(s, options, 1, 1);
  const Tensor maps =
      pool_channels(explain(s.network, {kRecipe}, d.inputs, d.predicted, s.options)[0], Pool::sum);
  const Tensor bare_maps =
      pool_channels(explain(s.network, {kRecipe}, bare.inputs, bare.predicted, s.options)[0], Pool::sum);
  HotSpot spot;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> columns;
  std::vector<report::Picture> means;
  std::vector<double> shares;
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(classes.size()); ++c) {
    const Tensor mean = mean_map(maps, d.predicted, c);
    const HotSpot own = hottest(mean, c);
    if (own.share > spot.share) spot = own;
    const std::string& name = classes[static_cast<std::size_t>(c)];
    columns.push_back(name);
    means.push_back(draw_map(mean, 0));
    shares.push_back(own.share);
    rows.push_back({name, std::to_string(std::ranges::count(d.predicted, c)), report::number(100 * own.share),
                    fmt::format("{}, {}", own.left, own.top)});
  }
  const double found = covered(spot, d.images[0]);
  const Interval before = share_predicted(d, true, 0, 0);
  const Interval after = share_predicted(bare, true, 0, 0);
  const Interval fooled = share_predicted(all, false, 0, 0);
  const bool holds =
      spot.label == 0 && found > 0.9 && before.mean > 0.9 && after.high < 0.5 && fooled.low > 0.3;
  const std::string outcome = fmt::format(
      "The explanations of '{}' share one spot, and it is the watermark ({:.0f} % of it): without the mark "
      "the network finds {} of the {}s instead of {}, and with the mark it takes {} of all other shapes for "
      "{}s "
      "({} images, in brackets 95 % intervals).",
      classes[static_cast<std::size_t>(spot.label)], 100 * found, percent(after), classes[0], percent(before),
      percent(fooled), classes[0], kImages);
  report::Page page = start_page(kCleverHansDemo, outcome, holds);
  page.section("Right for the wrong reason");
  page.text(fmt::format(
      "On images like those it was trained on, the network is right on {} of the {}s. "
      "Their explanations (`{}`) show why. Every share is of {} images drawn anew, a quarter of them {}s.",
      percent(before), classes[0], kRecipe, kImages, classes[0]));
  add_examples(page, d, bare, maps, bare_maps, classes);
  page.section("How to find it without looking at every image");
  page.text(
      fmt::format("The shapes are somewhere else in every image, so the mean explanation of a class is "
                  "spread out, unless the class has a "
                  "fixed spot. Share of the mean explanation in its hottest {}x{} window:",
                  kWindow, kWindow));
  add_pictures(page, columns, means);
  page.table({"class", "images predicted", "% in the window", "window at (x, y)"}, rows,
             {false, true, true, true});
  page.section("What it shows");
  page.text(
      "Test accuracy cannot expose a shortcut that the test data contain, too. Explanations can, and an "
      "experiment confirms "
      "it: take the mark away, or add it, and the predictions follow the mark.");
  return {outcome,
          holds,
          std::move(page),
          {{"class", classes[static_cast<std::size_t>(spot.label)]},
           {"mark_in_window", found},
           {"window_share", shares},
           {"images", kImages},
           {"found_with_mark", before.mean},
           {"found_without_mark", after.mean},
           {"others_fooled_by_mark", fooled.mean},
           {"intervals",
            {{"found_with_mark", to_json(before)},
             {"found_without_mark", to_json(after)},
             {"others_fooled_by_mark", to_json(fooled)}}}}};
}

}  // namespace

const Demo kCleverHansDemo = {
    "clever-hans",
    "Explanations expose a network that is right for the wrong reason: it recognises a watermark instead of "
    "the shape.",
    "Lapuschkin et al. 2019, \"Unmasking Clever Hans predictors\"",
    run,
};

}  // namespace heatproof::demo
