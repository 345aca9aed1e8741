#include "cli/check_axioms.h"

#include <algorithm>

namespace heatproof::cli {

namespace {

enum Where : unsigned { kSmall = 1, kLarge = 2, kEverywhere = 3, kImage = 4 };

struct Axiom {
  std::string metric;
  unsigned where;  // small or large inputs, or both; kImage: only where inputs are images
  std::string group, reading;
};

const std::vector<Axiom>& axioms() {
  static const std::vector<Axiom> all{
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
      {"input_invariance:measure=cosine", kEverywhere, "Input invariance", ""},
      {"selectivity:perturb_baseline=mean", kSmall, "Selectivity",
       "Mean height of the score's curve while all patches take the image's mean colour, most relevant "
       "first: "
       "low where relevance finds what the decision hangs on."},
      {"selectivity:patch_size=16,perturb_baseline=mean", kLarge, "Selectivity",
       "Mean height of the score's curve while all patches of 16 pixels take the image's mean colour, most "
       "relevant first: low where relevance finds what the decision hangs on."},
      {"pixel_flipping", kEverywhere, "Selectivity",
       "Symmetric relevance gain: area under the curve with the least relevant patches removed first, minus "
       "with the most relevant first (blurred). "
       "0 is chance."},
      {"pixel_flipping:order=morf", kEverywhere, "Selectivity",
       "The second of these areas alone: most relevant first. Low where relevance is right."},
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
           "explanations.";
  if (group == "Input invariance")
    return "1 − cosine of the explanations before and after all inputs are shifted while the first bias "
           "takes "
           "the shift back; 0 where "
           "the explanation does not mind.";
  return "Patches are removed by relevance while the score is watched. Relevance spread evenly has no order, "
         "so "
         "that its values are those of chance.";
}

}  // namespace

std::vector<std::string> axioms_of(bool image, bool small) {
  std::vector<std::string> wanted;
  for (const Axiom& a : axioms()) {
    if ((a.where & (small ? kSmall : kLarge)) != 0 && (image || (a.where & kImage) == 0))
      wanted.push_back(a.metric);
  }
  return wanted;
}

AxiomText text_of(const MetricSpec& metric) {
  const auto it = std::ranges::find(axioms(), metric.text, &Axiom::metric);
  if (it != axioms().end()) return {it->group, about_of(it->group), it->reading};
  AxiomText text{metric.metric->name, metric.metric->about, {}};
  if (metric.metric->name == "completeness" && metric.parameters.text("to") == "score")
    text.about = "|Σ relevance − f(x)|.";
  return text;
}

}  // namespace heatproof::cli
