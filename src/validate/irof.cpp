// IROF: superpixels are removed by decreasing mean relevance. Rieger and Hansen 2020.
#include <algorithm>
#include <cmath>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/imputer.h"
#include "validate/metrics.h"
#include "validate/superpixels.h"

namespace heatproof {

namespace {

/// Superpixels of one image: their pixels, most relevant first.
std::vector<std::vector<std::size_t>> segments_of(const Evaluation& e, std::int64_t i,
                                                  const std::vector<double>& relevance, const Parameters& p) {
  const Shape& s = e.inputs.shape();
  const auto labels = slic(row_of(e.inputs, i), s[1], s[2], s[3], p.integer("segments"));
  std::vector<std::vector<std::size_t>> segments(static_cast<std::size_t>(*std::ranges::max_element(labels)) +
                                                 1);
  for (std::size_t pixel = 0; pixel < labels.size(); ++pixel)
    segments[static_cast<std::size_t>(labels[pixel])].push_back(pixel);
  std::erase_if(segments, [](const auto& pixels) { return pixels.empty(); });
  std::vector<double> mean;
  for (const auto& pixels : segments) {
    double sum = 0;
    for (std::size_t offset = 0; offset < relevance.size(); offset += labels.size()) {
      for (std::size_t pixel : pixels) sum += relevance[offset + pixel];
    }
    mean.push_back(sum / static_cast<double>(pixels.size()));
  }
  std::vector<std::vector<std::size_t>> ordered;
  for (std::size_t k : most_relevant_first(e, i, mean, p)) ordered.push_back(std::move(segments[k]));
  return ordered;
}

using Segments = std::vector<std::vector<std::vector<std::size_t>>>;  // [sample][segment][pixel]

/// Quantus's fillers: at every step the mean over the batch, as it has become by then. [step]
std::vector<float> means_of_batch(const Evaluation& e, const Segments& segments, std::size_t steps) {
  Tensor x = e.inputs.clone();
  const auto pixels = static_cast<std::size_t>(x.shape()[2] * x.shape()[3]);
  std::vector<float> means;
  for (std::size_t k = 0; k < steps; ++k) {
    double sum = 0;
    for (float v : x.data<float>()) sum += v;
    means.push_back(static_cast<float>(sum / static_cast<double>(x.elements())));
    for (std::int64_t i = 0; i < e.size(); ++i) {
      const auto& own = segments[static_cast<std::size_t>(i)];
      if (k >= own.size()) continue;
      const auto row = row_of(x, i);
      for (std::size_t offset = 0; offset < row.size(); offset += pixels) {
        for (std::size_t pixel : own[k]) row[offset + pixel] = means.back();
      }
    }
  }
  return means;
}

Scores irof(const Evaluation& e, const Parameters& p) {
  if (e.inputs.shape().rank() != 4) throw UsageError("irof works on images only");
  const bool quantus = p.flag("as_quantus");
  const auto relevance = attributions(e.relevance, p);
  Segments segments;
  std::vector<Impute> imputers;
  std::size_t steps = 0;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    segments.push_back(segments_of(e, i, relevance[static_cast<std::size_t>(i)], p));
    imputers.push_back(imputer(p.text("imputer"), e, i, 1));
    steps = std::max(steps, segments.back().size());
  }
  const auto means = quantus ? means_of_batch(e, segments, steps) : std::vector<float>();
  const auto pixels = static_cast<std::size_t>(e.inputs.shape()[2] * e.inputs.shape()[3]);
  const std::string kind = watched_kind(e.network, p);
  const auto before = scores_of_inputs(e, kind);
  const auto after = scores_of_edits(
      e, static_cast<std::int64_t>(steps), kind, [&](std::int64_t i, std::int64_t k, std::span<float> x) {
        const auto at = static_cast<std::size_t>(i);
        std::vector<std::size_t> removed;
        for (std::size_t s = 0; s <= static_cast<std::size_t>(k) && s < segments[at].size(); ++s) {
          removed.insert(removed.end(), segments[at][s].begin(), segments[at][s].end());
          for (std::size_t offset = 0; quantus && offset < x.size(); offset += pixels) {
            for (std::size_t pixel : segments[at][s]) x[offset + pixel] = means[s];
          }
        }
        if (!quantus) imputers[at](x, removed);
      });
  Scores result;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::size_t own = segments[i].size();
    std::vector<double> curve;
    for (std::size_t k = 0; k < own; ++k) curve.push_back(after[i][k] / before[i]);
    if (quantus) curve.resize(steps, 0);  // images with fewer segments than the most of the batch end at 0
    double area = 0;
    for (std::size_t k = 1; k < curve.size(); ++k) area += 0.5 * (curve[k] + curve[k - 1]);
    result.values.push_back(static_cast<double>(own) - area);
    curve.resize(own);
    result.curves["score"].push_back(std::move(curve));
  }
  return result;
}

}  // namespace

const Metric kIrof = {
    .name = "irof",
    .group = Group::faithfulness,
    .better = Better::higher,
    .unit = "superpixels",
    .source = "Rieger and Hansen 2020",
    .about =
        "Area over the curve of the relative score while superpixels are removed, most relevant first. "
        "Superpixels: SLIC as in scikit-image.",
    .parameters = {{"segments", std::int64_t{100}, "superpixels, about", 2, 100000},
                   {"imputer", std::string("mean"), "what takes their place", {}, {}, imputer_names()},
                   {"score",
                    std::string("probability"),
                    "what is watched; the logit where the network has no probability",
                    {},
                    {},
                    {"logit", "probability", "difference"}},
                   absolute_parameter(false),
                   normalise_parameter(),
                   ties_parameter(),
                   {"as_quantus", false,
                    "fill with the mean of the batch as it is by then, as Quantus 0.6 does"}},
    .score_all = irof,
};

}  // namespace heatproof
