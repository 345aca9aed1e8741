// heatproof check: the axioms on the user's own network, with figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/common.h"
#include "explain/equivalents.h"
#include "heatproof/error.h"
#include "select/space.h"
#include "validate/metric.h"

namespace heatproof::cli {

namespace {

struct CheckFlags {
  ModelFlags model;
  std::string input, recipe, target = "auto";
  std::vector<std::string> metrics;  // empty: the axioms
};

struct Axiom {
  MetricSpec metric;
  std::vector<double> scores;
  double mean = 0, low = INFINITY, high = -INFINITY;
};

Axiom measure(const std::string& text, const Evaluation& e) {
  Axiom a{parse_metric(text), {}};
  a.scores = evaluate(a.metric, e).values;
  for (double v : a.scores) {
    a.mean += v / static_cast<double>(a.scores.size());
    a.low = std::min(a.low, v);
    a.high = std::max(a.high, v);
  }
  return a;
}

/// Mean over samples of what left a layer, divided by what entered it.
double kept(const LedgerLine& line) {
  double sum = 0;
  for (std::size_t i = 0; i < line.entering.size(); ++i) sum += line.leaving[i] / line.entering[i];
  return sum / static_cast<double>(line.entering.size());
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

void print_text(const Recipe& recipe, const std::vector<Axiom>& axioms, const std::vector<LedgerLine>& ledger,
                std::size_t samples) {
  fmt::print("{} on {} sample{}\n\n{:<52} {:>12} {:>12} {:>12}  {}\n", recipe.text, samples,
             samples == 1 ? "" : "s", "axiom", "mean", "least", "most", "ideal");
  for (const Axiom& a : axioms)
    fmt::print("{:<52} {:>12.5g} {:>12.5g} {:>12.5g}  {}\n", a.metric.text, a.mean, a.low, a.high,
               to_string(a.metric.better()));
  if (ledger.empty()) {
    fmt::print("\nNo layer-by-layer sums: {} does not propagate relevance.\n", recipe.method->name);
    return;
  }
  fmt::print("\nrelevance, layer by layer (means over samples)\n{:<18} {:<24} {:>12} {:>12} {:>9}  {}\n",
             "operator", "rule", "entering", "leaving", "kept", "layer");
  for (const LedgerLine& line : ledger)
    fmt::print("{:<18} {:<24} {:>12.5g} {:>12.5g} {:>9.5f}  {}\n", line.op, line.rule, mean_of(line.entering),
               mean_of(line.leaving), kept(line), line.node);
}

void check_command(const GlobalFlags& global, const CheckFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  const Session session(global, f.model);
  const InputSet set = session.load(f.input);
  ExplainOptions options = session.explain_options(global.seed);
  Explainer explainer(session.network(), {recipe}, options);
  options.ledger = true;
  Explainer bookkeeper(session.network(), {recipe}, options);
  Evaluation e{
      .network = session.network(),
      .inputs = set.inputs,
      .logits = session.network().predict(set.inputs),
      .black = session.black(),
      .white = session.white(),
      .explain = [&](const Tensor& x, auto t, auto ids) { return explainer.explain(x, t, ids).relevance[0]; },
      .seed = global.seed,
      .ids = sample_ids(set)};
  e.explain_on = explain_on(recipe, session.explain_options(global.seed));
  e.targets = session.targets(f.target, e.logits);
  const Explanation explanation = bookkeeper.explain(e.inputs, e.targets, e.ids);
  e.relevance = explanation.relevance[0];
  e.heatmap = pool_channels(e.relevance, pool_of(recipe));
  std::vector<Axiom> axioms;
  for (const std::string& text : f.metrics) axioms.push_back(measure(text, e));
  if (f.metrics.empty()) {
    for (const char* text : {"conservation", "positivity", "continuity"}) axioms.push_back(measure(text, e));
    for (const Equivalent& rewrite : equivalents())
      axioms.push_back(measure("implementation_invariance:rewrite=" + rewrite.name, e));
  }
  const auto& ledger = explanation.ledger[0];
  if (!global.json) {
    if (!global.quiet) print_text(recipe, axioms, ledger, set.items.size());
    return;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Axiom& a : axioms)
    list.push_back({{"metric", a.metric.text},
                    {"scores", a.scores},
                    {"mean", a.mean},
                    {"ideal", to_string(a.metric.better())},
                    {"about", a.metric.metric->about}});
  nlohmann::json lines = nlohmann::json::array();
  for (const LedgerLine& line : ledger)
    lines.push_back({{"layer", line.node},
                     {"op", line.op},
                     {"rule", line.rule},
                     {"entering", line.entering},
                     {"leaving", line.leaving}});
  print_json({{"recipe", recipe.text}, {"targets", e.targets}, {"axioms", list}, {"ledger", lines}});
}

}  // namespace

void add_check(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<CheckFlags>();
  auto* command = app.add_subcommand("check", "the axioms on your network, with figures");
  add_model_flags(*command, f->model);
  command->add_option("INPUT", f->input, "an image, a folder, or .npy/.npz")->required();
  command->add_option("--recipe", f->recipe, "name:key=value,..., or a recipe.toml")->required();
  command->add_option("--metric", f->metrics, "what to measure; may be repeated");
  command->add_option("--target", f->target,
                      "auto (the predicted class), an index, a label, or a .npy of indices");
  command->callback([f, &global] { check_command(global, *f); });
}

}  // namespace heatproof::cli
