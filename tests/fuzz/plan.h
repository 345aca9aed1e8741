// A graph as it is asked for, node by node, before the builder simplifies anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/operator.h"

namespace heatproof::fuzz {

struct PlanNode {
  const Operator* op = nullptr;
  std::vector<int> inputs = {};  // positions of nodes
  Attributes attributes = {};
  Tensor data = {};       // of constants
  std::string name = {};  // networks that were imported have names
};

struct Plan {
  Shape input;
  std::vector<PlanNode> nodes;  // the first is the input
  std::vector<int> outputs;     // the last node first
};

/// The graph that bytes describe: valid, and small.
Plan plan_of(std::string_view bytes);
/// Adds a plan's nodes to a builder; a value per node.
std::vector<Value> build(Builder& g, const Plan& plan);
std::string to_string(const Plan& plan);

}  // namespace heatproof::fuzz
