// Selection of γ: the area between flipping curves over γ, and the heatmaps along it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/networks.h"
#include "report/heatmap.h"
#include "select/statistics.h"
#include "validate/metric.h"

namespace heatproof::demo {

namespace {

constexpr std::size_t kShownImages = 3;

/// Heatmaps of a few images, a row per image and a column per γ.
void add_heatmaps(report::Page& page, const Shapes& s, const std::vector<double>& gammas,
                  const std::vector<Tensor>& maps) {
  std::vector<std::string> columns{"input"};
  for (double gamma : gammas) columns.push_back(fmt::format("γ = {:g}", gamma));
  std::vector<report::Picture> pictures;
  const std::size_t stride = static_cast<std::size_t>(s.set.size()) / kShownImages;
  for (std::size_t k = 0; k < kShownImages; ++k) {
    const std::size_t i = k * stride;
    pictures.push_back(
        {static_cast<int>(maps[0].shape()[1]), static_cast<int>(maps[0].shape()[2]), s.set.rgb[i]});
    for (const Tensor& map : maps) pictures.push_back(draw_map(map, static_cast<std::int64_t>(i)));
  }
  add_pictures(page, columns, pictures);
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options);
  const std::vector<double> gammas{0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1};
  std::vector<std::string> recipes;
  for (double gamma : gammas) recipes.push_back(fmt::format("deep_taylor:gamma={:g}", gamma));
  const auto relevance = explain(s.network, recipes, s.set.inputs, s.targets, s.options);
  std::vector<std::vector<double>> scores;
  std::vector<Tensor> maps;
  for (const Tensor& r : relevance) {
    const Evaluation e = evaluation_of(s, r);
    maps.push_back(e.heatmap);
    scores.push_back(evaluate(parse_metric("pixel_flipping"), e).values);
  }
  const auto ranking = rank(scores, options.seed);
  const std::size_t best = ranking[0].recipe;
  std::string ties;
  std::vector<std::vector<std::string>> table(gammas.size());
  std::vector<double> mean(gammas.size());
  for (const Ranked& r : ranking) {
    mean[r.recipe] = r.score.mean;
    if (r.in_best_set && r.recipe != best)
      ties += fmt::format("{}{:g}", ties.empty() ? "" : ", ", gammas[r.recipe]);
    table[r.recipe] = {fmt::format("{:g}", gammas[r.recipe]), report::number(r.score.mean),
                       fmt::format("{} … {}", report::number(r.score.low), report::number(r.score.high)),
                       r.recipe == best ? "best"
                       : r.in_best_set  ? "cannot be told from it"
                                        : ""};
  }
  const bool holds = best != gammas.size() - 1 && mean[best] > mean.back();
  const std::string outcome = fmt::format(
      "On the shipped network the best γ is {:g} (relevance gain {}{}); γ = 1, gradient × input up to "
      "biases, reaches {}.",
      gammas[best], report::number(mean[best]), ties.empty() ? "" : "; indistinguishable: " + ties,
      report::number(mean.back(), 2));
  report::Page page = start_page(kSelectionDemo, outcome, holds);
  page.section("Relevance gain over γ");
  add_chart(page, {gammas, {"relevance gain"}, {mean}, "gamma", "area between the flipping curves"});
  page.table({"γ", "relevance gain", "95 % interval", ""}, table, {true, true, true, false});
  page.section("Heatmaps along γ");
  add_heatmaps(page, s, gammas, maps);
  page.section("What it shows");
  page.text(
      "γ = 0 uses only what excites and is positive and smooth; γ = 1 uses everything and is as noisy as the "
      "gradient. Which γ is best is a question for an "
      "experiment on the network at hand: pixel-flipping answers it, with an interval.");
  return {outcome,
          holds,
          std::move(page),
          {{"gammas", gammas}, {"relevance_gain", mean}, {"best", gammas[best]}}};
}

}  // namespace

const Demo kSelectionDemo = {
    "selection",
    "Pixel-flipping selects the parameter of deep Taylor decomposition, and the best one lies below γ = 1.",
    "Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
