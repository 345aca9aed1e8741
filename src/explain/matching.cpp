#include "explain/matching.h"

#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/behaviour.h"
#include "ops/normalization.h"

namespace heatproof {

bool is_linear_layer(const Value& node) {
  const Kind kind = node.node().op->traits.kind;
  if (kind == Kind::convolution || kind == Kind::dense) return node.input(1) && node.input(1).constant();
  return is_constant_product(node);
}

namespace {

bool is_kind(const Value& node, const std::string& word) {
  static const std::map<std::string, Kind> kinds{
      {"activation", Kind::activation}, {"convolution", Kind::convolution},
      {"dense", Kind::dense},           {"sum", Kind::sum},
      {"scaling", Kind::scaling},       {"average_pool", Kind::average_pool},
      {"max_pool", Kind::max_pool},     {"normalization", Kind::normalization},
      {"softmax", Kind::softmax}};
  if (word == "any") return true;
  if (word == "linear") return is_linear_layer(node);
  if (word == "product") return is_constant_product(node);
  const Kind own = node.node().op->traits.kind;
  if (word == "standardization") return static_cast<bool>(normalized(node));
  const auto it = kinds.find(word);
  if (it == kinds.end()) throw UsageError(fmt::format("composite: unknown match '{}'", word));
  switch (it->second) {
    case Kind::normalization:
      return own == Kind::normalization || normalized(node);
    case Kind::convolution:
      return own == Kind::convolution && is_linear_layer(node);
    case Kind::dense:
      return own != Kind::convolution && is_linear_layer(node);
    // Adding a constant is no sum, and what ends a normalization neither.
    case Kind::sum:
      return own == Kind::sum && !scaled_operand(node) && !normalized(node);
    case Kind::scaling:
      return static_cast<bool>(scaled_operand(node));
    default:
      return own == it->second;
  }
}

}  // namespace

/// Finds, for every node, whether linear layers lie between it and the input, and between it and the output.
Matching::Matching(Value output) {
  const auto size = static_cast<std::size_t>(output.id()) + 1;
  layer_before_.assign(size, false);
  layer_after_.assign(size, false);
  Builder& g = output.builder();
  for (NodeId id = 0; id < static_cast<NodeId>(size); ++id) {
    for (NodeId input : g.node(id).inputs) {
      if (input == kNone || g.constant(input)) continue;
      const auto i = static_cast<std::size_t>(input);
      if (layer_before_[i] || is_linear_layer(Value(&g, input)))
        layer_before_[static_cast<std::size_t>(id)] = true;
    }
  }
  for (NodeId id = output.id(); id >= 0; --id) {
    const auto k = static_cast<std::size_t>(id);
    const bool after = layer_after_[k] || is_linear_layer(Value(&g, id));
    for (NodeId input : g.node(id).inputs) {
      if (after && input != kNone && !g.constant(input)) layer_after_[static_cast<std::size_t>(input)] = true;
    }
  }
}

bool Matching::operator()(const std::string& match, const Value& node) const {
  std::string_view text = match;
  if (text.starts_with("first ")) {
    if (layer_before_[static_cast<std::size_t>(node.id())]) return false;
    text.remove_prefix(6);
  } else if (text.starts_with("last ")) {
    if (layer_after_[static_cast<std::size_t>(node.id())]) return false;
    text.remove_prefix(5);
  }
  if (text.starts_with("op:")) return node.node().op->name == text.substr(3);
  if (text.starts_with("name:")) return matches_glob(text.substr(5), node.node().name);
  return is_kind(node, std::string(text));
}

}  // namespace heatproof
