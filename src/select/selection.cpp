#include "select/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::int64_t kGroup = 8;  // images that are explained and measured together

/// Explains moved inputs with all recipes at once, and remembers: every recipe is asked about the same inputs.
class SharedExplainer {
 public:
  explicit SharedExplainer(Explainer& explainer) : explainer_(explainer) {}

  Tensor relevance(std::size_t recipe, const Tensor& inputs, std::span<const std::int64_t> targets, std::span<const std::uint64_t> ids) {
    const std::vector<std::uint64_t> key(ids.begin(), ids.end());
    if (key != key_) {
      last_ = explainer_.explain(inputs, targets, ids);
      key_ = key;
    }
    return last_.relevance[recipe];
  }

 private:
  Explainer& explainer_;
  std::vector<std::uint64_t> key_;
  Explanation last_;
};

/// Measures cells group by group.
class Measurement {
 public:
  Measurement(const SelectionData& data, const std::vector<Recipe>& recipes, const SelectionOptions& options, Results& results)
      : data_(data), recipes_(recipes), options_(options), results_(results), explainer_(data.network, recipes, data.explain), shared_(explainer_) {}

  /// Cells of these images and recipes; skips those that are there.
  void run(std::span<const std::size_t> images, const std::vector<std::size_t>& recipes, const std::vector<MetricSpec>& metrics, const std::function<void()>& done) {
    std::vector<std::pair<std::size_t, const MetricSpec*>> missing;
    for (const MetricSpec& metric : metrics) {
      for (std::size_t r : recipes) {
        const bool known = std::ranges::all_of(images, [&](std::size_t i) { return results_.find(key(i, r, metric)).has_value(); });
        if (known) done();
        else missing.emplace_back(r, &metric);
      }
    }
    if (missing.empty()) return;
    Evaluation e{.network = data_.network, .inputs = rows(data_.inputs, images), .logits = rows(data_.logits, images), .black = data_.black, .white = data_.white, .seed = options_.seed};
    for (std::size_t i : images) {
      e.targets.push_back(data_.targets[i]);
      e.ids.push_back(i);
    }
    const Explanation explanation = explainer_.explain(e.inputs, e.targets, e.ids);
    for (const auto& [r, metric] : missing) {
      e.relevance = explanation.relevance[r];
      e.heatmap = pool_channels(e.relevance, pool_of(recipes_[r]));
      e.explain = [this, recipe = r](const Tensor& x, std::span<const std::int64_t> t, std::span<const std::uint64_t> ids) { return shared_.relevance(recipe, x, t, ids); };
      store(images, r, *metric, evaluate(*metric, e));
      done();
    }
  }

  CellKey key(std::size_t image, std::size_t recipe, const MetricSpec& metric) const {
    return {data_.model_hash, data_.hashes[image], data_.targets[image], recipes_[recipe].text, metric.text, options_.seed};
  }

 private:
  static Tensor rows(const Tensor& t, std::span<const std::size_t> images) {
    std::vector<Tensor> parts;
    for (std::size_t i : images) parts.push_back(t.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1));
    return concatenate(parts);
  }

  void store(std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric, const Scores& scores) {
    results_.begin();
    for (std::size_t k = 0; k < images.size(); ++k) {
      Cell cell{scores.values[k], {}};
      for (const auto& [name, curves] : scores.curves) cell.curves[name] = curves[k];
      results_.put(key(images[k], recipe, metric), cell);
    }
    results_.commit();
  }

  const SelectionData& data_;
  const std::vector<Recipe>& recipes_;
  const SelectionOptions& options_;
  Results& results_;
  Explainer explainer_;
  SharedExplainer shared_;
};

/// A seeded order of the images; the last part is held back.
void split(const SelectionData& data, const SelectionOptions& options, Selection& s) {
  const auto n = data.hashes.size();
  RandomStream random(options.seed, {"selection split"});
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  random.shuffle(std::span<std::size_t>(order));
  const std::size_t held = n >= 12 ? static_cast<std::size_t>(std::round(options.held_back * static_cast<double>(n))) : 0;
  s.images.assign(order.begin(), order.end() - static_cast<std::ptrdiff_t>(held));
  s.held_back.assign(order.end() - static_cast<std::ptrdiff_t>(held), order.end());
}

std::vector<double> minus(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> d;
  for (std::size_t i = 0; i < a.size(); ++i) d.push_back(a[i] - b[i]);
  return d;
}

/// Scores of all cells; objectives where lower is better are turned around.
std::vector<double> scores_of(const Measurement& m, const Results& results, std::span<const std::size_t> images, std::size_t recipe, const MetricSpec& metric) {
  std::vector<double> scores;
  for (std::size_t i : images) {
    const auto cell = results.find(m.key(i, recipe, metric));
    scores.push_back(cell ? cell->score : NAN);
  }
  return scores;
}

void average_curves(const Measurement& m, const Results& results, Selection& s) {
  s.curves.resize(s.recipes.size());
  for (std::size_t r = 0; r < s.recipes.size(); ++r) {
    for (std::size_t i : s.images) {
      const auto cell = results.find(m.key(i, r, s.objective));
      if (!cell) continue;
      for (const auto& [name, values] : cell->curves) {
        auto& mean = s.curves[r][name];
        mean.resize(values.size(), 0);
        for (std::size_t k = 0; k < values.size(); ++k) mean[k] += values[k] / static_cast<double>(s.images.size());
      }
    }
  }
}

