// The blind spot of the axioms: an explanation that says nothing and passes them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/networks.h"
#include "select/statistics.h"
#include "validate/features.h"
#include "validate/metric.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kImages = 24;

struct Measured {
  std::string recipe;
  std::vector<double> conservation, positivity, continuity;  // per image
  std::vector<double> gains;                                 // relevance gain by removing pixels, per image
  Tensor heatmap;
  std::vector<double> curve;       // mean score while the most relevant patches go first
  std::vector<LedgerLine> ledger;  // empty where nothing is propagated
};

Measured measure(const Shapes& s, const std::string& text) {
  ExplainOptions options = s.options;
  options.ledger = true;
  Explainer explainer(s.network, {parse_recipe(text)}, options);
  std::vector<std::uint64_t> ids;
  for (const InputItem& item : s.set.items) ids.push_back(sample_id(item.hash));
  const Explanation explanation = explainer.explain(s.set.inputs, s.targets, ids);
  Evaluation e = evaluation_of(s, explanation.relevance[0]);
  e.explain = [&](const Tensor& x, auto targets, auto who) {
    return explainer.explain(x, targets, who).relevance[0];
  };
  const auto score = [&](const char* metric) { return evaluate(parse_metric(metric), e).values; };
  const Scores flipping = evaluate(parse_metric("pixel_flipping"), e);
  const auto& curves = flipping.curves.at("morf");
  std::vector<double> mean(curves[0].size(), 0);
  for (const auto& curve : curves) {
    for (std::size_t k = 0; k < curve.size(); ++k) mean[k] += curve[k] / static_cast<double>(curves.size());
  }
  return {text,
          score("conservation"),
          score("positivity"),
          score("continuity:neighbours=2,path=2"),
          flipping.values,
          e.heatmap,
          mean,
          explanation.ledger[0]};
}

