// Copies of graphs with other constants and other nodes.
#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "graph/builder.h"

namespace heatproof {

/// New inputs of a node by position, where they differ.
using NewConstants = std::map<std::pair<NodeId, std::size_t>, Tensor>;
/// Emits something else for a node; an invalid Value keeps it.
using Emit = std::function<Value(Builder&, const Node&, const std::vector<Value>& inputs)>;
/// A constant in place of a node; an invalid Value keeps it.
using Replace = std::function<Value(Builder&, NodeId)>;

Graph copy_graph(const Graph& graph, const NewConstants& constants, const Emit& emit,
                 const Replace& replace = {});
/// The graph with every value that depends on no input as a constant (folded BatchNorms leave products of
/// constants).
Graph materialize(const Graph& graph);

/// A convolution or dense layer with constant weights and bias.
bool is_layer(const Graph& graph, NodeId id);
const Tensor& weights_of(const Graph& graph, NodeId layer);

}  // namespace heatproof
