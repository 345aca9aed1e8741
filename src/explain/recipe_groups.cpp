#include "explain/recipe_groups.h"

#include <map>
#include <numeric>

#include "graph/operator.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Constants by who reads them, and their bytes: each kind of operator packs them in its own way.
using Constants = std::map<std::pair<NodeId, const Operator*>, std::size_t>;

std::vector<bool> constant_nodes(const Graph& graph) {
  std::vector<bool> constant;
  for (const Node& node : graph.nodes()) {
    bool all = node.op == &kConstant || node.op == &kFill || !node.inputs.empty();
    for (NodeId input : node.inputs)
      all = all && (input == kNone || constant[static_cast<std::size_t>(input)]);
    constant.push_back(all);
  }
  return constant;
}

/// What the value hangs on. The network's own weights are among it, and those that rules modify.
Constants constants_of(const Graph& graph, const std::vector<bool>& constant, NodeId value) {
  Constants found;
  std::vector<bool> seen(graph.nodes().size());
  std::vector<NodeId> open{value};
  while (!open.empty()) {
    const Node& node = graph.node(open.back());
    open.pop_back();
    for (NodeId input : node.inputs) {
      if (input == kNone) continue;
      const auto at = static_cast<std::size_t>(input);
      if (constant[at]) {
        const std::size_t bytes = static_cast<std::size_t>(graph.node(input).type.shape.elements()) * 4;
        found[{input, node.op}] = bytes;
        if (graph.node(input).op != &kConstant) found[{input, nullptr}] = bytes;  // until it is packed
      } else if (!seen[at]) {
        open.push_back(input);
      }
      seen[at] = true;
    }
  }
  return found;
}

std::size_t bytes_of(const Constants& constants) {
  std::size_t bytes = 0;
  for (const auto& [reader, size] : constants) bytes += size;
  return bytes;
}

}  // namespace

RecipeGroups::RecipeGroups(const Network& network, const std::vector<Recipe>& recipes, ExplainOptions options,
                           std::int64_t inputs)
    : network_(network),
      recipes_(recipes),
      options_(std::move(options)),
      result_bytes_(static_cast<std::size_t>(2 * inputs * network.input_shape().elements()) * 4) {
  const Graph graph = Explainer(network, recipes, options_).graph(network.unit());
  const std::vector<bool> constant = constant_nodes(graph);
  std::size_t output = 1;  // after the logits
  Constants held;
  for (std::size_t r = 0; r < recipes.size(); ++r) {
    Constants own;
    if (recipes[r].method->build != nullptr)
      own = constants_of(graph, constant, graph.outputs()[output++].id);
    Constants both = held;
    both.insert(own.begin(), own.end());
    const bool fits = !groups_.empty() && bytes_of(both) <= room(groups_.back().size() + 1);
    if (!fits) groups_.emplace_back();
    groups_.back().push_back(r);
    held = fits ? std::move(both) : std::move(own);
    tight_ = tight_ || 4 * bytes_of(held) > room(groups_.back().size());
  }
}

std::size_t RecipeGroups::room(std::size_t recipes) const {
  const std::size_t results = recipes * result_bytes_;
  const std::size_t memory = network_.memory();
  return memory > results ? memory - results : 0;
}

Explainer& RecipeGroups::explainer(std::size_t group) {
  while (explainer_ == nullptr || compiled_ != groups_[group]) {
    explainer_.reset();  // before the next one takes its memory
    std::vector<Recipe> recipes;
    for (std::size_t r : groups_[group]) recipes.push_back(recipes_[r]);
    explainer_ = std::make_unique<Explainer>(network_, std::move(recipes), options_);
    compiled_ = groups_[group];
    if (!tight_ || compiled_.size() == 1 || explainer_->bytes() <= room(compiled_.size())) break;
    const auto half = static_cast<std::ptrdiff_t>(compiled_.size() / 2);
    groups_[group].assign(compiled_.begin(), compiled_.begin() + half);
    groups_.emplace(groups_.begin() + static_cast<std::ptrdiff_t>(group) + 1, compiled_.begin() + half,
                    compiled_.end());
  }
  return *explainer_;
}

}  // namespace heatproof
