#include "select/selection.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "heatproof/error.h"
#include "select/shares.h"
#include "validate/features.h"

namespace heatproof {

namespace {

using Clock = std::chrono::steady_clock;

/// A seeded order of the images; the last part is held back.
void split(std::size_t images, const SelectionOptions& options, Selection& s) {
  RandomStream random(options.seed, {"selection split"});
  std::vector<std::size_t> order(images);
  std::iota(order.begin(), order.end(), std::size_t{0});
  random.shuffle(std::span<std::size_t>(order));
  const std::size_t held =
      images >= 12 ? static_cast<std::size_t>(std::round(options.held_back * static_cast<double>(images)))
                   : 0;
  s.images.assign(order.begin(), order.end() - static_cast<std::ptrdiff_t>(held));
  s.held_back.assign(order.end() - static_cast<std::ptrdiff_t>(held), order.end());
}

std::vector<bool> controls_of(const Selection& s) {
  std::vector<bool> controls;
  for (const Recipe& r : s.recipes) controls.push_back(r.method->control);
  return controls;
}

std::vector<double> goodness(const MetricSpec& metric, std::vector<double> scores) {
  for (double& v : scores) v = goodness(metric, v);
  return scores;
}

std::vector<std::vector<double>> goodness(const MetricSpec& metric, std::vector<std::vector<double>> scores) {
  for (auto& row : scores) row = goodness(metric, std::move(row));
  return scores;
}

/// What the scores say of the metrics that made them.
void judge_metrics(Selection& s, std::uint64_t seed) {
  std::vector<std::size_t> methods;
  std::optional<std::size_t> random;
  for (std::size_t r = 0; r < s.recipes.size(); ++r) {
    if (!s.recipes[r].method->control) methods.push_back(r);
    if (s.recipes[r].method->name == "random") random = r;
  }
  s.reliability = reliability_of(goodness(s.objective, s.scores), methods, random, seed);
  for (DiagnosticScores& d : s.diagnostics)
    d.reliability = reliability_of(goodness(d.metric, d.scores), methods, random, seed);
}

/// Recipes by the mean over images of how good they are, as the ranking orders them.
void correlate(Selection& s) {
  const auto means_of = [](const MetricSpec& metric, const std::vector<std::vector<double>>& scores) {
    std::vector<double> means;
    for (const auto& row : goodness(metric, scores)) means.push_back(mean_of(row));
    return means;
  };
  std::vector<std::vector<double>> means{means_of(s.objective, s.scores)};
  for (const DiagnosticScores& d : s.diagnostics) means.push_back(means_of(d.metric, d.scores));
  for (const auto& a : means) {
    s.agreement.emplace_back();
    for (const auto& b : means) s.agreement.back().push_back(kendall_tau(a, b));
  }
}

void require_masks(const MetricSpec& metric, const SelectionData& data) {
  if (metric.metric->needs_masks && data.mask_hashes.empty())
    throw UsageError(metric.metric->name + " needs masks; give --masks FOLDER or FILE.npy");
}

void judge(Selection& s) {
  s.over_controls = over_controls(s.ranking, controls_of(s));
  s.beats_controls = beats_every(s.over_controls);
  const auto best = closest(s.over_controls);
  s.over_control = best ? best->difference : Interval{NAN, NAN, NAN};
}

/// One selection from start to end.
class Selector {
 public:
  Selector(const SelectionData& data, const std::vector<Recipe>& recipes, const SelectionOptions& options,
           Results& results, const ReportProgress& progress)
      : options_(options), progress_(progress), measurement_(data, recipes, options.seed, results) {
    selection_.recipes = recipes;
    selection_.objective = parse_metric(options.objective);
    split(data.items.size(), options, selection_);
    cheap_.push_back(selection_.objective);
    for (const std::string& text : options.diagnostics) {
      MetricSpec metric = parse_metric(text);
      if (metric.text == selection_.objective.text) continue;
      (metric.metric->needs_explainer ? costly_ : cheap_).push_back(std::move(metric));
    }
    // Which recipes explode is asked of all, shown among the diagnostics or not.
    diagnosed_ = cheap_.size();
    if (std::ranges::none_of(cheap_, [&](const MetricSpec& m) { return m.text == conservation_.text; }))
      cheap_.push_back(conservation_);
    if (options.reliability) variants_ = variants_of(selection_.objective);
    std::erase_if(variants_, [&](const MetricSpec& m) {  // patches that the inputs are too small for
      return std::ranges::any_of(std::vector<std::string>{"patch", "patch_size"},
                                 [&](const std::string& key) {
                                   return m.parameters.has(key) &&
                                          m.parameters.integer(key) > longer_side(data.network.input_shape());
                                 });
    });
    std::erase_if(variants_, [&](const MetricSpec& m) {  // scores that the network does not have
      return m.parameters.has("score") && !why_unwatched(data.network, m.parameters.text("score")).empty();
    });
    all_.resize(recipes.size());
    std::iota(all_.begin(), all_.end(), std::size_t{0});
    probed_ =
        std::min<std::size_t>(selection_.images.size(), static_cast<std::size_t>(options.diagnostic_images));
    const auto controls = static_cast<std::size_t>(
        std::ranges::count_if(recipes, [](const Recipe& r) { return r.method->control; }));
    const auto per_recipe = groups(selection_.images.size()) * cheap_.size() +
                            groups(probed_) * (costly_.size() + variants_.size());
    total_ = static_cast<std::int64_t>(per_recipe * recipes.size() +
                                       groups(selection_.held_back.size()) * (1 + controls));
  }

