// heatproof inspect: what a model is made of.
#include <fmt/format.h>

#include <map>

#include "cli/common.h"
#include "cli/messages.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "ops/behaviour.h"
#include "select/space.h"

namespace heatproof::cli {

namespace {

struct InspectFlags {
  ModelFlags model;
  std::string recipe;
  bool graph = false;
};

/// The rules that a recipe gives to the network's nodes.
nlohmann::json rules_json(const std::vector<NodeRule>& rules) {
  nlohmann::json rows = nlohmann::json::array();
  for (const NodeRule& r : rules) {
    rows.push_back({{"node", r.node},
                    {"op", r.op},
                    {"behaviour", to_string(r.behaviour)},
                    {"rule", r.rule.empty() ? nlohmann::json(nullptr) : nlohmann::json(r.rule)},
                    {"left_to_derivative", r.by_default}});
  }
  return rows;
}

void print_rules(const Recipe& recipe, const std::vector<NodeRule>& rules) {
  if (rules.empty()) {
    show("\n{} propagates no relevance: no rules\n", recipe.text);
    return;
  }
  show("\n  {}: from the input to the output\n  {:<20} {:<14} {:<44} node\n", recipe.text, "operator",
       "behaviour", "rule");
  std::size_t left = 0;
  for (const NodeRule& r : rules) {
    const std::string rule = r.by_default     ? "gradient (no rule)"
                             : r.rule.empty() ? "(within a rule behind it)"
                                              : r.rule;
    show("  {:<20} {:<14} {:<44} {}\n", r.op, to_string(r.behaviour), rule, r.node);
    left += r.by_default ? 1 : 0;
  }
  if (left > 0)
    show(
        "  {} nodes have no rule: relevance passes through them by the derivative, which neither conserves "
        "it nor shares it in proportion\n",
        left);
}

void inspect(const GlobalFlags& global, const InspectFlags& f) {
  const Model model = Model::inspect(f.model.model);
  nlohmann::json json{{"file", f.model.model},
                      {"hash", model.hash()},
                      {"opset", model.opset()},
                      {"producer", model.producer()}};
  constexpr std::size_t kMostListed = 1000;  // the counts say how many there are
  nlohmann::json unsupported = nlohmann::json::array();
  std::map<std::string, std::size_t> unsupported_counts;
  for (const UnsupportedNode& n : model.unsupported()) {
    ++unsupported_counts[n.op];
    if (unsupported.size() < kMostListed) unsupported.push_back({{"node", n.node}, {"op", n.op}});
  }
  json["unsupported"] = unsupported;
  if (!unsupported_counts.empty()) json["unsupported_counts"] = unsupported_counts;
  if (!model.unsupported().empty()) {
    if (global.json) print_json(json);
    model.check_supported();
  }
  const Session session(global, f.model, model);
  const Graph& graph = session.network().graph(session.network().unit());
  std::int64_t parameters = 0;
  std::map<std::string, int> counts;
  nlohmann::json layers = nlohmann::json::array();
  for (const Node& node : graph.nodes()) {
    if (node.op == &kConstant) parameters += node.constant.elements();
    if (node.op == &kConstant || node.op == &kFill) continue;
    ++counts[std::string(node.op->name)];
    layers.push_back({{"name", node.name}, {"op", node.op->name}, {"shape", node.type.shape}});
  }
  json["parameters"] = parameters;
  json["layers"] = layers;
  json["classes"] = session.network().classes();
  std::optional<Recipe> recipe;
  std::vector<NodeRule> rules;
  if (!f.recipe.empty()) {
    recipe = read_recipe(f.recipe);
    rules = rules_of(session.network(), *recipe);
    json["recipe"] = recipe->text;
    json["rules"] = rules_json(rules);
  }
  if (global.json) {
    print_json(json);
    return;
  }
  show("{}\n  sha256 {}\n  opset {}, {}\n", f.model.model, model.hash(), model.opset(), model.producer());
  for (const ModelInput& input : model.inputs()) {
    std::string dims;
    for (const auto& d : input.dims)
      dims += (dims.empty() ? "" : "x") + (d ? std::to_string(*d) : std::string("?"));
    show("  input  {} {} {}\n", input.name, to_string(input.dtype), dims);
  }
  for (const std::string& name : model.outputs()) show("  output {}\n", name);
  show("  {} parameters, {} classes; canonical operators:", parameters, session.network().classes());
  for (const auto& [op, count] : counts) show(" {} {}", count, op);
  show("\n\n");
  if (f.graph) show_text(to_string(graph));
  for (const Node& node : graph.nodes()) {
    if (f.graph || node.op == &kConstant || node.op == &kFill) continue;
    show("  {:<22} {:<18} {}\n", node.op->name, to_string(node.type.shape), node.name);
  }
  if (recipe) print_rules(*recipe, rules);
}

}  // namespace

void add_inspect(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<InspectFlags>();
  auto* command =
      app.add_subcommand("inspect", "layers, shapes, parameters, canonical graph, unsupported operators");
  add_model_flags(*command, f->model);
  command->add_option("--recipe", f->recipe,
                      "show how each node is declared to behave, and the rule that it gets");
  command->add_flag("--graph", f->graph, "print the canonical graph");
  command->callback([f, &global] { inspect(global, *f); });
}

}  // namespace heatproof::cli
