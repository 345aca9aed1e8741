// The blind spot of the axioms: an explanation that says nothing and passes them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/networks.h"
#include "select/statistics.h"
#include "validate/metric.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kImages = 24;

struct Measured {
  std::string recipe;
  double conservation, positivity, continuity, selectivity;
  Tensor heatmap;
  std::vector<double> curve;  // mean score while the most relevant patches go first
};

Measured measure(const Shapes& s, const std::string& text) {
  Explainer explainer(s.network, {parse_recipe(text)}, s.options);
  const auto explain = [&](const Tensor& x, auto targets, auto ids) {
    return explainer.explain(x, targets, ids).relevance[0];
  };
  std::vector<std::uint64_t> ids;
  for (const InputItem& item : s.set.items) ids.push_back(sample_id(item.hash));
  Evaluation e = evaluation_of(s, explain(s.set.inputs, s.targets, ids));
  e.explain = explain;
  const auto score = [&](const char* metric) { return mean_of(evaluate(parse_metric(metric), e).values); };
  const auto curves = evaluate(parse_metric("pixel_flipping"), e).curves.at("morf");
  std::vector<double> mean(curves[0].size(), 0);
  for (const auto& curve : curves) {
    for (std::size_t k = 0; k < curve.size(); ++k) mean[k] += curve[k] / static_cast<double>(curves.size());
  }
  return {text,
          score("conservation"),
          score("positivity"),
          score("continuity:neighbours=2,path=2"),
          score("pixel_flipping"),
          e.heatmap,
          mean};
}

/// Heatmaps of two images, and the falling scores.
void add_pictures_and_curves(report::Page& page, const Shapes& s, const std::vector<Measured>& rows) {
  std::vector<std::string> columns{"input"};
  std::vector<std::string> names;
  std::vector<std::vector<double>> curves;
  for (const Measured& m : rows) {
    columns.push_back(m.recipe);
    names.push_back(m.recipe);
    curves.push_back(m.curve);
  }
  std::vector<report::Picture> pictures;
  for (const std::int64_t i : {0, 3}) {
    const Shape& shape = rows[0].heatmap.shape();
    pictures.push_back(
        {static_cast<int>(shape[1]), static_cast<int>(shape[2]), s.set.rgb[static_cast<std::size_t>(i)]});
    for (const Measured& m : rows) pictures.push_back(draw_map(m.heatmap, i));
  }
  page.section("What it looks like");
  add_pictures(page, columns, pictures);
  page.section("What removing pixels says");
  std::vector<double> removed;
  for (std::size_t k = 0; k < curves[0].size(); ++k)
    removed.push_back(static_cast<double>(k) / static_cast<double>(curves[0].size() - 1));
  add_chart(page, {removed, names, curves, "share of the image removed, most relevant first",
                   "mean score of the target"});
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options, kImages);
  std::vector<Measured> rows;
  for (const char* recipe :
       {"uniform", "lrp_epsilon_plus", "lrp_zplus:bias=ignore", "gradient_x_input", "random"})
    rows.push_back(measure(s, recipe));
  const Measured& uniform = rows[0];
  const Measured& best = *std::ranges::max_element(rows, {}, &Measured::selectivity);
  std::vector<Figure> figures = {{"uniform: conservation", uniform.conservation, 1, 1e-3},
                                 {"uniform: share of negative relevance", uniform.positivity, 0, 1e-9}};
  const bool smoothest =
      std::ranges::all_of(rows, [&](const Measured& m) { return m.continuity >= uniform.continuity; });
  const bool exposed = best.recipe != "uniform" && std::fabs(uniform.selectivity) < 0.25 * best.selectivity;
  const bool holds = all_hold(figures) && smoothest && exposed;
  const std::string outcome = fmt::format(
      "uniform conserves ({}), is positive ({}) and smoother than all others ({}), yet its relevance gain is "
      "{} where {} has {}: only "
      "removing pixels exposes it.",
      report::number(uniform.conservation), report::number(uniform.positivity),
      report::number(uniform.continuity), report::number(uniform.selectivity, 2), best.recipe,
      report::number(best.selectivity));
  report::Page page = start_page(kBlindspotDemo, outcome, holds);
  page.section("Axioms and selectivity");
  page.text(fmt::format(
      "The shipped network on {} images; means. Continuity: largest change of relevance per change of the "
      "input, smaller is "
      "smoother. Relevance gain: area between the flipping curves, least and most relevant patches first.",
      kImages));
  std::vector<std::vector<std::string>> table;
  nlohmann::json numbers = nlohmann::json::array();
  for (const Measured& m : rows) {
    table.push_back({"<code>" + report::escape(m.recipe) + "</code>", report::number(m.conservation),
                     report::number(m.positivity), report::number(m.continuity),
                     report::number(m.selectivity)});
    numbers.push_back({{"recipe", m.recipe},
                       {"conservation", m.conservation},
                       {"positivity", m.positivity},
                       {"continuity", m.continuity},
                       {"relevance_gain", m.selectivity}});
  }
  page.table({"recipe", "conservation", "negative share", "continuity", "relevance gain"}, table,
             {false, true, true, true, true});
  add_pictures_and_curves(page, s, rows);
  page.section("What it shows");
  page.text(
      "Axioms are necessary, not sufficient. Spreading the score evenly over all pixels fulfils "
      "conservation, positivity and continuity and "
      "explains nothing. An experiment on the network, such as pixel-flipping, has to be part of every "
      "validation.");
  return {outcome, holds, std::move(page), {{"figures", to_json(figures)}, {"recipes", numbers}}};
}

}  // namespace

const Demo kBlindspotDemo = {
    "blindspot",
    "An explanation that spreads relevance evenly passes conservation, positivity and continuity; only "
    "selectivity exposes it.",
    "Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