  Selection run() {
    measure();
    if (options_.shards > 1) return selection_;  // nothing is concluded before the shards are merged
    collect();
    judge(selection_);
    judge_metrics(selection_, options_.seed);
    vary();
    correlate(selection_);
    confirm();
    return selection_;
  }

 private:
  static constexpr auto kGroup = static_cast<std::size_t>(Measurement::kGroup);

  static std::size_t groups(std::size_t images) { return (images + kGroup - 1) / kGroup; }

  void done() { progress_(++cells_, total_); }

  bool is_mine(std::size_t begin) const {
    return static_cast<std::int64_t>(begin / kGroup) % options_.shards == options_.shard;
  }

  static std::span<const std::size_t> group_at(const std::vector<std::size_t>& images, std::size_t begin) {
    return std::span(images).subspan(begin, std::min(kGroup, images.size() - begin));
  }

  /// Those images of a group that costly metrics are measured on.
  std::span<const std::size_t> probed_of(std::span<const std::size_t> group, std::size_t begin) const {
    return group.first(begin >= probed_ ? 0 : std::min(group.size(), probed_ - begin));
  }

  /// Lets groups be read that still miss something.
  void read_ahead() {
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t begin = 0; begin < selection_.images.size(); begin += kGroup) {
      const auto group = group_at(selection_.images, begin);
      const auto few = probed_of(group, begin);
      if (is_mine(begin) && (measurement_.misses(group, all_, cheap_) ||
                             (!few.empty() && (measurement_.misses(few, all_, costly_) ||
                                               measurement_.misses(few, all_, variants_)))))
        groups.emplace_back(group.begin(), group.end());
    }
    measurement_.expect(std::move(groups));
  }

  /// Those that a report may show, where there are few; of many, most would not be shown.
  void keep_heatmaps() {
    constexpr std::size_t kMost = 128;
    const auto few = exhibited(selection_);
    if (few.size() * all_.size() <= kMost) measurement_.keep(few);
  }

  void measure() {
    auto& images = selection_.images;
    read_ahead();
    keep_heatmaps();
    const auto start = Clock::now();
    for (std::size_t begin = 0; begin < images.size(); begin += kGroup) {
      const std::chrono::duration<double> spent = Clock::now() - start;
      if (options_.budget_seconds > 0 && begin > 0 && spent.count() > options_.budget_seconds) {
        images.resize(begin);
        selection_.cut_by_budget = true;
        return;
      }
      if (!is_mine(begin)) continue;
      const auto group = group_at(images, begin);
      measurement_.run(group, all_, cheap_, [this] { done(); });
      const auto few = probed_of(group, begin);
      if (few.empty()) continue;
      if (!costly_.empty()) measurement_.run(few, all_, costly_, [this] { done(); });
      if (!variants_.empty()) measurement_.run(few, all_, variants_, [this] { done(); });
    }
  }

  /// Scores of the objective, as it measures.
  std::vector<double> objective_scores(std::span<const std::size_t> images, std::size_t recipe) const {
    return measurement_.scores(images, recipe, selection_.objective);
  }

  void collect() {
    Selection& s = selection_;
    s.heatmaps = measurement_.heatmaps();
    for (std::size_t r : all_) {
      s.scores.push_back(objective_scores(s.images, r));
      s.curves.push_back(measurement_.mean_curves(s.images, r, s.objective));
      s.conservation.push_back(measurement_.scores(s.images, r, conservation_));
    }
    s.ranking = rank(goodness(s.objective, s.scores), options_.seed);
    const Bootstrap bootstrap(s.images.size(), options_.seed);
    for (Ranked& r : s.ranking) {
      if (!r.failed) r.score = interval_of(bootstrap, s.scores[r.recipe], are_shares(s.scores));
    }
    const auto add = [&](const MetricSpec& metric, std::span<const std::size_t> images) {
      DiagnosticScores d{metric, {}};
      for (std::size_t r : all_) d.scores.push_back(measurement_.scores(images, r, metric));
      s.diagnostics.push_back(std::move(d));
    };
    for (std::size_t i = 1; i < diagnosed_; ++i) add(cheap_[i], s.images);
    for (const MetricSpec& metric : costly_)
      add(metric, std::span(s.images).first(std::min(probed_, s.images.size())));
  }

