// heatproof evaluate: one metric of one explanation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/messages.h"
#include "cli/rule_notes.h"
#include "cli/score_notes.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "report/page.h"
#include "select/shares.h"
#include "select/space.h"
#include "validate/metric.h"

namespace heatproof::cli {

namespace {

struct EvaluateFlags {
  ModelFlags model;
  std::string input, recipe, attributions, metric, masks, target = "auto", pool = "sum";
};

/// Relevance from a file, of any type of numbers, in the inputs' shape; heatmaps [N, H, W] or [N, 1, H, W]
/// count for every channel.
class Attributions {
 public:
  Attributions(const std::string& path, const Shape& input, std::int64_t count)
      : file_(path), path_(path), wanted_(input) {
    wanted_[0] = count;
    const bool image = wanted_.rank() == 4;
    const Shape flat = image ? Shape{count, wanted_[2], wanted_[3]} : wanted_;
    const Shape single = image ? Shape{count, 1, wanted_[2], wanted_[3]} : wanted_;
    const Shape& given = file_.shape();
    pixelwise_ = given != wanted_;
    if (!pixelwise_ || given == flat || given == single) return;
    throw InputError(fmt::format("{}: attributions of shape {}; the inputs' shape {}{} is needed", path,
                                 to_string(given), to_string(wanted_),
                                 image ? ", or heatmaps " + to_string(flat) : ""));
  }

  /// Those of samples [first, first + e.size()).
  void give(Evaluation& e, std::int64_t first, Pool pool) const {
    const Tensor t = to_float(file_.rows(first, first + e.size()));
    e.pixelwise = pixelwise_;
    if (!pixelwise_) {
      e.relevance = t;
      e.heatmap = pool_channels(t, pool);
      return;
    }
    const auto pixels = static_cast<std::size_t>(wanted_[2] * wanted_[3]);
    e.heatmap = t.reshaped({e.size(), wanted_[2], wanted_[3]});
    e.relevance = Tensor::empty(DType::f32, e.inputs.shape());
    const auto to = e.relevance.data<float>();
    for (std::size_t k = 0; k < to.size(); ++k) {
      const std::size_t plane = k / pixels / static_cast<std::size_t>(wanted_[1]);
      to[k] = t.data<float>()[plane * pixels + k % pixels];
    }
  }

