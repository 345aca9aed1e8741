#include "explain/graph_copy.h"

#include "engine/program.h"
#include "graph/operator.h"
#include "ops/operators.h"

namespace heatproof {

Graph copy_graph(const Graph& graph, const NewConstants& constants, const Emit& emit,
                 const Replace& replace) {
  Builder g;
  std::vector<Value> values;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == &kInput) {
      values.push_back(g.input(node.name, node.type));
      continue;
    }
    if (const Value other = replace ? replace(g, id) : Value{}) {
      values.push_back(other);
      continue;
    }
    if (node.op == &kConstant) {
      values.push_back(g.constant(node.constant, node.name));
      continue;
    }
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto it = constants.find({id, i});
      if (it != constants.end())
        inputs.push_back(g.constant(it->second));
      else
        inputs.push_back(node.inputs[i] == kNone ? Value{}
                                                 : values[static_cast<std::size_t>(node.inputs[i])]);
    }
    Value value = emit ? emit(g, node, inputs) : Value{};
    if (!value) value = g.add(*node.op, inputs, node.attributes, node.name);
    values.push_back(value);
  }
  for (const Output& output : graph.outputs())
    g.output(output.name, values[static_cast<std::size_t>(output.id)]);
  return g.build();
}

Graph materialize(const Graph& graph) {
  std::vector<Value> copies;
  std::vector<NodeId> wanted;
  Builder g;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    bool known = node.op != &kInput;
    std::vector<Value> inputs;
    for (NodeId input : node.inputs) {
      inputs.push_back(input == kNone ? Value{} : copies[static_cast<std::size_t>(input)]);
      known = known && (input == kNone || inputs.back());
    }
    copies.push_back(!known                  ? Value{}
                     : node.op == &kConstant ? g.constant(node.constant)
                                             : g.add(*node.op, inputs, node.attributes));
    if (!known || node.op == &kConstant || node.op == &kFill || node.type.dtype != DType::f32) continue;
    g.output(std::to_string(id), copies.back());
    wanted.push_back(id);
  }
  if (wanted.empty()) return graph;
  const std::vector<Tensor> results = Workspace(compile(g.build())).run(std::span<const Tensor>{});
  std::map<NodeId, Tensor> known;
  for (std::size_t k = 0; k < wanted.size(); ++k) known[wanted[k]] = results[k].clone();
  return copy_graph(graph, {}, {}, [&](Builder& b, NodeId id) {
    const auto it = known.find(id);
    return it == known.end() ? Value{} : b.constant(it->second, graph.node(id).name);
  });
}

bool is_layer(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != &kConv && node.op != &kLinear) return false;
  return graph.node(node.inputs[1]).op == &kConstant &&
         (node.inputs.size() < 3 || node.inputs[2] == kNone || graph.node(node.inputs[2]).op == &kConstant);
}

const Tensor& weights_of(const Graph& graph, NodeId layer) {
  return graph.node(graph.node(layer).inputs[1]).constant;
}

}  // namespace heatproof