  /// Rows of the recipes that explain: controls, which all settings put last, would feign agreement.
  std::vector<std::vector<double>> of_methods(std::vector<std::vector<double>> rows) const {
    std::size_t r = 0;
    std::erase_if(rows, [&](const auto&) { return selection_.recipes[r++].method->control; });
    return rows;
  }

  /// The orders of the recipes that other settings of the objective give.
  void vary() {
    Selection& s = selection_;
    const auto few = std::span(s.images).first(std::min(probed_, s.images.size()));
    std::vector<std::vector<double>> own;
    if (!variants_.empty()) {
      for (std::size_t r : all_) own.push_back(objective_scores(few, r));
    }
    for (const MetricSpec& metric : variants_) {
      std::vector<std::vector<double>> scores;
      for (std::size_t r : all_) scores.push_back(measurement_.scores(few, r, metric));
      scores = goodness(metric, std::move(scores));
      s.variants.push_back(
          {metric, order_agreement(of_methods(goodness(s.objective, own)), of_methods(scores), options_.seed),
           rank(scores, options_.seed)[0].recipe});
    }
  }

  /// The winner and every control on the images that were held back.
  void confirm() {
    Selection& s = selection_;
    if (s.held_back.empty() || s.ranking[0].failed) return;
    const std::size_t best = s.ranking[0].recipe;
    std::vector<std::size_t> few{best};
    for (const OverControl& c : s.over_controls) few.push_back(c.control);
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t begin = 0; begin < s.held_back.size(); begin += kGroup) {
      const auto group = group_at(s.held_back, begin);
      if (measurement_.misses(group, few, {s.objective})) groups.emplace_back(group.begin(), group.end());
    }
    measurement_.expect(std::move(groups));
    for (std::size_t begin = 0; begin < s.held_back.size(); begin += kGroup) {
      const auto group = group_at(s.held_back, begin);
      measurement_.run(group, few, {s.objective}, [this] { done(); });
    }
    const auto good = [&](std::size_t r) { return goodness(s.objective, objective_scores(s.held_back, r)); };
    std::vector<std::pair<std::size_t, std::vector<double>>> controls;
    for (std::size_t k = 1; k < few.size(); ++k) controls.emplace_back(few[k], good(few[k]));
    Confirmation& c = s.confirmation;
    c.images = s.held_back.size();
    c.score = interval_of(Bootstrap(c.images, options_.seed), objective_scores(s.held_back, best),
                          are_shares(s.scores));
    c.over_controls = over_controls(good(best), controls, options_.seed);
    const auto nearest = closest(c.over_controls);
    c.over_control = nearest ? nearest->difference : Interval{NAN, NAN, NAN};
    s.confirmed = s.beats_controls && beats_every(c.over_controls);
  }

  const SelectionOptions& options_;
  const ReportProgress& progress_;
  Measurement measurement_;
  Selection selection_;
  std::vector<MetricSpec> cheap_, costly_;  // the objective comes first
  const MetricSpec conservation_ = parse_metric("conservation");
  std::size_t diagnosed_ = 0;         // of the cheap ones: the objective and the diagnostics
  std::vector<MetricSpec> variants_;  // of the objective
  std::vector<std::size_t> all_;
  std::size_t probed_ = 0;
  std::int64_t total_ = 0, cells_ = 0;
};

}  // namespace

void validate(const SelectionData& data, const std::vector<Recipe>& recipes,
              const SelectionOptions& options) {
  if (recipes.empty() || data.items.empty())
    throw UsageError("select needs at least one recipe and one image");
  require_masks(parse_metric(options.objective), data);
  for (const std::string& text : options.diagnostics) require_masks(parse_metric(text), data);
}

std::vector<std::size_t> exhibited(const Selection& s) {
  constexpr std::size_t kExhibits = 6;
  std::vector<std::size_t> images = s.images;  // spread over the folder
  std::ranges::sort(images);
  std::vector<std::size_t> few;
  const std::size_t n = std::min(kExhibits, images.size());
  for (std::size_t k = 0; k < n; ++k) few.push_back(images[k * images.size() / n]);
  return few;
}

Selection select(const SelectionData& data, const std::vector<Recipe>& recipes,
                 const SelectionOptions& options, Results& results, const ReportProgress& progress) {
  validate(data, recipes, options);
  return Selector(data, recipes, options, results, progress).run();
}

}  // namespace heatproof
