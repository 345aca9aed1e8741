#include "cli/check_axioms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "validate/features.h"

namespace heatproof::cli {

namespace {

// Which inputs a row is for: small or large ones, images only, those of several patches, those with masks.
enum Where : unsigned { kSmall = 1, kLarge = 2, kEverywhere = 3, kImage = 4, kPatches = 8, kMasks = 16 };

/// A row as it is written down; {patch} and {shift} depend on the inputs.
struct Template {
  std::string metric;
  unsigned where;  // small or large inputs, or both; kImage: only where inputs are images
  std::string group, reading;
};

const std::vector<Template>& templates() {
  static const std::vector<Template> all{
      {"conservation", kEverywhere, "Conservation", "Sum of relevance / score of the target."},
      {"completeness:to=score", kEverywhere, "Conservation",
       "|Σ relevance − f(x)|: the same gap, in units of the score."},
      {"completeness:perturb_baseline=mean", kEverywhere, "Conservation",
       "|Σ relevance − (f(x) − f(mean of each channel))|: what methods with a baseline promise (with respect "
       "to theirs); "
       "others need not be near 0."},
      {"positivity", kEverywhere, "Positivity", ""},
      {"sensitivity_a:features=64", kEverywhere, "Sensitivity",
       "Of 64 features whose replacement alone changes the score, the share that has no relevance."},
      {"sensitivity_b:features=64", kEverywhere, "Sensitivity",
       "Share of |relevance| on features whose replacement never changes the score."},
      {"continuity:ascent=8", kSmall, "Continuity", "Over noisy neighbours, and ascent from the worst."},
      {"continuity:ascent=4,path=2", kLarge, "Continuity",
       "Over noisy neighbours, ascent from the worst, and steps to the side."},
      {"continuity:neighbours=0,motion=rotation", kEverywhere | kImage, "Continuity",
       "While the image turns by 2° a step."},
      {"continuity:neighbours=0,motion=brightness", kEverywhere | kImage, "Continuity",
       "While it brightens by 3 % a step."},
      {"input_invariance:measure=cosine,input_shift={shift}", kEverywhere, "Input invariance",
       "The shift is the range of the inputs."},
      {"selectivity:patch_size={patch},perturb_baseline=mean,orders=10", kEverywhere | kPatches,
       "Selectivity",
       "Mean height of the score's curve while all patches take the image's mean colour, most relevant "
       "first: low where relevance finds what the decision hangs on."},
      {"pixel_flipping", kEverywhere | kPatches, "Selectivity",
       "Symmetric relevance gain: area under the curve with the least relevant patches removed first, minus "
       "with the most relevant first (blurred). "
       "0 is chance."},
      {"pixel_flipping:order=morf,orders=10", kEverywhere | kPatches, "Selectivity",
       "The second of these areas alone: most relevant first. Low where relevance is right."},
      {"pointing_game", kEverywhere | kMasks, "Localisation", "The most relevant pixel lies in the mask."},
      {"relevance_rank_accuracy", kEverywhere | kMasks, "Localisation",
       "Of the K most relevant pixels, K being the mask's size, the share that lies in the mask."},
      {"relevance_mass_accuracy", kEverywhere | kMasks, "Localisation",
       "Share of the positive relevance that lies in the mask."},
  };
  return all;
}

std::string about_of(const std::string& group) {
  if (group == "Conservation") return "Relevance sums to what it explains: nothing is created or lost.";
  if (group == "Positivity")
    return "Share of |relevance| that is negative; 0 where only evidence in favour is found.";
  if (group == "Sensitivity") return "What matters has relevance, and what does not matter has none.";
  if (group == "Continuity")
    return "Largest change of relevance (L1) per change of the input (L2): small where like inputs get like "
           "explanations. It is not relative to the size of relevance: an explanation that loses relevance "
           "(see "
           "conservation) changes less for that reason alone.";
  if (group == "Input invariance")
    return "1 − cosine of the explanations before and after all inputs are shifted while the first bias "
           "takes "
           "the shift back; 0 where "
           "the explanation does not mind.";
  if (group == "Localisation") return "Does relevance lie where the masks say that the evidence is?";
  return "Patches are removed by relevance while the score is watched. Relevance spread evenly has no order, "
         "so "
         "that its values are those of chance.";
}

/// The least and the largest of those that are numbers; NaN where none is.
std::pair<double, double> range_of(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) return {NAN, NAN};
  const auto [least, most] = std::ranges::minmax(values);
  return {least, most};
}

std::string filled(std::string text, const std::string& mark, const std::string& value) {
  const std::size_t at = text.find(mark);
  return at == std::string::npos ? text : text.replace(at, mark.size(), value);
}

}  // namespace

