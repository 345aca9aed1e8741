// heatproof inspect: what a model is made of.
#include <fmt/format.h>

#include <map>

#include "cli/common.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"

namespace heatproof::cli {

namespace {

struct InspectFlags {
  ModelFlags model;
  bool graph = false;
};

void inspect(const GlobalFlags& global, const InspectFlags& f) {
  const Model model = Model::inspect(f.model.model);
  nlohmann::json json{{"file", f.model.model},
                      {"hash", model.hash()},
                      {"opset", model.opset()},
                      {"producer", model.producer()}};
  nlohmann::json unsupported = nlohmann::json::array();
  for (const UnsupportedNode& n : model.unsupported())
    unsupported.push_back({{"node", n.node}, {"op", n.op}});
  json["unsupported"] = unsupported;
  if (!model.unsupported().empty()) {
    if (global.json) print_json(json);
    model.check_supported();
  }
  const Session session(global, f.model, model);
  const Graph& graph = session.network().graph(1);
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
  if (global.json) {
    print_json(json);
    return;
  }
  fmt::print("{}\n  sha256 {}\n  opset {}, {}\n", f.model.model, model.hash(), model.opset(),
             model.producer());
  for (const ModelInput& input : model.inputs()) {
    std::string dims;
    for (const auto& d : input.dims)
      dims += (dims.empty() ? "" : "x") + (d ? std::to_string(*d) : std::string("?"));
    fmt::print("  input  {} {} {}\n", input.name, to_string(input.dtype), dims);
  }
  for (const std::string& name : model.outputs()) fmt::print("  output {}\n", name);
  fmt::print("  {} parameters, {} classes; canonical operators:", parameters, session.network().classes());
  for (const auto& [op, count] : counts) fmt::print(" {} {}", count, op);
  fmt::print("\n\n");
  if (f.graph) {
    fmt::print("{}", to_string(graph));
    return;
  }
  for (const Node& node : graph.nodes()) {
    if (node.op == &kConstant || node.op == &kFill) continue;
    fmt::print("  {:<22} {:<18} {}\n", node.op->name, to_string(node.type.shape), node.name);
  }
}

}  // namespace

void add_inspect(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<InspectFlags>();
  auto* command =
      app.add_subcommand("inspect", "layers, shapes, parameters, canonical graph, unsupported operators");
  add_model_flags(*command, f->model);
  command->add_flag("--graph", f->graph, "print the canonical graph");
  command->callback([f, &global] { inspect(global, *f); });
}

}  // namespace heatproof::cli
