// Measures the cells of a selection, group by group, and stores them; cells that are there are not measured
// again.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/input_stream.h"
#include "data/masks.h"
#include "explain/explainer.h"
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
  /// One metric of recipes whose samples are put side by side: many passes at once are cheaper.
  void measure(const Evaluation& one, const Explanation& explanation, std::span<const std::size_t> images,
               const std::vector<std::size_t>& recipes, const MetricSpec& metric);
  /// Scores from `first` on are those of the images.
  void store(std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric,
             const Scores& scores, std::size_t first);
  Tensor moved(std::size_t recipe, const Tensor& inputs, std::span<const std::int64_t> targets,
               std::span<const std::uint64_t> ids);

  const SelectionData& data_;
  const std::vector<Recipe>& recipes_;
  std::uint64_t seed_;
  Results& results_;
  Explainer explainer_;
  InputShelf shelf_;
  Donors donors_;  // all samples
  std::unique_ptr<InputStream> stream_;
  std::deque<std::vector<std::size_t>> expected_;  // groups that the stream has yet to give
  std::vector<std::size_t> group_;                 // whose inputs are here
  InputSet inputs_;
  // Explanations of moved inputs: every recipe is asked about the same ones in turn. Equal ids alone do not
  // make equal inputs (metrics move the same samples differently) or targets.
  Tensor moved_inputs_;
  std::vector<std::int64_t> moved_targets_;
  std::vector<std::uint64_t> moved_ids_;
  Explanation moved_;
};

}  // namespace heatproof
