#include "onnx/order.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/text.h"
#include "heatproof/error.h"
#include "onnx/contents.h"

namespace heatproof {

namespace {

using Producers = std::unordered_map<std::string_view, int>;

bool in_order(const onnx::GraphProto& graph, const Producers& producers) {
  for (int n = 0; n < graph.node_size(); ++n) {
    for (const std::string& input : graph.node(n).input()) {
      const auto it = producers.find(input);
      if (it != producers.end() && it->second >= n) return false;
    }
  }
  return true;
}

/// Depth first from the nodes in the order of the file, with a stack of its own: files may be deep.
class Order {
 public:
  Order(const onnx::GraphProto& graph, const Producers& producers)
      : graph_(graph), producers_(producers), state_(static_cast<std::size_t>(graph.node_size())) {}

  std::vector<int> sorted() {
    for (int n = 0; n < graph_.node_size(); ++n) visit(n);
    return std::move(order_);
  }

 private:
  enum class State : char { fresh, waiting, done };
  struct Waiting {
    int node, next;  // the input that is looked at next
  };

  State& state(int node) { return state_[static_cast<std::size_t>(node)]; }

  void visit(int first) {
    if (state(first) == State::done) return;
    std::vector<Waiting> stack{{first, 0}};
    state(first) = State::waiting;
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next == graph_.node(node).input_size()) {
        state(node) = State::done;
        order_.push_back(node);
        stack.pop_back();
        continue;
      }
      const auto it = producers_.find(graph_.node(node).input(next++));
      if (it == producers_.end() || state(it->second) == State::done) continue;
      const onnx::NodeProto& before = graph_.node(it->second);
      if (state(it->second) == State::waiting)
        throw InputError(fmt::format(
            "node '{}' ({}) waits for its own result: its input '{}' is computed from it; the "
            "file is damaged",
            abbreviated(name_of(before)), abbreviated(before.op_type(), 40), abbreviated(it->first)));
      state(it->second) = State::waiting;
      stack.push_back({it->second, 0});
    }
  }

  const onnx::GraphProto& graph_;
  const Producers& producers_;
  std::vector<State> state_;
  std::vector<int> order_;
};

}  // namespace

void sort_nodes(onnx::GraphProto& graph) {
  std::unordered_set<std::string_view> given;
  for (const auto& input : graph.input()) given.insert(input.name());
  for (const auto& weight : graph.initializer()) given.insert(weight.name());
  Producers producers;
  bool twice = false;
  for (int n = 0; n < graph.node_size(); ++n) {
    for (const std::string& output : graph.node(n).output()) {
      if (!output.empty() && !given.contains(output)) twice |= !producers.emplace(output, n).second;
    }
  }
  if (in_order(graph, producers)) return;
  if (twice)
    throw InputError("two nodes compute a value of one name, and nodes are not in order; export it again");
  google::protobuf::RepeatedPtrField<onnx::NodeProto> sorted;
  sorted.Reserve(graph.node_size());
  for (int n : Order(graph, producers).sorted()) sorted.Add()->Swap(graph.mutable_node(n));
  graph.mutable_node()->Swap(&sorted);
}

}  // namespace heatproof
