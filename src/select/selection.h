// Selection: which recipe explains this network best on these images, with what certainty.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "select/measurement.h"
#include "select/ranking.h"
#include "select/reliability.h"
#include "select/statistics.h"
#include "select/verdict.h"

namespace heatproof {

struct SelectionOptions {
  std::string objective = "pixel_flipping";
  /// Measured beside the objective; those that explain other inputs are measured on few images only.
  std::vector<std::string> diagnostics = {"conservation", "positivity", "sparseness",
                                          "continuity:neighbours=2,path=2"};
  std::int64_t diagnostic_images = 8;
  double held_back = 0.25;    // share of the images that only confirm the winner; none below 12 images
  double budget_seconds = 0;  // stop adding images after this; 0: no limit
  std::uint64_t seed = 0;
  bool reliability = false;  // rank with other settings of the objective, too, on the diagnostic images
  std::int64_t shard = 0, shards = 1;  // this process measures every shards-th group of images
};

struct DiagnosticScores {
  MetricSpec metric;
  std::vector<std::vector<double>> scores;  // [recipe][image]
  Reliability reliability{};
};

/// The objective with another setting: how alike it orders the recipes, and which comes first.
struct Variant {
  MetricSpec metric;
  Interval agreement;  // Kendall's τ with the objective on the same images
  std::size_t best;    // recipe
};

/// What the winner scores on images that selection did not see.
struct Confirmation {
  std::size_t images = 0;
  Interval score{};
  Interval over_control{};  // how much better the winner is than the best control on the same images
  std::vector<OverControl> over_controls;  // and than each of them
};

struct Selection {
  std::vector<Recipe> recipes;
  MetricSpec objective;
  std::vector<std::size_t> images;          // indices of the samples that selection used
  std::vector<std::size_t> held_back;       // and of those that confirm
  std::vector<std::vector<double>> scores;  // [recipe][selection image], in the objective's own unit
  /// [recipe][selection image]: Σ relevance / score, which tells where relevance is not finite or explodes.
  std::vector<std::vector<double>> conservation;
  std::vector<std::map<std::string, std::vector<double>>> curves;  // per recipe: mean curves by name
  /// Best first, whichever direction is better; scores are the objective's own, a shortfall is positive where
  /// a recipe is worse.
  std::vector<Ranked> ranking;
  std::vector<DiagnosticScores> diagnostics;
  Reliability reliability{};      // of the objective
  std::vector<Variant> variants;  // empty unless asked for
  bool beats_controls = false;    // the best is no control and proven to be above every control
  std::vector<OverControl> over_controls;
  Interval over_control{};     // how much better the best method is than the best control
  bool confirmed = false;      // and above every control on the images that were held back, too
  bool cut_by_budget = false;  // time decided how many images there are
  Confirmation confirmation;
  std::vector<std::vector<double>> agreement;  // Kendall's τ between objective and diagnostics over recipes
  Heatmaps heatmaps;                           // of `exhibited` images, as far as they were explained for it
};

/// A few of the images that were selected on, for a report.
std::vector<std::size_t> exhibited(const Selection& s);

/// Throws UsageError where nothing could be selected: no recipes or images, unknown metrics, masks that miss.
void validate(const SelectionData& data, const std::vector<Recipe>& recipes, const SelectionOptions& options);

/// Progress: cells done, cells in all.
using ReportProgress = std::function<void(std::int64_t, std::int64_t)>;

/// Cells that are in `results` are not computed again. Throws as `validate` does.
Selection select(const SelectionData& data, const std::vector<Recipe>& recipes,
                 const SelectionOptions& options, Results& results, const ReportProgress& progress);

}  // namespace heatproof
