#include "graph/rewrite.h"

#include <algorithm>

#include "graph/operator.h"

namespace heatproof {

namespace {

using Hook = Value (*Operator::*)(Value node, const std::vector<bool>& sole_use);

/// One sweep; `changed` tells whether any node was rewritten.
Graph sweep(const Graph& graph, Hook hook, bool& changed) {
  Builder builder;
  const auto users = graph.users();
  std::vector<bool> is_output(graph.nodes().size(), false);
  for (const Output& output : graph.outputs()) is_output[static_cast<std::size_t>(output.id)] = true;
  std::vector<Value> values(graph.nodes().size());
  for (std::size_t id = 0; id < values.size(); ++id) {
    const Node& node = graph.nodes()[id];
    if (node.op == &kInput) {
      values[id] = builder.input(node.name, node.type);
      continue;
    }
    if (node.op == &kConstant) {
      values[id] = builder.constant(node.constant, node.name);
      continue;
    }
    std::vector<Value> arguments;
    std::vector<bool> sole_use;
    for (NodeId input : node.inputs) {
      arguments.push_back(input == kNone ? Value{} : values[static_cast<std::size_t>(input)]);
      sole_use.push_back(input != kNone && users[static_cast<std::size_t>(input)].size() == 1 &&
                         !is_output[static_cast<std::size_t>(input)]);
    }
    values[id] = builder.add(*node.op, std::move(arguments), node.attributes, node.name);
    const Node& added = values[id].node();
    const auto rewrite = added.op->*hook;
    if (added.op == node.op && rewrite != nullptr && added.inputs.size() == sole_use.size()) {
      if (Value better = rewrite(values[id], sole_use)) {
        values[id] = better;
        changed = true;
      }
    }
  }
  for (const Output& output : graph.outputs())
    builder.output(output.name, values[static_cast<std::size_t>(output.id)]);
  return builder.build();
}

Graph to_fixed_point(const Graph& graph, Hook hook) {
  constexpr int kMostSweeps = 16;
  Graph result = graph;
  bool changed = true;
  for (int i = 0; changed && i < kMostSweeps; ++i) {
    changed = false;
    result = sweep(result, hook, changed);
  }
  return result;
}

}  // namespace

Graph canonicalize(const Graph& graph) { return to_fixed_point(graph, &Operator::canonicalize); }
Graph for_compiling(const Graph& graph) { return to_fixed_point(graph, &Operator::compiled); }

}  // namespace heatproof
