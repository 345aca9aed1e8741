// A network, or an explanation of one: nodes in topological order.
//
//   for (const Node& node : graph.nodes()) fmt::print("{}\n", node.op->name);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/attributes.h"
#include "heatproof/tensor.h"

namespace heatproof {

struct Operator;

using NodeId = std::int32_t;
inline constexpr NodeId kNone = -1;  // an optional input that is absent

/// What the values of a node are known to be; rules use it to leave out halves that are zero.
enum class Sign : std::uint8_t { any, non_negative, non_positive, zero };

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  bool operator==(const Type&) const = default;
};

/// An operator applied to the results of other nodes. Every node has exactly one result, so a node is also a
/// value; operators with several results become one node per result.
struct Node {
  const Operator* op = nullptr;
  std::vector<NodeId> inputs;
  Attributes attributes;
  Type type;
  Sign sign = Sign::any;
  Tensor constant;   // only of Constant
  std::string name;  // the name in the model, or of the input; not part of the node's identity
};

struct Output {
  std::string name;
  NodeId id = kNone;
};

/// Immutable; made by `Builder::build`. Nodes come after the nodes that they use.
class Graph {
 public:
  Graph() = default;
  Graph(std::vector<Node> nodes, std::vector<NodeId> inputs, std::vector<Output> outputs);

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_.at(static_cast<std::size_t>(id)); }
  NodeId size() const { return static_cast<NodeId>(nodes_.size()); }
  const std::vector<NodeId>& inputs() const { return inputs_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  /// For every node, the nodes that use it (once per use), in order.
  std::vector<std::vector<NodeId>> users() const;

 private:
  std::vector<Node> nodes_;
  std::vector<NodeId> inputs_;
  std::vector<Output> outputs_;
};

/// One line per node: `%3 = Conv(%0, %1, %2) strides=[2,2] : f32 1x64x112x112  # conv1`.
std::string to_string(const Graph& graph);

}  // namespace heatproof
