#include "select/selection.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "heatproof/error.h"
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

std::optional<std::size_t> best_control(const Selection& s) {
  for (const Ranked& r : s.ranking) {
    if (s.recipes[r.recipe].method->control && !r.failed) return r.recipe;
  }
  return std::nullopt;
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

void correlate(Selection& s) {
  std::vector<std::vector<double>> means(1 + s.diagnostics.size());
  for (std::size_t r = 0; r < s.recipes.size(); ++r) {
    means[0].push_back(goodness(s.objective, mean_of(s.scores[r])));
    for (std::size_t d = 0; d < s.diagnostics.size(); ++d)
      means[d + 1].push_back(goodness(s.diagnostics[d].metric, mean_of(s.diagnostics[d].scores[r])));
  }
  for (const auto& a : means) {
    s.agreement.emplace_back();
    for (const auto& b : means) s.agreement.back().push_back(kendall_tau(a, b));
  }
}

void require_masks(const MetricSpec& metric, const SelectionData& data) {
  if (metric.metric->needs_masks && data.mask_hashes.empty())
    throw UsageError(metric.metric->name + " needs masks; give --masks FOLDER or FILE.npy");
}

void judge(Selection& s, std::uint64_t seed) {
  const auto control = best_control(s);
  const auto& best = s.ranking[0];
  const bool is_control = s.recipes[best.recipe].method->control;
  if (control && !is_control && !best.failed) {
    s.over_control = Bootstrap(s.images.size(), seed)
                         .interval(minus(goodness(s.objective, s.scores[best.recipe]),
                                         goodness(s.objective, s.scores[*control])));
  }
  s.beats_controls = !is_control && !best.failed && (!control || s.over_control.low > 0);
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
    const auto per_recipe = groups(selection_.images.size()) * cheap_.size() +
                            groups(probed_) * (costly_.size() + variants_.size());
    total_ = static_cast<std::int64_t>(per_recipe * recipes.size() + groups(selection_.held_back.size()) * 2);
  }

  Selection run() {
    measure();
    if (options_.shards > 1) return selection_;  // nothing is concluded before the shards are merged
    collect();
    judge(selection_, options_.seed);
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
      if (!r.failed) r.score = bootstrap.interval(s.scores[r.recipe]);
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
      s.variants.push_back({metric, order_agreement(goodness(s.objective, own), scores, options_.seed),
                            rank(scores, options_.seed)[0].recipe});
    }
  }

  /// The winner and the best control on the images that were held back.
  void confirm() {
    Selection& s = selection_;
    if (s.held_back.empty() || s.ranking[0].failed) return;
    std::vector<std::size_t> few{s.ranking[0].recipe};
    const auto control = best_control(s);
    if (control && *control != few[0]) few.push_back(*control);
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
    const Bootstrap bootstrap(s.held_back.size(), options_.seed);
    const auto winner = objective_scores(s.held_back, few[0]);
    s.confirmation.images = s.held_back.size();
    s.confirmation.score = bootstrap.interval(winner);
    s.confirmation.over_control = {NAN, NAN, NAN};
    if (few.size() > 1)
      s.confirmation.over_control = bootstrap.interval(
          minus(goodness(s.objective, winner), goodness(s.objective, objective_scores(s.held_back, few[1]))));
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
