#include "select/measurement.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/files.h"

namespace heatproof {

namespace {

Tensor rows(const Tensor& t, std::span<const std::size_t> images) {
  std::vector<Tensor> parts;
  for (std::size_t i : images)
    parts.push_back(t.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1));
  return concatenate(parts);
}

}  // namespace

Measurement::Measurement(const SelectionData& data, const std::vector<Recipe>& recipes, std::uint64_t seed,
                         Results& results)
    : data_(data),
      recipes_(recipes),
      seed_(seed),
      results_(results),
      explainer_(data.network, recipes, data.explain),
      classes_(argmax_rows(data.logits)) {
  for (const std::string& hash : data.hashes) sample_ids_.push_back(sample_id(hash));
}

CellKey Measurement::key(std::size_t image, std::size_t recipe, const MetricSpec& metric) const {
  std::string input = data_.hashes[image];
  if (metric.metric->needs_masks) {
    const Tensor mask =
        data_.masks.rows(static_cast<std::int64_t>(image), static_cast<std::int64_t>(image) + 1);
    input += "+" + sha256({static_cast<const char*>(mask.raw()), mask.bytes()});
  }
  return {data_.model_hash, input, data_.targets[image], recipes_[recipe].text, metric.text, seed_};
}

Evaluation Measurement::evaluation(std::span<const std::size_t> images) const {
  Evaluation e{.network = data_.network,
               .inputs = rows(data_.inputs, images),
               .logits = rows(data_.logits, images),
               .black = data_.black,
               .white = data_.white,
               .seed = seed_,
               .donors = data_.inputs,
               .donor_ids = sample_ids_,
               .donor_classes = classes_};
  if (data_.masks.defined()) e.masks = rows(data_.masks, images);
  for (std::size_t i : images) {
    e.targets.push_back(data_.targets[i]);
    e.ids.push_back(sample_id(data_.hashes[i]));
  }
  return e;
}

Tensor Measurement::moved(std::size_t recipe, const Tensor& inputs, std::span<const std::int64_t> targets,
                          std::span<const std::uint64_t> ids) {
  const bool known = moved_inputs_.defined() && moved_inputs_.shape() == inputs.shape() &&
                     std::ranges::equal(ids, moved_ids_) && std::ranges::equal(targets, moved_targets_) &&
                     std::memcmp(moved_inputs_.raw(), inputs.raw(), inputs.bytes()) == 0;
  if (!known) {
    moved_ = explainer_.explain(inputs, targets, ids);
    moved_inputs_ = inputs.clone();
    moved_targets_.assign(targets.begin(), targets.end());
    moved_ids_.assign(ids.begin(), ids.end());
  }
  return moved_.relevance[recipe];
}

void Measurement::run(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
                      const std::vector<MetricSpec>& metrics, const std::function<void()>& done) {
  std::vector<std::pair<std::size_t, const MetricSpec*>> missing;
  for (const MetricSpec& metric : metrics) {
    for (std::size_t r : recipes) {
      const bool known = std::ranges::all_of(
          images, [&](std::size_t i) { return results_.find(key(i, r, metric)).has_value(); });
      if (known)
        done();
      else
        missing.emplace_back(r, &metric);
    }
  }
  if (missing.empty()) return;
  Evaluation e = evaluation(images);
  const Explanation explanation = explainer_.explain(e.inputs, e.targets, e.ids);
  for (const auto& [r, metric] : missing) {
    e.relevance = explanation.relevance[r];
    e.heatmap = pool_channels(e.relevance, pool_of(recipes_[r]));
    e.explain = [this, recipe = r](const Tensor& x, auto targets, auto ids) {
      return moved(recipe, x, targets, ids);
    };
    e.explain_on = [this, recipe = r](const Network& network, const Tensor& x, auto targets, auto ids) {
      return Explainer(network, {recipes_[recipe]}, data_.explain).explain(x, targets, ids).relevance[0];
    };
    store(images, r, *metric, evaluate(*metric, e));
    done();
  }
}

void Measurement::store(std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric,
                        const Scores& scores) {
  results_.begin();
  for (std::size_t k = 0; k < images.size(); ++k) {
    Cell cell{scores.values[k], {}};
    for (const auto& [name, curves] : scores.curves) cell.curves[name] = curves[k];
    results_.put(key(images[k], recipe, metric), cell);
  }
  results_.commit();
}

std::vector<double> Measurement::scores(std::span<const std::size_t> images, std::size_t recipe,
                                        const MetricSpec& metric) const {
  std::vector<double> scores;
  for (std::size_t i : images) {
    const auto cell = results_.find(key(i, recipe, metric));
    scores.push_back(cell ? cell->score : NAN);
  }
  return scores;
}

std::map<std::string, std::vector<double>> Measurement::mean_curves(std::span<const std::size_t> images,
                                                                    std::size_t recipe,
                                                                    const MetricSpec& metric) const {
  std::map<std::string, std::vector<double>> mean;
  for (std::size_t i : images) {
    const auto cell = results_.find(key(i, recipe, metric));
    if (!cell) continue;
    for (const auto& [name, values] : cell->curves) {
      auto& sum = mean[name];
      sum.resize(values.size(), 0);
      for (std::size_t k = 0; k < values.size(); ++k)
        sum[k] += values[k] / static_cast<double>(images.size());
    }
  }
  return mean;
}

}  // namespace heatproof
