#include "select/measurement.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "base/files.h"

namespace heatproof {

namespace {

Tensor rows(const Tensor& t, std::span<const std::size_t> images) {
  std::vector<Tensor> parts;
  for (std::size_t i : images)
    parts.push_back(t.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1));
  return concatenate(parts);
}

std::vector<InputItem> items_of(const SelectionData& data, std::span<const std::size_t> images) {
  std::vector<InputItem> items;
  for (std::size_t i : images) items.push_back(data.items[i]);
  return items;
}

bool starts_with(const std::vector<std::size_t>& group, std::span<const std::size_t> images) {
  return group.size() >= images.size() && std::equal(images.begin(), images.end(), group.begin());
}

/// Whether recipes may be measured as if their samples were more of the same: no sample matters to another.
bool shares_passes(const MetricSpec& metric) {
  return !metric.metric->needs_explainer && !metric.compares_samples();
}

/// All samples so many times.
Evaluation repeated(const Evaluation& e, std::size_t times) {
  Evaluation all = e;
  if (times == 1) return all;
  for (Tensor* t : {&all.inputs, &all.logits, &all.masks})
    if (t->defined()) *t = concatenate(std::vector<Tensor>(times, *t));
  for (std::size_t n = 1; n < times; ++n) {
    all.targets.insert(all.targets.end(), e.targets.begin(), e.targets.end());
    all.ids.insert(all.ids.end(), e.ids.begin(), e.ids.end());
  }
  return all;
}

}  // namespace

Measurement::Measurement(const SelectionData& data, const std::vector<Recipe>& recipes, std::uint64_t seed,
                         Results& results)
    : data_(data),
      recipes_(recipes),
      seed_(seed),
      results_(results),
      groups_(data.network, recipes, data.explain, kGroup),
      shelf_(data.source, data.items),
      donors_{{}, argmax_rows(data.logits), [this](std::int64_t i) { return shelf_.read(i); }} {
  for (const InputItem& item : data.items) donors_.ids.push_back(sample_id(item.hash));
}

CellKey Measurement::key(std::size_t image, std::size_t recipe, const MetricSpec& metric) const {
  std::string input = data_.items[image].hash;
  if (metric.metric->needs_masks) input += "+" + data_.mask_hashes[image];
  return {data_.model_hash, input, data_.targets[image], recipes_[recipe].text, metric.text, seed_};
}

bool Measurement::misses(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
                         const std::vector<MetricSpec>& metrics) const {
  for (const MetricSpec& metric : metrics) {
    for (std::size_t r : recipes) {
      if (!std::ranges::all_of(images,
                               [&](std::size_t i) { return results_.find(key(i, r, metric)).has_value(); }))
        return true;
    }
  }
  return false;
}

void Measurement::expect(std::vector<std::vector<std::size_t>> groups) {
  std::vector<InputItem> items;
  for (const auto& group : groups) std::ranges::copy(items_of(data_, group), std::back_inserter(items));
  stream_ = std::make_unique<InputStream>(data_.source, std::move(items));
  expected_.assign(groups.begin(), groups.end());
}

const InputSet& Measurement::read(std::span<const std::size_t> images) {
  if (starts_with(group_, images)) return inputs_;
  // Cells of equal images are found in one group's results by the next, which is then passed over.
  if (std::ranges::none_of(expected_, [&](const auto& g) { return starts_with(g, images); }))
    expect({{images.begin(), images.end()}});
  do {
    group_ = std::move(expected_.front());
    expected_.pop_front();
    inputs_ = stream_->next(static_cast<std::int64_t>(group_.size()));
  } while (!starts_with(group_, images));
  data_.masks.read(inputs_);
  return inputs_;
}

Evaluation Measurement::evaluation(std::span<const std::size_t> images) {
  const InputSet& set = read(images);
  const auto count = static_cast<std::int64_t>(images.size());
  Evaluation e{.network = data_.network,
               .inputs = set.inputs.rows(0, count),
               .logits = rows(data_.logits, images),
               .black = data_.black,
               .white = data_.white,
               .seed = seed_,
               .donors = [this]() -> const Donors& { return donors_; }};
  if (set.masks.defined()) e.masks = set.masks.rows(0, count);
  for (std::size_t i : images) {
    e.targets.push_back(data_.targets[i]);
    e.ids.push_back(donors_.ids[i]);
  }
  return e;
}

std::size_t Measurement::most_moved(std::size_t group) const {
  constexpr std::size_t kBytes = std::size_t{1} << 28;
  const auto elements = static_cast<std::size_t>(kGroup * data_.network.input_shape().elements());
  return std::clamp<std::size_t>(kBytes / (4 * elements * groups_.recipes(group).size()), 1, 16);
}

Tensor Measurement::moved(std::size_t group, std::size_t place, const Tensor& inputs,
                          std::span<const std::int64_t> targets, std::span<const std::uint64_t> ids) {
  std::string question(static_cast<const char*>(inputs.raw()), inputs.bytes());
  question.append(reinterpret_cast<const char*>(targets.data()), targets.size_bytes());
  question.append(reinterpret_cast<const char*>(ids.data()), ids.size_bytes());
  const std::string hash = sha256(question);
  if (const auto it = moved_.find(hash); it != moved_.end()) return it->second.relevance[place];
  Explainer& explainer = groups_.explainer(group);
  if (asked_.insert(hash).second || moved_.size() >= most_moved(group))
    return explainer.explain_one(place, inputs, targets, ids);
  return moved_.emplace(hash, explainer.explain(inputs, targets, ids)).first->second.relevance[place];
}

