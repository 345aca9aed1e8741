// Builds graphs node by node; equal nodes are made once (common-subexpression elimination by construction).
//
//   Builder g;
//   Value x = g.input("x", {DType::f32, {1, 3, 8, 8}});
//   g.output("y", g.add(kRelu, {x}));
//   Graph graph = g.build();
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"

namespace heatproof {

class Builder;

/// A handle of a node in a Builder; copied freely, valid as long as its Builder. Arithmetic on Values emits
/// nodes (ops/arithmetic.h).
class Value {
 public:
  Value() = default;
  Value(Builder* builder, NodeId id) : builder_(builder), id_(id) {}

  explicit operator bool() const { return builder_ != nullptr; }
  bool operator==(const Value&) const = default;
  Builder& builder() const { return *builder_; }
  NodeId id() const { return id_; }
  const Node& node() const;
  const Shape& shape() const { return node().type.shape; }
  DType dtype() const { return node().type.dtype; }
  Sign sign() const { return node().sign; }
  /// The i-th input of the node; invalid where an optional input is absent.
  Value input(std::size_t i) const;
  std::size_t inputs() const { return node().inputs.size(); }
  bool is(const Operator& op) const { return node().op == &op; }
  const Attributes& attributes() const { return node().attributes; }
  /// Does not depend on any input of the graph.
  bool constant() const;

 private:
  Builder* builder_ = nullptr;
  NodeId id_ = kNone;
};

class Builder {
 public:
  Builder() = default;
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  Value input(std::string name, Type type);
  Value constant(Tensor tensor, std::string name = {});
  /// A constant of `shape` whose elements are all `value`, without storage.
  Value fill(Shape shape, float value);
  Value integers(const std::vector<std::int64_t>& values);
  /// Zeros, to be filled and made a constant: memory for what is computed from constants while the graph is
  /// built. Throws Error where that is more than any table of a network is.
  Tensor computed(DType dtype, const Shape& shape);
  /// A value that outlives the run; equal names are the same value.
  Value state(const std::string& name, const Shape& shape);
  /// The result of an operator: simplified, folded, or an equal node that is already there. Inputs may be
  /// invalid Values (absent). Throws Error or UnsupportedError with the operator's name when the inputs do
  /// not fit, are empty, or would make a value that is empty or too large.
  Value add(const Operator& op, std::vector<Value> inputs, Attributes attributes = {}, std::string name = {});
  void output(std::string name, Value value);

  const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  bool constant(NodeId id) const { return constant_[static_cast<std::size_t>(id)]; }
  NodeId size() const { return static_cast<NodeId>(nodes_.size()); }

  /// Copies a graph into this builder, feeding its inputs with `inputs` (same order); returns a Value for
  /// every node.
  std::vector<Value> splice(const Graph& graph, const std::vector<Value>& inputs);
  /// The graph of all nodes that the outputs need, and all inputs.
  Graph build() const;

 private:
  Value append(Node node);
  /// Throws Error where constants that are computed take too much memory with these.
  void charge(std::size_t bytes);
  Value find_equal(const Node& node, std::size_t hash) const;

  std::deque<Node> nodes_;  // references stay valid while nodes are added
  std::vector<bool> constant_;
  std::vector<NodeId> inputs_;
  std::vector<Output> outputs_;
  std::unordered_multimap<std::size_t, NodeId> known_;
  std::size_t computed_ = 0;  // bytes of constants that were computed from constants
};

}  // namespace heatproof
