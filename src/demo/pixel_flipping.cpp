// Pixel-flipping: patches vanish, most relevant first, and the score falls; two explanations side by side.
#include <fmt/format.h>

#include <algorithm>

#include "demo/networks.h"
#include "select/statistics.h"
#include "validate/features.h"
#include "validate/flipping.h"
#include "validate/imputer.h"

namespace heatproof::demo {

namespace {

const std::vector<std::string> kRecipes{"lrp_epsilon_plus", "gradient"};
constexpr std::int64_t kSteps = 16;
constexpr std::int64_t kRandomOrders = 10;  // averaged per image
constexpr std::int64_t kShown = 3;          // image of the animation
const Flipping kHow{.patch = 4, .steps = kSteps, .order = "morf", .imputer = "blur", .score = "logit"};

std::vector<double> mean_curve(const std::vector<std::vector<double>>& curves) {
  std::vector<double> mean(curves[0].size(), 0);
  for (const auto& curve : curves) {
    for (std::size_t k = 0; k < curve.size(); ++k) mean[k] += curve[k] / static_cast<double>(curves.size());
  }
  return mean;
}

/// Input i after the patches of step k are gone.
report::Picture flipped(const Shapes& s, const Evaluation& e, const FlippingPath& path, std::int64_t i,
                        std::size_t k) {
  const Shape& shape = e.inputs.shape();
  Tensor x = e.inputs.rows(i, i + 1).clone();
  std::vector<std::size_t> pixels;
  for (std::int64_t p = 0; p < path.removed[k]; ++p) {
    const std::int64_t patch = path.orders[static_cast<std::size_t>(i)][static_cast<std::size_t>(p)];
    const std::int64_t top = patch / path.cols * path.patch_height;
    const std::int64_t left = patch % path.cols * path.patch_width;
    for (std::int64_t y = top; y < std::min(top + path.patch_height, shape[2]); ++y) {
      for (std::int64_t z = left; z < std::min(left + path.patch_width, shape[3]); ++z)
        pixels.push_back(static_cast<std::size_t>(y * shape[3] + z));
    }
  }
  imputer(kHow.imputer, e, i, path.patch_height)(x.data<float>(), pixels);
  return report::draw_input(x.data<float>(), 3, static_cast<int>(shape[2]), static_cast<int>(shape[3]),
                            s.black, s.white);
}

std::vector<report::Frame> film(const Shapes& s, const std::vector<Evaluation>& es,
                                const std::vector<Scores>& scores, std::int64_t i) {
  std::vector<FlippingPath> paths;
  for (const Evaluation& e : es) paths.push_back(flipping_path(e, kHow));
  std::vector<report::Frame> frames;
  for (std::size_t k = 0; k <= static_cast<std::size_t>(kSteps); ++k) {
    report::Frame frame;
    for (std::size_t r = 0; r < es.size(); ++r) {
      frame.pictures.push_back(draw_map(es[r].heatmap, i));
      frame.pictures.push_back(flipped(s, es[r], paths[r], i, k));
      frame.caption += fmt::format(
          "{}{}: score {:.2f}",
          r == 0 ? fmt::format("{:.0f} % removed. ", 100.0 * static_cast<double>(k) / kSteps) : ", ",
          kRecipes[r], scores[r].curves.at("morf")[static_cast<std::size_t>(i)][k]);
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

/// How much larger the area of `slow` is than that of `fast`, paired by image.
struct Pair {
  std::string slow, fast;
  Interval difference;
};

void add_pairs(report::Page& page, const std::vector<Pair>& pairs) {
  page.text(
      "Images differ more from each other than orders do, so that the intervals above may overlap. What "
      "decides "
      "is the difference on the same image:");
  std::vector<std::vector<std::string>> rows;
  for (const Pair& p : pairs)
    rows.push_back(
        {fmt::format("<code>{}</code> − <code>{}</code>", p.slow, p.fast), report::number(p.difference.mean),
         fmt::format("{} … {}", report::number(p.difference.low), report::number(p.difference.high)),
         p.difference.low > 0    ? "the second is faster"
         : p.difference.high < 0 ? "the first is faster"
                                 : "cannot be told apart"});
  page.table({"area minus area, paired by image", "mean", "95 % interval", ""}, rows,
             {false, true, true, false});
}

nlohmann::json to_json(const std::vector<Pair>& pairs) {
  nlohmann::json list = nlohmann::json::array();
  for (const Pair& p : pairs) {
    list.push_back(demo::to_json(p.difference));
    list.back().update({{"slow", p.slow}, {"fast", p.fast}});
  }
  return list;
}

/// One image's film, and how its score falls.
void add_film(report::Page& page, const Shapes& s, const std::vector<Evaluation>& es,
              const std::vector<Scores>& scores, const std::vector<double>& removed) {
  page.section("Patch by patch");
  page.text("The dots in the chart are the frame that is shown.");
  page.animation({kRecipes[0], "its flipped input", kRecipes[1], "its flipped input"},
                 film(s, es, scores, kShown), true);
  add_chart(page, {removed,
                   kRecipes,
                   {scores[0].curves.at("morf")[kShown], scores[1].curves.at("morf")[kShown]},
                   "share of the image removed",
                   "score of this image"});
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options);
  const auto relevance = explain(s.network, kRecipes, s.set.inputs, s.targets, s.options);
  std::vector<Evaluation> es;
  std::vector<Scores> scores;
  for (const Tensor& r : relevance) {
    es.push_back(evaluation_of(s, r));
    scores.push_back(flip(es.back(), kHow));
  }
  Flipping chance = kHow;
  chance.order = "random";
  chance.orders = kRandomOrders;
  const Scores random = flip(es[0], chance);
  std::vector<std::vector<double>> curves{mean_curve(scores[0].curves.at("morf")),
                                          mean_curve(scores[1].curves.at("morf")),
                                          mean_curve(random.curves.at("random"))};
  const Bootstrap bootstrap(random.values.size(), options.seed);
  std::vector<std::vector<std::string>> rows;
  std::vector<double> areas;
  const std::vector<std::string> names{kRecipes[0], kRecipes[1], "random order"};
  for (std::size_t r = 0; r < names.size(); ++r) {
    const Interval i = bootstrap.interval(r < 2 ? scores[r].values : random.values);
    areas.push_back(i.mean);
    rows.push_back({"<code>" + names[r] + "</code>", report::number(i.mean),
                    fmt::format("{} … {}", report::number(i.low), report::number(i.high))});
  }
  const std::vector<Pair> pairs{
      {names[2], names[0], bootstrap.interval(minus(random.values, scores[0].values))},
      {names[2], names[1], bootstrap.interval(minus(random.values, scores[1].values))},
      {names[1], names[0], bootstrap.interval(minus(scores[1].values, scores[0].values))}};
  const bool holds = std::ranges::all_of(pairs, [](const Pair& p) { return p.difference.low > 0; });
  const std::string outcome = fmt::format(
      "With the most relevant patches removed first, the area under the score's curve is {} for "
      "lrp_epsilon_plus, {} for the gradient, and {} in random order ({} images); {}.",
      report::number(areas[0]), report::number(areas[1]), report::number(areas[2]), s.set.size(),
      holds ? "image by image, the 95 % interval of each difference is clear of zero"
            : "image by image, not every difference is clear of zero");
  report::Page page = start_page(kPixelFlippingDemo, outcome, holds);
  std::vector<double> removed;
  for (std::int64_t k = 0; k <= kSteps; ++k) removed.push_back(static_cast<double>(k) / kSteps);
  add_film(page, s, es, scores, removed);
  page.section("The falling score over all images");
  page.text(
      fmt::format("The shipped network on {} images. Patches of {}x{} pixels are removed in {} steps "
                  "(imputer `{}`), and the "
                  "logit of the predicted class is watched; random order: the mean of {} orders per image. "
                  "Areas are in units "
                  "of the logit. {}.",
                  s.set.size(), kHow.patch, kHow.patch, kSteps, kHow.imputer, kRandomOrders,
                  report::intervals_over(static_cast<std::size_t>(s.set.size()))));
  add_chart(page, {removed, names, curves, "share of the image removed", "mean score of the target"});
  page.table({"order", "area under the curve", "95 % interval"}, rows, {false, true, true});
  add_pairs(page, pairs);
  page.section("What it shows");
  page.text(
      "An explanation that knows what the decision hangs on makes the score fall early. The order is all "
      "that counts: signed "
      "gradients put pixels first that would raise the score if they were brighter, whether or not they are, "
      "and pixels that "
      "matter with a negative sign last.");
  return {outcome,
          holds,
          std::move(page),
          {{"orders", names}, {"areas", areas}, {"curves", curves}, {"differences", to_json(pairs)}}};
}

}  // namespace

const Demo kPixelFlippingDemo = {
    "pixel-flipping",
    "Removing what an explanation calls relevant makes the score fall, faster for a better explanation and "
    "slowest in random "
    "order.",
    "Bach et al. 2015; Samek et al. 2017; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
