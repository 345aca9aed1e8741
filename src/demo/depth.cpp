// Depth: how gradient × input and LRP behave as networks grow, and how gradients shatter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/depth_lines.h"

namespace heatproof::demo {

namespace {

constexpr std::size_t kTen = 2;  // position of ten layers

void add_magnitudes(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Magnitude");
  page.text(fmt::format(
      "Median of Σ|relevance| / |score| over {} points of a line between two random inputs, and of that "
      "the median over {} lines (random networks: a new one for each), in three kinds of ReLU networks:",
      kPoints, kLines));
  std::string list = "<dl>";
  for (const Family& f : kinds)
    list += fmt::format("<dt>{}</dt><dd>{}</dd>", f.name, report::escape(f.about));
  page.html(list + "</dl>");
  LineChart chart{kDepths, {}, {}, "layers", "sum of |relevance| / |score|", true};
  std::vector<double> most(kDepths.size(), 0);
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    chart.names.push_back("gradient × input, " + kinds[f].name);
    chart.series.push_back(medians(curves[f].magnitude[0]));
    chart.dashed.push_back(false);
    for (std::size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], curves[f].magnitude[1][i].mean);
  }
  chart.names.emplace_back("z⁺, the largest of the three");
  chart.series.push_back(most);
  chart.dashed.push_back(true);
  add_chart(page, chart);
}

/// Which of the two is rougher at the greatest depth, and what the score does there.
std::string roughness_text(const Curves& c) {
  const Interval& gap = c.smoother.back();
  const bool alike = gap.low <= 0 && gap.high >= 0;
  std::string text = fmt::format(
      "At {:g} layers, gradient × input correlates with {} and z⁺ with {}; line by line, z⁺ minus gradient × "
      "input "
      "is {}: {}",
      kDepths.back(), interval_text(c.correlation[0].back(), 2), interval_text(c.correlation[1].back(), 2),
      interval_text(gap, 2),
      alike          ? "they cannot be told apart."
      : gap.mean > 0 ? "gradient × input is rougher."
                     : "z⁺ is rougher.");
  if (c.correlation[1].back().mean < 0.5 && c.score.back().mean < 0.5)
    text += fmt::format(
        " The function is rough, too: the score itself correlates with {} at that distance ({} at ten "
        "layers). An "
        "explanation of a function that is noise at this scale cannot be smooth at it.",
        interval_text(c.score.back(), 2), interval_text(c.score[kTen], 2));
  return text;
}

void add_roughness(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Roughness");
  page.text(fmt::format(
      "Correlation of the explanation with the one {} points further along the line: 1 where it changes "
      "slowly, 0 like white noise; medians over {} lines. Dashed: of the score itself.",
      kLag, kLines));
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    page.html(fmt::format("<h3>{}</h3>", kinds[f].name));
    add_chart(page, {kDepths,
                     {kDepthRecipes[0], kDepthRecipes[1], "score"},
                     {medians(curves[f].correlation[0]), medians(curves[f].correlation[1]),
                      medians(curves[f].score)},
                     "layers",
                     "correlation along the line",
                     false,
                     {false, false, true}});
    page.text(roughness_text(curves[f]));
  }
}

void add_regions(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Linear regions");
  LineChart chart{kDepths, {}, {}, "layers", "linear regions on the line", true};
  bool bounded = false;
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    chart.names.push_back(kinds[f].name);
    chart.series.push_back(medians(curves[f].regions));
    bounded |= std::ranges::count(curves[f].at_least, true) > 0;
  }
  page.text(
      fmt::format("How many linear regions of the network the line crosses; the gradient is constant in each "
                  "and jumps between them. Medians over the lines, counted on {} to {} points.{}",
                  kFine, kFinest,
                  bounded ? " Marked ≥ in the table: more than a quarter of the points lie in regions of "
                            "their own, so that the "
                            "sampling misses some; the true number is larger."
                          : ""));
  add_chart(page, chart);
}

void add_tables(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Figures");
  page.text(fmt::format(
      "Medians over {} lines; in brackets 96 % intervals of the median (the third smallest and the "
      "third largest value).",
      kLines));
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    const Curves& c = curves[f];
    std::vector<std::vector<std::string>> rows;
    for (std::size_t i = 0; i < kDepths.size(); ++i)
      rows.push_back({fmt::format("{:g}", kDepths[i]), interval_text(c.magnitude[0][i]),
                      interval_text(c.magnitude[1][i]), interval_text(c.correlation[0][i], 2),
                      interval_text(c.correlation[1][i], 2), interval_text(c.score[i], 2),
                      fmt::format("{}{:.0f} [{:.0f}, {:.0f}]", c.at_least[i] ? "≥ " : "", c.regions[i].mean,
                                  c.regions[i].low, c.regions[i].high)});
    page.html(fmt::format("<h3>{}</h3>", kinds[f].name));
    page.table({"layers", "Σ|R|/|f|, gradient × input", "z⁺", "correlation, gradient × input", "z⁺", "score",
                "linear regions"},
               rows, std::vector<bool>(7, true));
  }
}