/// Why z⁺, which conserves and is positive in a chain of ReLU layers, does neither exactly here: the books
/// say.
void add_explanation(report::Page& page, const Measured& m, const Shapes& s) {
  const double negative_share = mean_of(m.positivity);
  const double conserved = mean_of(m.conservation);
  if (negative_share < 1e-3 && std::fabs(conserved - 1) < 1e-3) return;
  double score = 0;
  for (std::int64_t i = 0; i < s.set.size(); ++i)
    score += row_of(s.logits, i)[static_cast<std::size_t>(s.targets[static_cast<std::size_t>(i)])] /
             static_cast<double>(s.set.size());
  double created = 0;
  const LedgerLine* most = nullptr;      // takes or creates most at its stabilizers
  const LedgerLine* negative = nullptr;  // lowest mean relevance
  for (const LedgerLine& line : m.ledger) {
    created -= mean_of(line.stabilized);
    if (most == nullptr || std::fabs(mean_of(line.stabilized)) > std::fabs(mean_of(most->stabilized)))
      most = &line;
    if (negative == nullptr || mean_of(line.entering) < mean_of(negative->entering)) negative = &line;
  }
  if (most == nullptr) return;
  std::string text = fmt::format(
      "Why `{}` is not exactly positive ({} of its relevance is negative) and conservative ({}): its proof "
      "takes relevance from neurons behind a ReLU, whose z is positive. This network adds skip connections "
      "to "
      "layers without a ReLU. Where one of the two terms is negative, sharing in proportion gives it "
      "negative "
      "relevance and the other more than the whole, and z⁺ hands the sign on.",
      m.recipe, report::number(negative_share, 2), report::number(conserved));
  if (mean_of(negative->entering) < 0)
    text += fmt::format(" It shows most at `{}`, which receives {} times the score.", negative->node,
                        report::number(mean_of(negative->entering) / score, 2));
  text += fmt::format(
      " A neuron there may also have no exciting input at all: its denominator is then zero, and what it "
      "received "
      "goes nowhere. That changes the sum by {} of the score, {} of it at `{}`.",
      report::number(created / score, 2), report::number(-mean_of(most->stabilized) / score, 2), most->node);
  page.text(text);
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

/// A row per recipe, and its numbers.
void add_table(report::Page& page, const std::vector<Measured>& rows, const Bootstrap& bootstrap,
               nlohmann::json& numbers) {
  std::vector<std::vector<std::string>> table;
  for (const Measured& m : rows) {
    const Interval gain = bootstrap.interval(m.gains);
    const Interval over = bootstrap.interval(minus(m.gains, rows[0].gains));
    table.push_back(
        {"<code>" + report::escape(m.recipe) + "</code>", interval_text(bootstrap.interval(m.conservation)),
         interval_text(bootstrap.interval(m.positivity)), interval_text(bootstrap.interval(m.continuity)),
         interval_text(gain), &m == rows.data() ? "" : interval_text(over)});
    numbers.push_back({{"recipe", m.recipe},
                       {"conservation", mean_of(m.conservation)},
                       {"positivity", mean_of(m.positivity)},
                       {"continuity", mean_of(m.continuity)},
                       {"relevance_gain", gain.mean},
                       {"relevance_gain_interval", to_json(gain)},
                       {"over_uniform", to_json(over)}});
  }
  page.section("Axioms and selectivity");
  page.text(fmt::format(
      "The shipped network; means, in brackets {}. Continuity: "
      "largest change of relevance per change of the input, smaller is smoother. Relevance gain: area "
      "between "
      "the flipping curves, least and most relevant patches first; over uniform: difference image by image.",
      report::intervals_over(kImages)));
  page.table({"recipe", "conservation", "negative share", "continuity", "relevance gain", "over uniform"},
             table, {false, true, true, true, true, true});
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options, kImages);
  std::vector<Measured> rows;
  for (const char* recipe :
       {"uniform", "lrp_epsilon_plus", "lrp_zplus:bias=ignore", "gradient_x_input", "random"})
    rows.push_back(measure(s, recipe));
  const Bootstrap bootstrap(kImages, options.seed);
  const auto gain_of = [](const Measured& m) { return mean_of(m.gains); };
  const Measured& uniform = rows[0];
  const Measured& best = *std::ranges::max_element(rows, {}, gain_of);
  std::vector<Figure> figures = {
      {"uniform: conservation", mean_of(uniform.conservation), 1, 1e-3},
      {"uniform: share of negative relevance", mean_of(uniform.positivity), 0, 1e-9}};
  const double smoothness = mean_of(uniform.continuity);
  const bool smoothest =
      std::ranges::all_of(rows, [&](const Measured& m) { return mean_of(m.continuity) >= smoothness; });
  const Interval lead = bootstrap.interval(minus(best.gains, uniform.gains));
  const bool exposed =
      best.recipe != "uniform" && lead.low > 0 && std::fabs(gain_of(uniform)) < 0.25 * gain_of(best);
  const bool holds = all_hold(figures) && smoothest && exposed;
  const std::string outcome = fmt::format(
      "On {} images `uniform` {} ({}), {} ({}) and {} ({}), yet its relevance gain is {} where `{}` has {}: "
      "removing "
      "pixels "
      "{}.",
      kImages, figures[0].holds() ? "conserves" : "does not conserve", report::number(figures[0].measured),
      figures[1].holds() ? "is positive" : "is not positive", report::number(figures[1].measured),
      smoothest ? "is smoother than all others" : "is not the smoothest", report::number(smoothness),
      interval_text(bootstrap.interval(uniform.gains), 2), best.recipe,
      interval_text(bootstrap.interval(best.gains)), exposed ? "exposes it" : "does not expose it here");
  report::Page page = start_page(kBlindspotDemo, outcome, holds);
  nlohmann::json numbers = nlohmann::json::array();
  add_table(page, rows, bootstrap, numbers);
  add_explanation(page, rows[2], s);
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
