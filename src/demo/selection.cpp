// Selection of γ: the area between flipping curves over γ, and the heatmaps along it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "demo/networks.h"
#include "report/heatmap.h"
#include "select/ranking.h"
#include "validate/features.h"
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

/// Relevance gains over γ of a rule, and how large its relevance gets.
struct Sweep {
  std::vector<Tensor> maps;
  std::vector<std::vector<double>> scores;  // [γ][image]
  std::vector<double> mean, largest;        // per γ; largest: over images of Σ|R| / |score|
};

Sweep sweep(const Shapes& s, const std::vector<std::string>& recipes) {
  Sweep result;
  const auto relevance = explain(s.network, recipes, s.set.inputs, s.targets, s.options);
  for (const Tensor& r : relevance) {
    const Evaluation e = evaluation_of(s, r);
    result.maps.push_back(e.heatmap);
    result.scores.push_back(evaluate(parse_metric("pixel_flipping"), e).values);
    result.mean.push_back(mean_of(result.scores.back()));
    double most = 0;
    for (std::int64_t i = 0; i < e.size(); ++i) {
      double sum = 0;
      for (float v : row_of(r, i)) sum += std::fabs(v);
      most = std::max(most, sum / std::fabs(e.target_logit(i)));
    }
    result.largest.push_back(most);
  }
  return result;
}

Interval by_gamma(const std::vector<Ranked>& ranking, std::size_t gamma) {
  return std::ranges::find(ranking, gamma, &Ranked::recipe)->score;
}

/// What is to be said of a best γ that has nothing tried on one side.
std::string edge_of(double best) {
  if (best == 0)
    return " That is an edge: no smaller γ exists, the rule is z⁺ there and keeps nothing that inhibits.";
  if (best == 1) return " That is an edge: no larger γ exists, the rule is LRP-0 there.";
  return "";
}

/// The explosion of the literal formula before sums, as measured, next to a rule that mirrors its weights.
void add_magnitudes(report::Page& page, const std::vector<double>& gammas, const Sweep& literal,
                    const Sweep& mirrored) {
  const auto worst =
      static_cast<std::size_t>(std::ranges::max_element(literal.largest) - literal.largest.begin());
  const double bound = std::max(literal.largest.front(), literal.largest.back());
  page.section("How large relevance gets");
  page.text(
      "Largest Σ|relevance| / |score| over the images. Dashed: `gamma` with γ' = 1/γ − 1, the same rule "
      "where "
      "contributions excite, which mirrors its weights where a layer's output is negative.");
  add_chart(page, {gammas,
                   {"deep Taylor, (1 − γ)·z⁺ + γ·z", "gamma, mirrored"},
                   {literal.largest, mirrored.largest},
                   "gamma",
                   "largest sum of |relevance| / |score|",
                   true,
                   {false, true}});
  std::string text =
      "A ReLU neuron that relevance reaches has z > 0, so that the rule's denominator (1 − γ)·z⁺ + γ·z is "
      "positive, too. Before the addition of a skip connection there is no ReLU: z may be negative there "
      "while "
      "z⁺ is positive, and for 0 < γ < 1 their mixture may come to nearly zero.";
  if (worst != 0 && worst != gammas.size() - 1 && literal.largest[worst] > 2 * bound)
    text += fmt::format(
        " Here it does: at γ = {:g} relevance reaches {} times the score, where γ = 0 has {} and γ = 1 {}. "
        "The mirrored rule has {} at that γ. Networks with skip connections need `lrp_gamma` (or γ = 0), not "
        "the literal "
        "formula.",
        gammas[worst], report::number(literal.largest[worst]), report::number(literal.largest.front()),
        report::number(literal.largest.back()), report::number(mirrored.largest[worst]));
  else
    text += " On these images it stays away from zero.";
  page.text(text);
}

/// The γ that cannot be told from the best, in words.
std::string ties_of(const std::vector<double>& gammas, const std::vector<Ranked>& ranking) {
  std::string ties;
  for (std::size_t k = 1; k < ranking.size(); ++k) {
    if (ranking[k].in_best_set)
      ties += fmt::format("{}{:g}", ties.empty() ? "; cannot be told from it: " : ", ",
                          gammas[ranking[k].recipe]);
  }
  return ties;
}

