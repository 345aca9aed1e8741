// Continuity: the input slides by a pixel a frame; what does the explanation do?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/networks.h"
#include "select/statistics.h"
#include "validate/features.h"
#include "validate/motion.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kSteps = 8;    // measured, on every image
constexpr std::int64_t kFrames = 20;  // shown, of one image
const std::vector<std::string> kRecipes{"gradient", "gradient_x_input", "deep_taylor"};

/// Images as they are after k steps.
Tensor moved(const Shapes& s, const Tensor& images, std::int64_t k) {
  if (k == 0) return images;
  Tensor x = Tensor::empty(DType::f32, images.shape());
  for (std::int64_t i = 0; i < images.shape()[0]; ++i)
    move_image("translation", row_of(images, i), images.shape(), s.black, k, row_of(x, i));
  return x;
}

/// Σ|R(t+1) − R(t) moved along| / Σ|R(t)|: 0 for an explanation that moves with the input.
double flicker(std::span<const float> before, std::span<const float> after, const Shape& s) {
  std::vector<float> expected(before.size());
  move_image("translation", before, s, {}, 1, expected);
  double change = 0;
  double size = 0;
  for (std::size_t f = 0; f < before.size(); ++f) {
    // What slid in at the left edge has no past.
    if (f % static_cast<std::size_t>(s[3]) == 0) continue;
    change += std::fabs(static_cast<double>(after[f]) - expected[f]);
    size += std::fabs(before[f]);
  }
  return size > 0 ? change / size : 0;
}

/// Mean flicker over the steps, [recipe][image].
std::vector<std::vector<double>> measure(const Shapes& s) {
  std::vector<std::vector<double>> result(kRecipes.size(),
                                          std::vector<double>(static_cast<std::size_t>(s.set.size()), 0));
  std::vector<Tensor> before = explain(s.network, kRecipes, s.set.inputs, s.targets, s.options);
  for (std::int64_t k = 1; k <= kSteps; ++k) {
    const std::vector<Tensor> now =
        explain(s.network, kRecipes, moved(s, s.set.inputs, k), s.targets, s.options);
    for (std::size_t r = 0; r < kRecipes.size(); ++r) {
      for (std::int64_t i = 0; i < s.set.size(); ++i)
        result[r][static_cast<std::size_t>(i)] +=
            flicker(row_of(std::as_const(before[r]), i), row_of(now[r], i), s.set.inputs.shape()) / kSteps;
    }
    before = now;
  }
  return result;
}

std::vector<report::Frame> film(const Shapes& s) {
  const Tensor image = s.set.inputs.rows(0, 1);
  std::vector<Tensor> parts;
  for (std::int64_t k = 0; k < kFrames; ++k) parts.push_back(moved(s, image, k));
  const Tensor x = concatenate(parts);
  const auto relevance =
      explain(s.network, kRecipes, x, std::vector<std::int64_t>(kFrames, s.targets[0]), s.options);
  const int side = static_cast<int>(x.shape()[2]);
  std::vector<Tensor> maps;
  for (const Tensor& r : relevance) maps.push_back(pool_channels(r, Pool::sum));
  std::vector<report::Frame> frames;
  for (std::int64_t k = 0; k < kFrames; ++k) {
    report::Frame frame{{report::draw_input(row_of(x, k), 3, side, side, s.black, s.white)},
                        fmt::format("moved by {} pixel{}", k, k == 1 ? "" : "s")};
    for (const Tensor& map : maps) frame.pictures.push_back(draw_map(map, k));
    frames.push_back(std::move(frame));
  }
  return frames;
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options);
  const auto flickers = measure(s);
  const Bootstrap bootstrap(flickers[0].size(), options.seed);
  std::vector<std::vector<std::string>> rows;
  std::vector<double> means;
  for (std::size_t r = 0; r < kRecipes.size(); ++r) {
    const Interval i = bootstrap.interval(flickers[r]);
    means.push_back(i.mean);
    rows.push_back({"<code>" + kRecipes[r] + "</code>", report::number(i.mean),
                    fmt::format("{} … {}", report::number(i.low), report::number(i.high))});
  }
  const Interval gap = bootstrap.interval(minus(flickers[1], flickers[2]));
  const Interval gradient_gap = bootstrap.interval(minus(flickers[0], flickers[2]));
  const bool holds = gap.low > 0;
  const std::string outcome = fmt::format(
      "While the input slides by one pixel, gradient × input changes by {:.0f} % of its size, the gradient "
      "by "
      "{:.0f} %, and deep Taylor relevance by {:.0f} %; 200 % is the most there can be between maps of equal "
      "size.",
      100 * means[1], 100 * means[0], 100 * means[2]);
  report::Page page = start_page(kContinuityDemo, outcome, holds);
  page.section("A sliding input, frame by frame");
  std::vector<std::string> columns{"input"};
  columns.insert(columns.end(), kRecipes.begin(), kRecipes.end());
  page.animation(columns, film(s));
  page.section("Flicker");
  page.text(
      fmt::format("Σ|change of relevance from frame to frame, once it is moved along with the input| / "
                  "Σ|relevance|: 0 for an explanation that flows, at most 2 for maps of equal size (what was "
                  "there goes and as much comes elsewhere), 1.41 for independent noise of normal "
                  "distribution. Mean over {} steps; {}.",
                  kSteps, report::intervals_over(static_cast<std::size_t>(s.set.size()))));
  page.table({"method", "flicker", "95 % interval"}, rows, {false, true, true});
  page.text(fmt::format(
      "Image by image, gradient × input flickers more than deep Taylor by {}, the gradient by {} (means with "
      "95 % intervals of the paired differences){}.",
      interval_text(gap), interval_text(gradient_gap),
      gap.low > 0 && gradient_gap.low > 0 ? "" : ": not both differences are clear of zero"));
  page.section("What it shows");
  page.text(
      "Between two frames the network's decision hardly changes. The gradient does: ReLUs and max pooling "
      "switch, and each "
      "switch changes the gradient by a jump. Redistributing what the neurons contribute averages over the "
      "switches. Max "
      "pooling and strides keep even deep Taylor from moving exactly with the input.");
  return {outcome,
          holds,
          std::move(page),
          {{"recipes", kRecipes},
           {"flicker", means},
           {"over_deep_taylor", {to_json(gradient_gap), to_json(gap)}}}};
}

}  // namespace

const Demo kContinuityDemo = {
    "continuity",
    "Gradients flicker while the input moves; deep Taylor relevance flows with it.",
    "Montavon et al. 2018, sec. 7.1; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
