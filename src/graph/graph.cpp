#include "graph/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "graph/operator.h"

namespace heatproof {

Graph::Graph(std::vector<Node> nodes, std::vector<NodeId> inputs, std::vector<Output> outputs)
    : nodes_(std::move(nodes)), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}

std::vector<std::vector<NodeId>> Graph::users() const {
  std::vector<std::vector<NodeId>> users(nodes_.size());
  for (NodeId id = 0; id < size(); ++id) {
    for (NodeId input : node(id).inputs) {
      if (input != kNone) users[static_cast<std::size_t>(input)].push_back(id);
    }
  }
  return users;
}

double Attributes::number(std::string_view name, double otherwise) const {
  auto it = items_.find(name);
  if (it != items_.end() && std::holds_alternative<std::int64_t>(it->second)) {
    return static_cast<double>(std::get<std::int64_t>(it->second));
  }
  return get(name, otherwise);
}

std::string to_string(const Attributes& attributes) {
  std::string text;
  for (const auto& [name, value] : attributes) {
    if (!text.empty()) text += ' ';
    text += name + "=";
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::vector<std::int64_t>> ||
                        std::is_same_v<T, std::vector<double>>) {
            text += fmt::format("[{}]", fmt::join(v, ","));
          } else {
            text += fmt::format("{}", v);
          }
        },
        value);
  }
  return text;
}

std::string to_string(const Graph& graph) {
  std::string text;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    text += fmt::format("%{} = {}(", id, node.op->name);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      text += i == 0 ? "" : ", ";
      text += node.inputs[i] == kNone ? "-" : fmt::format("%{}", node.inputs[i]);
    }
    text += ")";
    if (const std::string attributes = to_string(node.attributes); !attributes.empty())
      text += " " + attributes;
    text += fmt::format(" : {} {}", to_string(node.type.dtype), to_string(node.type.shape));
    if (!node.name.empty()) text += "  # " + printable(node.name);
    text += '\n';
  }
  for (const Output& output : graph.outputs())
    text += fmt::format("output {} = %{}\n", printable(output.name), output.id);
  return text;
}

}  // namespace heatproof
