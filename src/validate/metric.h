// What a metric is: one declaration in a file of its own, and one line in registry.cpp.
//
//   const Metric kSparseness = {.name = "sparseness", ..., .score = [](const Sample& s, const Parameters&) {
//   ... }};
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/spec.h"
#include "explain/network.h"
#include "heatproof/tensor.h"

namespace heatproof {

enum class Group { faithfulness, axiom, robustness, localisation, complexity, randomisation };
enum class Better { higher, lower, one };

/// A sample's number in random streams, from the SHA-256 of its input: it stays when images are added or
/// reordered.
std::uint64_t sample_id(std::string_view hash);

std::string to_string(Group group);
std::string to_string(Better better);

/// Explains other inputs with the recipe under test: inputs [N, ...], targets, sample ids → relevance in the
/// inputs' shape.
using Reexplain =
    std::function<Tensor(const Tensor&, std::span<const std::int64_t>, std::span<const std::uint64_t>)>;

/// The same on another network (rewritten, randomised).
using ExplainOn = std::function<Tensor(const Network&, const Tensor&, std::span<const std::int64_t>,
                                       std::span<const std::uint64_t>)>;

/// Samples that metrics may borrow: numbers, predictions, and how one is read, [1, ...].
struct Donors {
  std::vector<std::uint64_t> ids;
  std::vector<std::int64_t> classes;
  std::function<Tensor(std::int64_t)> sample;
};

/// Samples of which something was not finite on the way to a score: the relevance of another input or
/// network, or the scores of a changed input. Safe to mark from several threads.
class Spoiled {
 public:
  explicit Spoiled(std::int64_t samples) : marks_(static_cast<std::size_t>(samples)) {}
  void mark(std::int64_t sample) { marks_[static_cast<std::size_t>(sample)] = true; }
  bool at(std::int64_t sample) const { return marks_[static_cast<std::size_t>(sample)]; }

 private:
  std::vector<std::atomic<bool>> marks_;
};

/// Samples that are evaluated together.
struct Evaluation {
  const Network& network;
  Tensor inputs;  // [N, ...]
  std::vector<std::int64_t> targets;
  Tensor relevance;                  // in the inputs' shape, signed
  Tensor heatmap;                    // [N, H, W]: channels pooled
  Tensor logits;                     // [N, classes]
  Tensor masks;                      // [N, H, W]; undefined where none were given
  std::vector<double> black, white;  // network values of black and white, per channel; empty when unknown
  Reexplain explain = {};            // empty where attributions came from a file
  ExplainOn explain_on = {};         // likewise
  std::uint64_t seed = 0;
  std::vector<std::uint64_t> ids;  // sample numbers, for random streams
  // All samples of the data set, asked for when a metric borrows; empty: these samples are all.
  std::function<const Donors&()> donors = {};
  // True where heatmaps were given, and `relevance` repeats them for every channel (as Quantus does).
  bool pixelwise = false;
  /// Given by `evaluate`, which makes NaN of the scores of samples that are marked.
  std::shared_ptr<Spoiled> spoiled = {};

  std::int64_t size() const { return inputs.shape()[0]; }
  RandomStream random(std::string_view metric, std::int64_t sample) const {
    return RandomStream(seed, {metric}, ids[static_cast<std::size_t>(sample)]);
  }
  double target_logit(std::int64_t i) const;
  /// What explains: relevance, or the heatmap where that is all that was given.
  const Tensor& given() const { return pixelwise ? heatmap : relevance; }
  /// A number that the score of a sample is made of; marks the sample where it is not finite.
  double seen(std::int64_t sample, double value) const;
  /// The same of a row of a network's scores, of which the prediction is taken.
  void see_scores(std::int64_t sample, std::span<const float> scores) const;
};

/// Some samples of an evaluation, which go on borrowing from all.
Evaluation part_of(const Evaluation& e, const std::vector<std::int64_t>& samples);

/// Whether a network's scores say what it predicts: no NaN, and nothing is infinitely likely.
bool tells_prediction(std::span<const float> scores);

/// One sample, for metrics that look at one at a time.
struct Sample {
  std::span<const float> relevance;  // flat
  std::span<const float> heatmap;    // H·W
  std::span<const float> mask;       // H·W; empty where there is none
  std::int64_t height, width;
  double target_logit;
};
Sample sample_of(const Evaluation& e, std::int64_t i);

struct Scores {
  std::vector<double> values;                                           // one per sample
  std::map<std::string, std::vector<std::vector<double>>> curves = {};  // by name, one per sample
};

struct Metric {
  std::string name;
  Group group;
  Better better;
  std::string unit;
  std::string source;
  std::string about;
  std::vector<Parameter> parameters = {};
  /// Other settings that are as defensible as the defaults, "key=value"; they show how much a ranking hangs
  /// on the metric's parameters.
  std::vector<std::string> variants = {};
  bool needs_masks = false;
  bool needs_explainer = false;
  bool compares_samples = false;  // a sample's score hangs on the other samples
  /// Scores relevance that is zero everywhere, too; others have nothing to go by there, and give NaN.
  bool scores_zero = false;
  /// One of the two.
  double (*score)(const Sample&, const Parameters&) = nullptr;
  Scores (*score_all)(const Evaluation&, const Parameters&) = nullptr;
  /// For metrics whose parameters turn them around.
  Better (*direction)(const Parameters&) = nullptr;
};

const std::vector<const Metric*>& metrics();

/// A metric with its parameters, as one word.
struct MetricSpec {
  const Metric* metric = nullptr;
  Parameters parameters;
  std::string text;

  /// True where a sample's score hangs on the others that are evaluated with it.
  bool compares_samples() const;
  Better better() const {
    return metric->direction != nullptr ? metric->direction(parameters) : metric->better;
  }
};

/// A score turned so that higher is better: its negative, or its distance from 1.
double goodness(const MetricSpec& metric, double score);

/// Throws UsageError for unknown metrics and parameters, naming the nearest.
MetricSpec parse_metric(std::string_view text);

/// Scores of all samples. NaN, whatever the metric, where relevance is not finite (in one element, or in
/// explanations that the metric makes) or zero everywhere, or where scores of the network are not finite.
/// Other samples are scored as if those were not there. Curves are empty where nothing was measured. Throws
/// UsageError when the evaluation lacks what the metric needs (masks, an explainer).
Scores evaluate(const MetricSpec& metric, const Evaluation& evaluation);

}  // namespace heatproof
