// The one way to a score: what is not finite never becomes a number.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/threads.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metric.h"

namespace heatproof {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

/// Whether there is something to score of a sample.
bool is_sound(const Metric& metric, const Evaluation& e, std::int64_t i) {
  if (e.logits.defined() && (!tells_prediction(row_of(e.logits, i)) || !std::isfinite(e.target_logit(i))))
    return false;
  for (const Tensor* t : {&e.relevance, &e.heatmap})
    if (t->defined() && !is_finite(row_of(*t, i))) return false;
  const Tensor& given = e.given();
  return metric.scores_zero || !given.defined() ||
         std::ranges::any_of(row_of(given, i), [](float v) { return v != 0; });
}

void check_needs(const Metric& metric, const Evaluation& e) {
  if (metric.needs_masks && !e.masks.defined())
    throw UsageError(fmt::format("{} needs masks; give --masks FOLDER or FILE.npy", metric.name));
  if (metric.needs_explainer && !e.explain)
    throw UsageError(
        fmt::format("{} explains other inputs, too; give --recipe instead of --attributions", metric.name));
}

/// Marks samples by explanations that the metric asks for: one for every sample, in order.
void mark(Spoiled& spoiled, std::int64_t samples, const Tensor& relevance) {
  const std::int64_t rows = relevance.shape()[0];
  for (std::int64_t k = 0; k < rows; ++k) {
    if (is_finite(row_of(relevance, k))) continue;
    for (std::int64_t i = 0; i < samples; ++i)  // of another number of rows nobody knows whose they are
      if (rows != samples || i == k) spoiled.mark(i);
  }
}

/// The evaluation with everything that can be marked being watched.
Evaluation watched(Evaluation e) {
  e.spoiled = std::make_shared<Spoiled>(e.size());
  if (e.explain)
    e.explain = [explain = e.explain, spoiled = e.spoiled, n = e.size()](const Tensor& x, auto targets,
                                                                         auto ids) {
      Tensor relevance = explain(x, targets, ids);
      mark(*spoiled, n, relevance);
      return relevance;
    };
  if (e.explain_on)
    e.explain_on = [explain = e.explain_on, spoiled = e.spoiled, n = e.size()](
                       const Network& network, const Tensor& x, auto targets, auto ids) {
      Tensor relevance = explain(network, x, targets, ids);
      mark(*spoiled, n, relevance);
      return relevance;
    };
  return e;
}

Scores score(const MetricSpec& m, const Evaluation& e) {
  if (m.metric->score_all != nullptr) return m.metric->score_all(e, m.parameters);
  Scores scores;
  scores.values.resize(static_cast<std::size_t>(e.size()));
  try_parallel_for(e.size(), [&](std::int64_t i) {
    scores.values[static_cast<std::size_t>(i)] = m.metric->score(sample_of(e, i), m.parameters);
  });
  return scores;
}

/// Scores of some samples as those of all; the others have none.
Scores spread(Scores few, const std::vector<std::int64_t>& samples, std::int64_t all) {
  if (static_cast<std::int64_t>(samples.size()) == all) return few;
  Scores scores;
  scores.values.assign(static_cast<std::size_t>(all), kNaN);
  for (auto& [name, curves] : few.curves) {
    auto& to = scores.curves[name];
    to.resize(static_cast<std::size_t>(all));
    for (std::size_t k = 0; k < samples.size(); ++k)
      to[static_cast<std::size_t>(samples[k])] = std::move(curves[k]);
  }
  for (std::size_t k = 0; k < samples.size(); ++k)
    scores.values[static_cast<std::size_t>(samples[k])] = few.values[k];
  return scores;
}

}  // namespace

bool tells_prediction(std::span<const float> scores) {
  return std::ranges::all_of(scores, [](float v) { return v < std::numeric_limits<float>::infinity(); });
}

double Evaluation::seen(std::int64_t sample, double value) const {
  if (spoiled && !std::isfinite(value)) spoiled->mark(sample);
  return value;
}

void Evaluation::see_scores(std::int64_t sample, std::span<const float> scores) const {
  if (spoiled && !tells_prediction(scores)) spoiled->mark(sample);
}

Evaluation part_of(const Evaluation& e, const std::vector<std::int64_t>& samples) {
  const auto rows = [&](const Tensor& t) {
    std::vector<Tensor> parts;
    for (const std::int64_t i : samples) parts.push_back(t.rows(i, i + 1));
    return concatenate(parts);
  };
  Evaluation few = e;
  for (Tensor* t : {&few.inputs, &few.relevance, &few.heatmap, &few.logits, &few.masks})
    if (t->defined()) *t = rows(*t);
  few.targets.clear();
  few.ids.clear();
  for (const std::int64_t i : samples) {
    few.targets.push_back(e.targets[static_cast<std::size_t>(i)]);
    few.ids.push_back(e.ids[static_cast<std::size_t>(i)]);
  }
  if (few.spoiled) few.spoiled = std::make_shared<Spoiled>(few.size());
  if (!e.donors) few.donors = [all = own_donors(e)]() -> const Donors& { return all; };
  return few;
}

Scores evaluate(const MetricSpec& m, const Evaluation& e) {
  check_needs(*m.metric, e);
  std::vector<std::int64_t> sound;
  for (std::int64_t i = 0; i < e.size(); ++i)
    if (is_sound(*m.metric, e, i)) sound.push_back(i);
  while (!sound.empty()) {
    const bool all = static_cast<std::int64_t>(sound.size()) == e.size();
    const Evaluation few = watched(all ? e : part_of(e, sound));
    Scores scores = score(m, few);
    std::vector<std::int64_t> left;
    for (std::int64_t k = 0; k < few.size(); ++k) {
      if (!few.spoiled->at(k)) {
        left.push_back(sound[static_cast<std::size_t>(k)]);
        continue;
      }
      scores.values[static_cast<std::size_t>(k)] = kNaN;
      for (auto& [name, curves] : scores.curves) std::ranges::fill(curves[static_cast<std::size_t>(k)], kNaN);
    }
    // Where samples are compared, those that were marked took part in the scores of the others.
    if (!m.compares_samples() || left.size() == sound.size())
      return spread(std::move(scores), sound, e.size());
    sound = std::move(left);
  }
  return {std::vector<double>(static_cast<std::size_t>(e.size()), kNaN)};
}

}  // namespace heatproof