std::vector<AxiomRow> axioms_of(const AboutInputs& inputs, std::vector<LeftOut>& left_out) {
  const Shape& shape = inputs.shape;
  const bool image = shape.rank() == 4;
  const bool small = shape.elements() < 20000;
  std::vector<AxiomRow> wanted;
  for (const Template& t : templates()) {
    if ((t.where & (small ? kSmall : kLarge)) == 0 || (!image && (t.where & kImage) != 0)) continue;
    if ((t.where & kMasks) != 0 && !inputs.masks) continue;
    const std::string text = filled(filled(t.metric, "{patch}", std::to_string(usual_patch(shape))),
                                    "{shift}", fmt::format("{:.6g}", -inputs.range));
    if ((t.where & kPatches) != 0 && longer_side(shape) < 2) {
      left_out.push_back({text, "the input is a single feature, so that there is no order to remove it in"});
      continue;
    }
    wanted.push_back({text, {t.group, about_of(t.group), t.reading}});
  }
  return wanted;
}

AxiomRow row_of_metric(const std::string& metric) {
  const MetricSpec m = parse_metric(metric);
  const auto it = std::ranges::find(templates(), m.text, &Template::metric);
  if (it != templates().end()) return {m.text, {it->group, about_of(it->group), it->reading}};
  AxiomText text{m.metric->name, m.metric->about, {}};
  if (m.metric->name == "completeness" && m.parameters.text("to") == "score")
    text.about = "|Σ relevance − f(x)|.";
  return {m.text, text};
}

std::string Axiom::label() const {
  if (!rewrites() || metric.text.find("rewrite=") != std::string::npos) return metric.text;
  return fmt::format("{}{}rewrite={}", metric.text, metric.text.find(':') == std::string::npos ? ":" : ",",
                     metric.parameters.text("rewrite"));
}

void RowScores::add(const Evaluation& e, const Evaluation* uniform) {
  const MetricSpec metric = parse_metric(row.metric);
  const auto measured = evaluate(metric, e).values;
  scores.insert(scores.end(), measured.begin(), measured.end());
  if (uniform == nullptr) return;
  const auto chance = evaluate(metric, *uniform).values;
  control.insert(control.end(), chance.begin(), chance.end());
}

Axiom RowScores::axiom(const Network& network, std::uint64_t seed) const {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const MetricSpec metric = parse_metric(row.metric);
  const auto [least, most] = range_of(scores);
  const Bootstrap bootstrap(scores.size(), seed);
  const auto interval = [&](const std::vector<double>& values) {
    const bool finite = std::ranges::all_of(values, [](double v) { return std::isfinite(v); });
    return finite ? bootstrap.interval(values) : Interval{mean_of(values), kNaN, kNaN};
  };
  Axiom axiom{metric, row.text, scores, interval(scores), least, most, kNaN, {kNaN, kNaN, kNaN}, {}};
  if (metric.metric->name == "implementation_invariance")
    axiom.coverage =
        coverage(find_equivalent(metric.parameters.text("rewrite")), network.graph(network.unit()));
  if (control.empty()) return axiom;
  axiom.uniform = mean_of(control);
  std::vector<double> better;
  for (std::size_t i = 0; i < scores.size(); ++i)
    better.push_back(goodness(metric, scores[i]) - goodness(metric, control[i]));
  axiom.over_uniform = interval(better);
  return axiom;
}

}  // namespace heatproof::cli