std::optional<std::size_t> best_control(const Selection& s) {
  for (const Ranked& r : s.ranking) {
    if (s.recipes[r.recipe].method->control && !r.failed) return r.recipe;
  }
  return std::nullopt;
}

/// How far a diagnostic is from its ideal, so that higher is better.
double goodness(const MetricSpec& metric, double score) {
  return metric.better() == Better::higher ? score : metric.better() == Better::lower ? -score : -std::abs(score - 1);
}

void correlate(Selection& s) {
  std::vector<std::vector<double>> means(1 + s.diagnostics.size());
  for (std::size_t r = 0; r < s.recipes.size(); ++r) {
    const auto mean = [](const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size()); };
    means[0].push_back(mean(s.scores[r]));
    for (std::size_t d = 0; d < s.diagnostics.size(); ++d) means[d + 1].push_back(goodness(s.diagnostics[d].metric, mean(s.diagnostics[d].scores[r])));
  }
  for (const auto& a : means) {
    s.agreement.emplace_back();
    for (const auto& b : means) s.agreement.back().push_back(kendall_tau(a, b));
  }
}

void judge(Selection& s, std::uint64_t seed) {
  const auto control = best_control(s);
  const auto& best = s.ranking[0];
  const bool is_control = s.recipes[best.recipe].method->control;
  if (control && !is_control && !best.failed) {
    s.over_control = Bootstrap(s.images.size(), seed).interval(minus(s.scores[best.recipe], s.scores[*control]));
  }
  s.beats_controls = !is_control && !best.failed && (!control || s.over_control.low > 0);
}

}  // namespace

Selection select(const SelectionData& data, const std::vector<Recipe>& recipes, const SelectionOptions& options, Results& results, const ReportProgress& progress) {
  if (recipes.empty() || data.hashes.empty()) throw UsageError("select needs at least one recipe and one image");
  Selection s;
  s.recipes = recipes;
  s.objective = parse_metric(options.objective);
  split(data, options, s);
  std::vector<MetricSpec> cheap{s.objective};
  std::vector<MetricSpec> costly;
  for (const std::string& text : options.diagnostics) {
    MetricSpec metric = parse_metric(text);
    (metric.metric->needs_explainer ? costly : cheap).push_back(std::move(metric));
  }
  std::vector<std::size_t> all(recipes.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto groups = [](std::size_t n) { return (static_cast<std::int64_t>(n) + kGroup - 1) / kGroup; };
  const auto probed = std::min<std::size_t>(s.images.size(), static_cast<std::size_t>(options.diagnostic_images));
  const auto n_recipes = static_cast<std::int64_t>(recipes.size());
  const std::int64_t total = (groups(s.images.size()) * static_cast<std::int64_t>(cheap.size()) + groups(probed) * static_cast<std::int64_t>(costly.size())) * n_recipes + groups(s.held_back.size()) * 2;
  std::int64_t cells = 0;
  const auto done = [&] { progress(++cells, total); };
  Measurement m(data, recipes, options, results);
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t begin = 0; begin < s.images.size(); begin += kGroup) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (options.budget_seconds > 0 && begin > 0 && spent.count() > options.budget_seconds) {
      s.images.resize(begin);
      break;
    }
    if (static_cast<std::int64_t>(begin / kGroup) % options.shards != options.shard) continue;
    const auto group = std::span(s.images).subspan(begin, std::min<std::size_t>(kGroup, s.images.size() - begin));
    m.run(group, all, cheap, done);
    if (begin < probed) m.run(group.first(std::min(group.size(), probed - begin)), all, costly, done);
  }
  if (options.shards > 1) return s;  // the shards' files are merged before anything is concluded
  const double sign = s.objective.better() == Better::lower ? -1 : 1;
  for (std::size_t r = 0; r < recipes.size(); ++r) {
    s.scores.push_back(scores_of(m, results, s.images, r, s.objective));
    for (double& v : s.scores.back()) v *= sign;
  }
  s.ranking = rank(s.scores, options.seed);
  for (const auto* list : {&cheap, &costly}) {
    for (const MetricSpec& metric : *list) {
      if (metric.text == s.objective.text) continue;
      DiagnosticScores d{metric, {}};
      const auto images = list == &costly ? std::span(s.images).first(std::min(probed, s.images.size())) : std::span(s.images);
      for (std::size_t r = 0; r < recipes.size(); ++r) d.scores.push_back(scores_of(m, results, images, r, metric));
      s.diagnostics.push_back(std::move(d));
    }
  }
  judge(s, options.seed);
  average_curves(m, results, s);
  correlate(s);
  if (!s.held_back.empty()) {
    std::vector<std::size_t> few{s.ranking[0].recipe};
    const auto control = best_control(s);
    if (control && *control != few[0]) few.push_back(*control);
    for (std::size_t begin = 0; begin < s.held_back.size(); begin += kGroup) {
      m.run(std::span(s.held_back).subspan(begin, std::min<std::size_t>(kGroup, s.held_back.size() - begin)), few, {s.objective}, done);
    }
    const Bootstrap bootstrap(s.held_back.size(), options.seed);
    auto winner = scores_of(m, results, s.held_back, few[0], s.objective);
    for (double& v : winner) v *= sign;
    s.confirmation.images = s.held_back.size();
    s.confirmation.score = bootstrap.interval(winner);
    if (few.size() > 1) {
      auto other = scores_of(m, results, s.held_back, few[1], s.objective);
      for (double& v : other) v *= sign;
      s.confirmation.over_control = bootstrap.interval(minus(winner, other));
    }
  }
  return s;
}

}  // namespace heatproof
