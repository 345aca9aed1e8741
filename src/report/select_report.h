// The report of `select`: which explanation to trust, and why.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "report/heatmap.h"

namespace heatproof::report {

/// A mean with its 95 % interval; NaN where there is none.
struct Estimate {
  double mean, low, high;
};

struct RankedRecipe {
  std::string recipe, about;
  Estimate score;
  double p = 1, effect = 0;
  Estimate shortfall{0, 0, 0};  // from the best, paired by image; positive where it is worse
  bool in_best_set = false, control = false, failed = false;
  bool explodes = false;  // sums to a hundred times the score or more on some image
  std::map<std::string, std::vector<double>> curves;  // mean flipping curves: "morf", "lerf"
  std::vector<Estimate> diagnostics;                  // mean per diagnostic
};

struct Diagnostic {
  std::string name, about, unit, better;
  std::size_t images = 0;  // that it was measured on
};

/// How far a metric can be trusted as a judge; NaN where it could not be measured.
struct TrustedMetric {
  std::string name;
  double between_images, split_half, above_random;
  double between_images_with_controls = NAN, split_half_with_controls = NAN;
};

/// The best recipe against one control; positive where the recipe is better.
struct AgainstControl {
  std::string control;
  Estimate lead{NAN, NAN, NAN};
  bool compared = false, beaten = false;  // on the images of the selection
  Estimate held_back{NAN, NAN, NAN};      // and on those that it did not see
  bool held_back_compared = false, held_back_beaten = false;
};

/// The objective with another setting, and Kendall's τ between its order of the recipes and the objective's.
struct VariedObjective {
  std::string name;
  Estimate agreement;
  std::string best;
};

/// One image with heatmaps of the shown recipes.
struct Exhibit {
  std::string name, label;
  double probability;
  Picture photo;
  std::vector<std::vector<float>> relevance;  // per shown recipe, H·W
  std::vector<double> scores;                 // of the objective, per shown recipe
};

struct SelectReport {
  std::string model;
  std::size_t images = 0;
  std::string objective, objective_about, objective_better;
  std::vector<RankedRecipe> ranking;  // best first
  bool beats_controls = false;
  Estimate over_control{};
  std::size_t confirmed_images = 0;  // that were held back
  Estimate confirmed{}, confirmed_over_control{};
  bool confirms = false;  // the best beats every control on them, too
  std::vector<AgainstControl> controls;
  std::string caveat;  // why the error rates may not hold; empty where they do
  std::vector<Diagnostic> diagnostics;
  std::vector<std::string> agreement_names;
  std::vector<std::vector<double>> agreement;
  std::vector<TrustedMetric> trusted;  // the objective, then the diagnostics
  std::vector<VariedObjective> varied;
  std::vector<std::pair<std::string, std::string>> shown;  // role ("best"), recipe
  std::vector<Exhibit> exhibits;
  std::vector<std::pair<std::string, std::string>> facts;    // how it was computed
  std::vector<std::pair<std::string, std::string>> skipped;  // file, reason
  std::string recipe_toml;
  std::vector<std::string> warnings;  // recipes that explode, or were left out, and why
};

/// The answer in a few sentences. "Use" is said only of what the images that were held back confirm.
std::string headline(const SelectReport& report);
/// Why the held-back images do not confirm that the best beats every control; empty where they do.
std::string unconfirmed_because(const SelectReport& report);
/// The page; equal reports give equal bytes.
std::string render(const SelectReport& report);

}  // namespace heatproof::report