void Measurement::run(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
                      const std::vector<MetricSpec>& metrics, const std::function<void()>& done) {
  Missing missing;
  for (const MetricSpec& metric : metrics) {
    for (std::size_t r : recipes) {
      if (misses(images, {r}, {metric}))
        missing.emplace_back(r, &metric);
      else
        done();
    }
  }
  if (missing.empty()) return;
  const Evaluation e = evaluation(images);
  for (std::size_t g = 0; g < groups_.size(); ++g) measure(images, g, missing, e, done);
}

void Measurement::measure(std::span<const std::size_t> images, std::size_t group, const Missing& missing,
                          const Evaluation& e, const std::function<void()>& done) {
  const auto place = [&](std::size_t recipe) {
    const auto& own = groups_.recipes(group);
    const auto at = std::ranges::find(own, recipe);
    return at == own.end() ? std::nullopt : std::optional(static_cast<std::size_t>(at - own.begin()));
  };
  if (std::ranges::none_of(missing, [&](const auto& m) { return place(m.first).has_value(); })) return;
  const Explanation explanation = groups_.explainer(group).explain(e.inputs, e.targets, e.ids);
  keep_heatmaps(images, groups_.recipes(group), explanation);
  const std::size_t most = std::max<std::size_t>(1, kTogether / images.size());
  const MetricSpec* last = nullptr;
  for (std::size_t k = 0; k < missing.size();) {
    const MetricSpec& metric = *missing[k].second;
    std::vector<std::size_t> together;
    const std::size_t room = shares_passes(metric) ? most : 1;
    for (; k < missing.size() && missing[k].second == &metric && together.size() < room; ++k) {
      if (place(missing[k].first)) together.push_back(missing[k].first);
    }
    if (together.empty()) continue;
    if (last != &metric) asked_.clear(), moved_.clear();
    last = &metric;
    score(images, group, together, metric, e, explanation);
    for (std::size_t n = 0; n < together.size(); ++n) done();
  }
}

void Measurement::score(std::span<const std::size_t> images, std::size_t group,
                        const std::vector<std::size_t>& recipes, const MetricSpec& metric,
                        const Evaluation& one, const Explanation& explanation) {
  Evaluation e = repeated(one, recipes.size());
  std::vector<Tensor> relevance;
  std::vector<Tensor> heatmaps;
  std::size_t place = 0;
  for (std::size_t r : recipes) {
    place = static_cast<std::size_t>(std::ranges::find(groups_.recipes(group), r) -
                                     groups_.recipes(group).begin());
    relevance.push_back(explanation.relevance[place]);
    heatmaps.push_back(pool_channels(relevance.back(), pool_of(recipes_[r])));
  }
  e.relevance = concatenate(relevance);
  e.heatmap = concatenate(heatmaps);
  if (recipes.size() == 1) {
    e.explain = [this, group, place](const Tensor& x, auto targets, auto ids) {
      return moved(group, place, x, targets, ids);
    };
    e.explain_on = [this, recipe = recipes[0]](const Network& network, const Tensor& x, auto targets,
                                               auto ids) {
      ExplainOptions options = data_.explain;
      options.expected = 0;  // of this network, these are all
      return Explainer(network, {recipes_[recipe]}, options).explain(x, targets, ids).relevance[0];
    };
  }
  const Scores scores = evaluate(metric, e);
  for (std::size_t n = 0; n < recipes.size(); ++n)
    store(images, recipes[n], metric, scores, n * images.size());
}

void Measurement::keep_heatmaps(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes,
                                const Explanation& explanation) {
  for (std::size_t place = 0; place < recipes.size(); ++place) {
    const Tensor maps = pool_channels(explanation.relevance[place], pool_of(recipes_[recipes[place]]));
    for (std::size_t k = 0; k < images.size(); ++k) {
      if (std::ranges::find(kept_, images[k]) == kept_.end()) continue;
      const auto row = static_cast<std::int64_t>(k);
      const auto map = maps.rows(row, row + 1).data<float>();
      heatmaps_[{images[k], recipes[place]}].assign(map.begin(), map.end());
    }
  }
}

void Measurement::store(std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric,
                        const Scores& scores, std::size_t first) {
  results_.begin();
  for (std::size_t k = 0; k < images.size(); ++k) {
    Cell cell{scores.values[first + k], {}};
    for (const auto& [name, curves] : scores.curves) {
      // Where nothing was measured, there is no curve, whatever others were measured at the same time.
      if (!curves[first + k].empty() || !std::isnan(cell.score)) cell.curves[name] = curves[first + k];
    }
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
  std::map<std::string, double> counts;  // images without a score have no curves
  for (std::size_t i : images) {
    const auto cell = results_.find(key(i, recipe, metric));
    if (!cell) continue;
    for (const auto& [name, values] : cell->curves) {
      auto& sum = mean[name];
      sum.resize(values.size(), 0);
      for (std::size_t k = 0; k < values.size(); ++k) sum[k] += values[k];
      counts[name] += 1;
    }
  }
  for (auto& [name, sum] : mean) {
    for (double& v : sum) v /= counts[name];
  }
  return mean;
}

}  // namespace heatproof
