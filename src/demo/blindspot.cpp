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
  return {text, score("conservation"), score("positivity"), score("continuity:neighbours=2,path=2"),
          score("pixel_flipping")};
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
