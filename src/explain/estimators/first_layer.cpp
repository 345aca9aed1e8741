#include "explain/estimators/first_layer.h"

#include "graph/operator.h"

namespace heatproof {

namespace {

/// The first linear layer with constant weights, where nothing else uses the network's input; kNone
/// otherwise.
NodeId first_layer(const Graph& network) {
  const NodeId input = network.inputs()[0];
  const std::vector<NodeId> users = network.users()[static_cast<std::size_t>(input)];
  if (users.size() != 1) return kNone;
  const Node& node = network.node(users[0]);
  const Kind kind = node.op->traits.kind;
  if ((kind != Kind::convolution && kind != Kind::dense) || node.inputs[0] != input) return kNone;
  for (const Output& output : network.outputs()) {
    if (output.id == input || output.id == users[0]) return kNone;
  }
  return users[0];
}

}  // namespace

Head head_of(Builder& g, const Graph& network, Value x) {
  const NodeId layer = first_layer(network);
  if (layer == kNone) return {x, std::nullopt};
  const Value cut = g.splice(network, {x})[static_cast<std::size_t>(layer)];
  // A constant x (a baseline) leaves a constant, which has no linear view.
  return {cut, cut.constant() ? std::nullopt : cut.node().op->linear(cut)};
}

Value pull_back(const Head& head, Value gradient) {
  return head.layer ? head.layer->transpose(head.layer->w, gradient)[0] : gradient;
}

Graph tail_of(const Graph& network) {
  const NodeId layer = first_layer(network);
  if (layer == kNone) return network;
  Builder g;
  std::vector<Value> values;
  for (NodeId id = 0; id < network.size(); ++id) {
    const Node& node = network.node(id);
    if (id == layer) {
      values.push_back(g.input("cut", node.type));
    } else if (node.op == &kInput) {
      values.emplace_back();
    } else if (node.op == &kConstant) {
      values.push_back(g.constant(node.constant, node.name));
    } else {
      std::vector<Value> inputs;
      for (NodeId input : node.inputs)
        inputs.push_back(input == kNone ? Value{} : values[static_cast<std::size_t>(input)]);
      values.push_back(g.add(*node.op, inputs, node.attributes, node.name));
    }
  }
  for (const Output& output : network.outputs())
    g.output(output.name, values[static_cast<std::size_t>(output.id)]);
  return g.build();
}

}  // namespace heatproof
