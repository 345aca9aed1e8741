#include "fuzz/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace heatproof::fuzz {

std::vector<Value> build(Builder& g, const Plan& plan) {
  std::vector<Value> values;
  for (const PlanNode& node : plan.nodes) {
    if (node.op == &kInput) {
      values.push_back(g.input("x", {DType::f32, plan.input}));
    } else if (node.op == &kConstant) {
      values.push_back(g.constant(node.data, node.name));
    } else {
      std::vector<Value> inputs;
      for (int i : node.inputs) inputs.push_back(values[static_cast<std::size_t>(i)]);
      values.push_back(g.add(*node.op, std::move(inputs), node.attributes, node.name));
    }
  }
  return values;
}

std::string to_string(const Plan& plan) {
  std::string text =
      fmt::format("input {}, outputs {}\n", to_string(plan.input), fmt::join(plan.outputs, ", "));
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    const PlanNode& node = plan.nodes[i];
    text += fmt::format("%{} = {}(%{}) {}", i, node.op->name, fmt::join(node.inputs, ", %"),
                        to_string(node.attributes));
    if (node.data.defined()) {
      text += fmt::format(" {}", to_string(node.data.shape()));
      if (node.data.dtype() == DType::f32 && node.data.elements() <= 12)
        text += fmt::format(" [{}]", fmt::join(node.data.data<float>(), ", "));
      if (node.data.dtype() == DType::i64)
        text += fmt::format(" [{}]", fmt::join(node.data.data<std::int64_t>(), ", "));
    }
    text += node.name.empty() ? "\n" : fmt::format("  # {}\n", node.name);
  }
  return text;
}

}  // namespace heatproof::fuzz