/// A row per γ.
std::vector<std::vector<std::string>> table_of(const std::vector<double>& gammas,
                                               const std::vector<Ranked>& ranking, const Sweep& mirrored) {
  std::vector<std::vector<std::string>> table(gammas.size());
  for (const Ranked& r : ranking) {
    const bool best = &r == ranking.data();
    table[r.recipe] = {fmt::format("{:g}", gammas[r.recipe]), interval_text(r.score),
                       best ? "best" : interval_text(r.shortfall),
                       r.in_best_set && !best ? "cannot be told from it" : "",
                       report::number(mirrored.mean[r.recipe])};
  }
  return table;
}

Result run(const Options& options) {
  const Shapes s = load_shapes(options);
  const std::vector<double> gammas{0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1};
  std::vector<std::string> recipes;
  std::vector<std::string> others;
  for (double gamma : gammas) {
    recipes.push_back(fmt::format("deep_taylor:gamma={:g},input=same", gamma));
    others.push_back(gamma == 0 ? "lrp_zplus" : fmt::format("lrp_gamma:gamma={:g}", 1 / gamma - 1));
  }
  const Sweep literal = sweep(s, recipes);
  const Sweep mirrored = sweep(s, others);
  const auto ranking = rank(literal.scores, options.seed);
  const std::size_t best = ranking[0].recipe;
  const auto table = table_of(gammas, ranking, mirrored);
  const std::string ties = ties_of(gammas, ranking);
  const Interval lead = Bootstrap(literal.scores[0].size(), options.seed)
                            .interval(minus(literal.scores[best], literal.scores.back()));
  const bool holds = best != gammas.size() - 1 && lead.low > 0;
  const std::string outcome = fmt::format(
      "On the shipped network, over {} images, the best γ is {:g} (relevance gain {}{}); γ = 1, LRP-0, which "
      "is "
      "gradient × input up to biases, reaches {}: image by image {} less.{}",
      s.set.size(), gammas[best], interval_text(ranking[0].score),
      ties.empty() ? "; all others are significantly worse" : ties,
      interval_text(by_gamma(ranking, gammas.size() - 1)), interval_text(lead), edge_of(gammas[best]));
  report::Page page = start_page(kSelectionDemo, outcome, holds);
  page.section("Relevance gain over γ");
  add_chart(page, {gammas,
                   {"deep Taylor", "gamma, mirrored (see below)"},
                   {literal.mean, mirrored.mean},
                   "gamma",
                   "area between the flipping curves",
                   false,
                   {false, true}});
  page.text(fmt::format(
      "`deep_taylor:gamma=γ,input=same`: the same rule in all layers, the first included. Relevance gain is "
      "`pixel_flipping` (patches of {} pixels, blurred; in units of the logit) on {} images. In brackets: "
      "{}; those "
      "of the shortfall are paired by image and hold for all pairs of γ at once: a γ cannot be told from the "
      "best where its interval contains zero.",
      usual_patch(s.set.inputs.shape()), s.set.size(),
      report::intervals_over(static_cast<std::size_t>(s.set.size()))));
  page.table({"γ", "relevance gain", "behind the best", "", "gamma, mirrored"}, table,
             {true, true, true, false, true});
  const auto others_ranking = rank(mirrored.scores, options.seed);
  const Ranked& other = others_ranking[0];
  page.text(fmt::format("With the mirrored rule in every layer, γ = {:g} is best ({}{}).",
                        gammas[other.recipe], interval_text(other.score), ties_of(gammas, others_ranking)));
  page.section("Heatmaps along γ");
  add_heatmaps(page, s, gammas, literal.maps);
  add_magnitudes(page, gammas, literal, mirrored);
  page.section("What it shows");
  page.text(
      "γ = 0 uses only what excites; γ = 1 uses everything and is as noisy as the gradient. Which γ is best "
      "is a "
      "question for an experiment on the network at hand: pixel-flipping answers it, with an interval.");
  return {outcome,
          holds,
          std::move(page),
          {{"gammas", gammas},
           {"relevance_gain", literal.mean},
           {"relevance_gain_mirrored", mirrored.mean},
           {"largest_magnitude", literal.largest},
           {"largest_magnitude_mirrored", mirrored.largest},
           {"images", s.set.size()},
           {"best", gammas[best]},
           {"over_last", to_json(lead)},
           {"at_the_edge", best == 0 || best == gammas.size() - 1}}};
}

}  // namespace

const Demo kSelectionDemo = {
    "selection",
    "Pixel-flipping selects the parameter of deep Taylor decomposition, and the best one lies below γ = 1.",
    "Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
