// Measures the cells of a selection, group by group, and stores them; cells that are there are not measured
// again.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/input_stream.h"
#include "data/masks.h"
#include "explain/recipe_groups.h"
#include "store/results.h"
#include "validate/metric.h"

namespace heatproof {

/// The data of a selection, all N samples; inputs and masks are read again when they are needed.
struct SelectionData {
  const Network& network;
  const InputSource& source;
  const Masks& masks;
  std::vector<InputItem> items;
  std::vector<std::string> mask_hashes;  // SHA-256 of each mask; empty where there are none
  std::vector<std::int64_t> targets;
  Tensor logits;                     // [N, classes]
  std::vector<double> black, white;  // of the network's input, per channel; empty when unknown
  ExplainOptions explain;
  std::string model_hash;  // of everything but the input that scores depend on: model, output, preprocessing
};

/// Pooled heatmaps of (image, recipe).
using Heatmaps = std::map<std::pair<std::size_t, std::size_t>, std::vector<float>>;

class Measurement {
 public:
  static constexpr std::int64_t kGroup = 8;     // images that are explained and measured together
  static constexpr std::size_t kTogether = 32;  // samples that a metric sees at once, of several recipes

  Measurement(const SelectionData& data, const std::vector<Recipe>& recipes, std::uint64_t seed,
              Results& results);

  /// True where something of images × recipes × metrics is missing.
  bool misses(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
              const std::vector<MetricSpec>& metrics) const;
  /// Groups of images that will be measured, in this order; they are read ahead.
  void expect(std::vector<std::vector<std::size_t>> groups);
  /// Measures what is missing of images × recipes × metrics; calls `done` once per recipe and metric. Images
  /// are those of a group, or the first of them.
  void run(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
           const std::vector<MetricSpec>& metrics, const std::function<void()>& done);

  /// Images whose pooled heatmaps are kept when they are explained, for a report.
  void keep(std::vector<std::size_t> images) { kept_ = std::move(images); }
  const Heatmaps& heatmaps() const { return heatmaps_; }

  /// Scores that were measured; NaN where there is none.
  std::vector<double> scores(std::span<const std::size_t> images, std::size_t recipe,
                             const MetricSpec& metric) const;
  /// Mean curves over the images, by name.
  std::map<std::string, std::vector<double>> mean_curves(std::span<const std::size_t> images,
                                                         std::size_t recipe, const MetricSpec& metric) const;

 private:
  CellKey key(std::size_t image, std::size_t recipe, const MetricSpec& metric) const;
  Evaluation evaluation(std::span<const std::size_t> images);
  /// The inputs and masks of a group; those of the last one are kept.
  const InputSet& read(std::span<const std::size_t> images);
  /// Scores from `first` on are those of the images.
  void store(std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric,
             const Scores& scores, std::size_t first);
  /// Recipes and metrics that miss something on these images.
  using Missing = std::vector<std::pair<std::size_t, const MetricSpec*>>;
  /// Measures those of a group of recipes.
  void measure(std::span<const std::size_t> images, std::size_t group, const Missing& missing,
               const Evaluation& e, const std::function<void()>& done);
  /// One metric of recipes of a group, whose samples are put side by side: many passes at once are cheaper.
  void score(std::span<const std::size_t> images, std::size_t group, const std::vector<std::size_t>& recipes,
             const MetricSpec& metric, const Evaluation& one, const Explanation& explanation);
  /// How many explanations of moved inputs are kept.
  std::size_t most_moved(std::size_t group) const;
  /// Relevance of the recipe that comes `place`-th in the group.
  Tensor moved(std::size_t group, std::size_t place, const Tensor& inputs,
               std::span<const std::int64_t> targets, std::span<const std::uint64_t> ids);

  void keep_heatmaps(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
                     const Explanation& explanation);

  const SelectionData& data_;
  const std::vector<Recipe>& recipes_;
  std::uint64_t seed_;
  Results& results_;
  RecipeGroups groups_;
  InputShelf shelf_;
  Donors donors_;  // all samples
  std::unique_ptr<InputStream> stream_;
  std::deque<std::vector<std::size_t>> expected_;  // groups that the stream has yet to give
  std::vector<std::size_t> group_;                 // whose inputs are here
  InputSet inputs_;
  // What recipes of a group asked a metric's moved inputs about, by hash. What two ask for, all will: then it
  // is explained by all at once, and kept until the metric is through.
  std::set<std::string> asked_;
  std::map<std::string, Explanation> moved_;
  std::vector<std::size_t> kept_;
  Heatmaps heatmaps_;
};

}  // namespace heatproof