nlohmann::json medians_of(const std::vector<std::vector<Interval>>& series) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& s : series) list.push_back(medians(s));
  return list;
}

nlohmann::json intervals_of(const std::vector<Interval>& series) {
  nlohmann::json list = nlohmann::json::array();
  for (const Interval& i : series) list.push_back({{"median", i.mean}, {"low", i.low}, {"high", i.high}});
  return list;
}

nlohmann::json to_json(const Family& family, const Curves& c) {
  return {{"family", family.name},
          {"lines", kLines},
          {"magnitude", medians_of(c.magnitude)},
          {"magnitude_intervals", {intervals_of(c.magnitude[0]), intervals_of(c.magnitude[1])}},
          {"correlation", medians_of(c.correlation)},
          {"correlation_intervals", {intervals_of(c.correlation[0]), intervals_of(c.correlation[1])}},
          {"zplus_smoother_by", intervals_of(c.smoother)},
          {"score_correlation", medians(c.score)},
          {"linear_regions", medians(c.regions)},
          {"linear_regions_are_at_least", c.at_least},
          {"gradient_growth", c.growth(0)},
          {"zplus_growth", c.growth(1)}};
}

std::string outcome_of(const std::vector<Curves>& curves, double per_layer) {
  const Curves& c = curves[0];
  const auto span = [](const Curves& of) {
    return fmt::format("{} to {}", report::number(of.magnitude[0].front().mean),
                       report::number(of.magnitude[0].back().mean));
  };
  const auto growing = std::ranges::count_if(curves, [](const Curves& of) { return of.growth(0) > 3; });
  const Interval& deep = c.smoother.back();
  return fmt::format(
      "From 2 to 50 layers, Σ|gradient × input| / |f| (medians over {} lines) goes from {} where activations "
      "keep "
      "their size (×{:.2f} per layer), from {} in He-initialised networks and from {} in trained ones{}; "
      "that of z⁺ "
      "stays at {}. Eight steps apart on a line, gradient × input correlates with {} ten layers deep, z⁺ "
      "with {}; "
      "fifty layers deep, with {} and {}{}.",
      kLines, span(c), per_layer, span(curves[1]), span(curves[2]),
      growing == 3 ? "" : fmt::format(": it grows in {} of the three", growing),
      report::number(c.magnitude[1].back().mean), interval_text(c.correlation[0][kTen], 2),
      interval_text(c.correlation[1][kTen], 2), interval_text(c.correlation[0].back(), 2),
      interval_text(c.correlation[1].back(), 2),
      deep.low <= 0 && deep.high >= 0 ? ", where they cannot be told apart" : "");
}

Result run(const Options& options) {
  const std::vector<Family> kinds = families(options);
  std::vector<Curves> curves;
  for (const Family& f : kinds) curves.push_back(measure(f, options.seed));
  const Curves& c = curves[0];
  const double per_layer = std::pow(c.growth(0), 1 / (kDepths.back() - kDepths.front()));
  const bool stays = std::ranges::all_of(curves, [](const Curves& of) { return of.growth(1) < 2; });
  const bool holds =
      c.growth(0) > 3 && stays && c.smoother[kTen].low > 0 && c.regions[kTen].mean > 2 * c.regions[0].mean;
  const std::string outcome = outcome_of(curves, per_layer);
  report::Page page = start_page(kDepthDemo, outcome, holds);
  add_magnitudes(page, kinds, curves);
  add_roughness(page, kinds, curves);
  add_regions(page, kinds, curves);
  add_tables(page, kinds, curves);
  page.section("What it shows");
  if (std::ranges::any_of(curves, [](const Curves& of) { return of.growth(0) <= 3; }))
    page.text(
        "The claim's growth is no matter of depth alone: it comes out where normalisation keeps inputs apart "
        "in every "
        "layer, so that their differences, and with them the gradient, are stretched again and again. Plain "
        "networks, "
        "whether before or after training, may let inputs become alike instead, and keep their gradients.");
  page.text(
      "The number of linear regions may grow exponentially with depth (Montúfar et al. 2014): the gradient "
      "jumps at "
      "every border, and its size is no measure of the score. How far a given network goes depends on its "
      "weights, "
      "which is why three kinds are measured. Relevance propagation redistributes a fixed amount in every "
      "layer.");
  nlohmann::json numbers{{"depths", kDepths},
                         {"recipes", kDepthRecipes},
                         {"magnitude", medians_of(c.magnitude)},
                         {"correlation", medians_of(c.correlation)},
                         {"linear_regions", medians(c.regions)},
                         {"gradient_growth", c.growth(0)},
                         {"gradient_growth_per_layer", per_layer},
                         {"zplus_growth", c.growth(1)},
                         {"families", nlohmann::json::array()}};
  for (std::size_t f = 0; f < kinds.size(); ++f) numbers["families"].push_back(to_json(kinds[f], curves[f]));
  return {outcome, holds, std::move(page), numbers};
}

}  // namespace

const Demo kDepthDemo = {
    "depth",
    "The magnitude and the roughness of gradient × input can grow exponentially with depth; LRP stays at the "
    "size of the score.",
    "Montúfar et al. 2014; Balduzzi et al. 2017; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
