// heatproof evaluate: one metric of one explanation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/common.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "report/page.h"
#include "select/space.h"
#include "select/statistics.h"
#include "validate/metric.h"

namespace heatproof::cli {

namespace {

struct EvaluateFlags {
  ModelFlags model;
  std::string input, recipe, attributions, metric, masks, target = "auto", pool = "sum";
};

/// Relevance from a file, in the inputs' shape; heatmaps [N, H, W] or [N, 1, H, W] count for every channel.
struct Attributions {
  Tensor relevance, heatmap;
  bool pixelwise = false;
};

Attributions read_attributions(const std::string& path, const Shape& wanted, Pool pool) {
  const Tensor t = read_npy(path);
  if (t.dtype() == DType::f32) check_finite(t, path);
  if (t.dtype() == DType::f32 && t.shape() == wanted) return {t, pool_channels(t, pool)};
  const bool image = wanted.rank() == 4;
  const Shape flat = image ? Shape{wanted[0], wanted[2], wanted[3]} : wanted;
  const Shape single = image ? Shape{wanted[0], 1, wanted[2], wanted[3]} : wanted;
  if (t.dtype() != DType::f32 || (t.shape() != flat && t.shape() != single)) {
    throw InputError(fmt::format("{}: attributions of shape {}; the inputs' shape {}{} is needed", path,
                                 to_string(t.shape()), to_string(wanted),
                                 image ? ", or heatmaps " + to_string(flat) : ""));
  }
  const auto pixels = static_cast<std::size_t>(wanted[2] * wanted[3]);
  Tensor relevance = Tensor::empty(DType::f32, wanted);
  const auto to = relevance.data<float>();
  for (std::size_t k = 0; k < to.size(); ++k) {
    const std::size_t plane = k / pixels / static_cast<std::size_t>(wanted[1]);
    to[k] = t.data<float>()[plane * pixels + k % pixels];
  }
  return {relevance, t.reshaped(flat), true};
}

Pool pool_word(const std::string& word) { return pool_of(parse_recipe("uniform:pool=" + word)); }

/// Why scores of a metric may be no number.
std::string why_undefined(const MetricSpec& metric) {
  const Metric& m = *metric.metric;
  if (m.name == "implementation_invariance") return "found nothing to rewrite in this network";
  if (m.needs_masks) return "needs a mask that is not empty, and relevance that is not zero everywhere";
  return "has no value where what it compares is constant or zero (relevance, scores, or their changes)";
}

std::string mean_text(const Interval& i) {
  if (std::isnan(i.low)) return fmt::format("{:>12.6g}", i.mean);
  return fmt::format("{:>12.6g} [{:.6g}, {:.6g}]", i.mean, i.low, i.high);
}

/// quiet: the mean alone.
void print_scores(const InputSet& set, const MetricSpec& metric, const Scores& scores, const Interval& mean,
                  bool quiet) {
  const auto undefined =
      static_cast<std::size_t>(std::ranges::count_if(scores.values, [](double v) { return std::isnan(v); }));
  if (quiet) {
    fmt::print("{:.6g}\n", mean.mean);
    return;
  }
  for (std::size_t i = 0; i < scores.values.size(); ++i)
    fmt::print("{:>12.6g}  {}\n", scores.values[i], set.items[i].name);
  fmt::print("{}  mean of {} ({}; {})\n", mean_text(mean), metric.text, metric.metric->unit,
             to_string(metric.better()));
  if (undefined > 0)
    fmt::print("{} of {} scores are undefined (nan), and so is the mean: {} {}\n", undefined,
               scores.values.size(), metric.metric->name, why_undefined(metric));
  if (!std::isnan(mean.low) && scores.values.size() < report::kFewImages)
    fmt::print("{}\n", report::intervals_over(scores.values.size()));
}

void evaluate_command(const GlobalFlags& global, const EvaluateFlags& f) {
  if (f.recipe.empty() == f.attributions.empty())
    throw UsageError("evaluate needs either --recipe or --attributions");
  const MetricSpec metric = parse_metric(f.metric);
  const Session session(global, f.model);
  InputSet set = session.load(f.input);
  const bool needs_masks = metric.metric->needs_masks;
  if (needs_masks || !f.masks.empty())
    take_masks(set, f.input, f.masks, session, needs_masks ? metric.metric->name : "");
  Evaluation e{.network = session.network(),
               .inputs = set.inputs,
               .logits = session.network().predict(set.inputs),
               .masks = set.masks,
               .black = session.black(),
               .white = session.white(),
               .seed = global.seed,
               .ids = sample_ids(set)};
  e.targets = session.targets(f.target, e.logits);
  std::unique_ptr<Explainer> explainer;
  std::string recipe_text;
  if (f.attributions.empty()) {
    const Recipe recipe = read_recipe(f.recipe);
    recipe_text = recipe.text;
    explainer = std::make_unique<Explainer>(session.network(), std::vector{recipe},
                                            session.explain_options(global.seed));
    e.explain = [&](const Tensor& x, auto targets, auto ids) {
      return explainer->explain(x, targets, ids).relevance[0];
    };
    e.explain_on = explain_on(recipe, session.explain_options(global.seed));
    e.relevance = e.explain(e.inputs, e.targets, e.ids);
    e.heatmap = pool_channels(e.relevance, pool_of(recipe));
  } else {
    const Attributions a = read_attributions(f.attributions, set.inputs.shape(), pool_word(f.pool));
    e.relevance = a.relevance;
    e.heatmap = a.heatmap;
    e.pixelwise = a.pixelwise;
  }
  const Scores scores = evaluate(metric, e);
  const Interval interval = Bootstrap(scores.values.size(), global.seed).interval(scores.values);
  if (!global.json) {
    print_scores(set, metric, scores, interval, global.quiet);
    return;
  }
  // The contract's "curves" are those of the first name (MoRF for pixel-flipping); all are under
  // "curves_by_name".
  nlohmann::json curves = nullptr;
  if (scores.curves.contains("morf"))
    curves = scores.curves.at("morf");
  else if (!scores.curves.empty())
    curves = scores.curves.begin()->second;
  nlohmann::json result{{"metric", metric.text},          {"scores", scores.values},
                        {"mean", interval.mean},          {"low", interval.low},
                        {"high", interval.high},          {"curves", curves},
                        {"curves_by_name", scores.curves}};
  if (!recipe_text.empty()) result["recipe"] = recipe_text;
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