 private:
  NpyFile file_;
  std::string path_;
  Shape wanted_;
  bool pixelwise_ = false;
};

Pool pool_word(const std::string& word) { return pool_of(parse_recipe("uniform:pool=" + word)); }

/// Why scores of a metric may be no number.
std::string why_undefined(const MetricSpec& metric) {
  const Metric& m = *metric.metric;
  if (m.name == "implementation_invariance") return "found nothing to rewrite in this network";
  if (m.needs_masks)
    return "needs a mask that is not empty, and relevance that is finite and not zero everywhere";
  return "has no value where what it compares is not finite, constant or zero (relevance, scores, or their "
         "changes)";
}

std::string mean_text(const Interval& i) {
  if (std::isnan(i.low)) return fmt::format("{:>12.6g}", i.mean);
  return fmt::format("{:>12.6g} [{:.6g}, {:.6g}]", i.mean, i.low, i.high);
}

/// What is wrong with what was scored, a line each: recipe's, or of attributions in a file.
std::vector<std::string> warnings_of(const Session& session, const InputSource& inputs, const Recipe* recipe,
                                     const std::string& file, const MetricSpec& metric, const Explained& all,
                                     std::uint64_t seed, nlohmann::json& explodes) {
  std::vector<std::string> lines;
  if (recipe != nullptr) {
    const Verdict verdict = judge(session, inputs, *recipe, all, seed);
    lines = verdict.warnings();
    explodes = verdict.explodes;
    if (!verdict.not_finite.empty()) lines[0] += "; there is no score there";
  } else {
    std::vector<std::size_t> bad;
    for (std::size_t i = 0; i < all.sums.size(); ++i)
      if (!std::isfinite(all.sums[i]) || !std::isfinite(all.scores[i])) bad.push_back(i);
    if (!bad.empty())
      lines.push_back(
          fmt::format("{}: attributions (or the network's score) are not finite for {}; there is no "
                      "score there",
                      file, some_of(bad, all.items)));
  }
  if (!all.zero.empty() && !metric.metric->scores_zero)
    lines.push_back(fmt::format("{}: relevance is zero everywhere for {}; {} has no score there",
                                recipe != nullptr ? recipe->text : file, some_of(all.zero, all.items),
                                metric.metric->name));
  return lines;
}

/// quiet: the mean alone.
void print_scores(const std::vector<InputItem>& items, const MetricSpec& metric, const Scores& scores,
                  const Interval& mean, bool quiet) {
  const auto undefined =
      static_cast<std::size_t>(std::ranges::count_if(scores.values, [](double v) { return std::isnan(v); }));
  if (quiet) {
    show("{:.6g}\n", mean.mean);
    return;
  }
  for (std::size_t i = 0; i < scores.values.size(); ++i)
    show("{:>12.6g}  {}\n", scores.values[i], items[i].name);
  show("{}  mean of {} ({}; {})\n", mean_text(mean), metric.text, metric.metric->unit,
       to_string(metric.better()));
  if (undefined > 0)
    show("{} of {} scores are undefined (nan), and so is the mean: {} {}\n", undefined, scores.values.size(),
         metric.metric->name, why_undefined(metric));
  if (!std::isnan(mean.low) && scores.values.size() < report::kFewImages)
    show("{}\n", report::intervals_over(scores.values.size()));
}

/// Scores of samples that follow those that are there.
void append(Scores& all, Scores part) {
  const std::size_t before = all.values.size();
  all.values.insert(all.values.end(), part.values.begin(), part.values.end());
  for (auto& [name, curves] : part.curves) {
    auto& to = all.curves[name];
    to.resize(before);  // samples without a score may have no curves
    std::ranges::move(curves, std::back_inserter(to));
  }
  for (auto& [name, curves] : all.curves) curves.resize(all.values.size());
}

void evaluate_command(const GlobalFlags& global, const EvaluateFlags& f) {
  if (f.recipe.empty() == f.attributions.empty())
    throw UsageError("evaluate needs either --recipe or --attributions");
  const MetricSpec metric = parse_metric(f.metric);
  const Session session(global, f.model);
  const Network& network = session.network();
  const InputSource inputs = session.open(f.input);
  const bool needs_masks = metric.metric->needs_masks;
  const Masks masks = needs_masks || !f.masks.empty()
                          ? masks_of(inputs, f.masks, needs_masks ? metric.metric->name : "")
                          : Masks();
  const Targets targets(f.target, session, inputs);
  std::optional<Attributions> given;
  std::optional<Recipe> recipe;
  std::optional<Explainer> explainer;
  if (f.recipe.empty()) {
    given.emplace(f.attributions, network.input_shape(), inputs.count());
  } else {
    recipe = read_recipe(f.recipe);
    warn_of_derivatives(global, network, std::span(&*recipe, 1));
    ExplainOptions options = session.explain_options(global.seed);
    options.expected = inputs.places();
    explainer.emplace(network, std::vector{*recipe}, options);
  }
  note_scores(global, network, recipe ? std::span<const Recipe>(&*recipe, 1) : std::span<const Recipe>(),
              std::span(&metric, 1));
  std::optional<Donors> lent;  // read when a metric borrows
  const auto donors = [&]() -> const Donors& {
    if (!lent) lent = survey(session, inputs, targets, {}).donors(inputs);
    return *lent;
  };
  Scores scores;
  Explained explained;
  InputStream stream(inputs);
  const std::int64_t together = measured_together(inputs, metric.compares_samples());
  for (InputSet set = stream.next(together); set.size() > 0; set = stream.next(together)) {
    const auto first = static_cast<std::int64_t>(explained.items.size());
    session.at(first, inputs.places());
    masks.read(set);
    Evaluation e{.network = network,
                 .inputs = set.inputs,
                 .logits = network.predict(set.inputs),
                 .masks = set.masks,
                 .black = session.black(),
                 .white = session.white(),
                 .seed = global.seed,
                 .ids = sample_ids(set.items),
                 .donors = donors};
    e.targets = targets.of(set, e.logits);
    if (given) {
      given->give(e, first, pool_word(f.pool));
    } else {
      e.explain = [&](const Tensor& x, auto of, auto ids) {
        return explainer->explain(x, of, ids).relevance[0];
      };
      e.explain_on = explain_on(*recipe, session.explain_options(global.seed));
      e.relevance = e.explain(e.inputs, e.targets, e.ids);
      e.heatmap = pool_channels(e.relevance, pool_of(*recipe));
    }
    append(scores, evaluate(metric, e));
    explained.add(set, e.logits, e.targets, e.given());
  }
  nlohmann::json explodes = nullptr;
  const auto warnings = warnings_of(session, inputs, recipe ? &*recipe : nullptr, f.attributions, metric,
                                    explained, global.seed, explodes);
  for (const std::string& line : warnings) warn(global, line);
  warn_of_files(global, stream.skipped(), stream.odd(), explained.items.size());
  const bool shares = metric.metric->unit == "hit" || metric.metric->unit == "yes or no";
  const Interval interval = interval_of(Bootstrap(scores.values.size(), global.seed), scores.values, shares);
  if (!global.json) {
    print_scores(explained.items, metric, scores, interval, global.quiet);
    return;
  }
  // The contract's "curves" are those of the first name (MoRF for pixel-flipping); all are under
  // "curves_by_name".
  nlohmann::json curves = nullptr;
  if (scores.curves.contains("morf"))
    curves = scores.curves.at("morf");
  else if (!scores.curves.empty())
    curves = scores.curves.begin()->second;
  nlohmann::json result{{"metric", metric.text},
                        {"scores", scores.values},
                        {"mean", interval.mean},
                        {"low", interval.low},
                        {"high", interval.high},
                        {"rough", interval.rough},
                        {"curves", curves},
                        {"curves_by_name", scores.curves},
                        {"explodes", explodes},
                        {"skipped", to_json(stream.skipped())},
                        {"warnings", with_odd(warnings, stream.odd())}};
  if (recipe) result["recipe"] = recipe->text;
  print_json(result);
}

}  // namespace

void add_evaluate(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<EvaluateFlags>();
  auto* command = app.add_subcommand("evaluate", "one metric of one explanation");
  add_model_flags(*command, f->model);
  command->add_option("INPUT", f->input, "an image, a folder, or .npy/.npz")->required();
  command->add_option("--recipe", f->recipe, "name:key=value,..., or a recipe.toml");
  command->add_option("--attributions", f->attributions,
                      "relevance that another tool made: .npy in the inputs' shape, or heatmaps [N, H, W]");
  command->add_option("--metric", f->metric, "name:key=value,...")->required();
  command->add_option("--masks", f->masks,
                      "masks of the true evidence: a folder, or .npy [N, H, W]; else NAME.mask.png or masks/ "
                      "beside the images");
  command->add_option("--target", f->target,
                      "auto (the predicted class), an index, a label, or a .npy of indices");
  command->add_option("--pool", f->pool, "with --attributions: sum, abs, l2, max or positive over channels");
  command->callback([f, &global] { evaluate_command(global, *f); });
}

}  // namespace heatproof::cli
