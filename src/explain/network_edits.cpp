#include "explain/network_edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/text.h"
#include "engine/program.h"
#include "explain/graph_copy.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// What a layer without bias gives for an input that is `shift` everywhere: [1, channels, ...].
Tensor response(const Node& layer, Shape input, const Tensor& weights, float shift) {
  Builder g;
  input[0] = 1;
  g.output("y", g.add(*layer.op, {g.constant(Tensor::filled(input, shift)), g.constant(weights)},
                      layer.attributes));
  return Workspace(compile(g.build())).run(std::span<const Tensor>{})[0].clone();
}

/// The response of each channel where it is the same everywhere; empty where padding makes it differ.
std::vector<float> per_channel(const Tensor& response) {
  const auto channels = static_cast<std::size_t>(response.shape()[1]);
  const auto values = response.data<float>();
  const std::size_t pixels = values.size() / channels;
  std::vector<float> first;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto [low, high] = std::ranges::minmax(values.subspan(c * pixels, pixels));
    if (high - low > 1e-5F * std::max(std::fabs(low), std::fabs(high))) return {};
    first.push_back(values[c * pixels]);
  }
  return first;
}

/// Whether a value is the network's input, perhaps in another shape.
bool sees_input(Value v) {
  while (v && (v.node().op == &kReshape || v.node().op == &kTranspose)) v = v.input(0);
  return v && v.node().op == &kInput;
}

}  // namespace

std::vector<std::string> weight_layers(const Graph& canonical) {
  const Graph graph = materialize(canonical);
  std::vector<std::string> names;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (is_layer(graph, id)) names.push_back(graph.node(id).name);
  }
  return names;
}

Graph randomize_layers(const Graph& canonical, std::size_t first, std::size_t last, std::uint64_t seed) {
  const Graph graph = materialize(canonical);
  NewConstants constants;
  std::size_t layer = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!is_layer(graph, id)) continue;
    const std::size_t k = layer++;
    if (k < first || k >= last) continue;
    const Node& node = graph.node(id);
    Tensor w = weights_of(graph, id).clone();
    double mean = 0;
    double squares = 0;
    for (float v : w.data<float>()) mean += v, squares += static_cast<double>(v) * v;
    const auto n = static_cast<double>(w.elements());
    mean /= n;
    const double deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
    RandomStream random(seed, {"randomize"}, k);
    for (float& v : w.data<float>()) v = static_cast<float>(mean + deviation * random.normal());
    constants[{id, 1}] = w;
    if (node.inputs.size() > 2 && node.inputs[2] != kNone)
      constants[{id, 2}] = Tensor::zeros(DType::f32, graph.node(node.inputs[2]).type.shape);
  }
  return copy_graph(graph, constants, {});
}

Graph shift_input(const Graph& canonical, float shift) {
  const Graph graph = materialize(canonical);
  return copy_graph(graph, {}, [&](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
    if (std::ranges::none_of(inputs, sees_input)) return {};
    if (node.op == &kReshape || node.op == &kTranspose) return {};  // shifted, too
    const auto known = [](const Value& v) { return v.node().op == &kConstant; };
    const bool has_bias = inputs.size() > 2 && inputs[2];
    const bool layer = (node.op == &kConv || node.op == &kLinear) && sees_input(inputs[0]) &&
                       known(inputs[1]) && (!has_bias || known(inputs[2]));
    if (!layer) {
      throw UsageError(fmt::format(
          "input_invariance: node '{}' ({}) sees the input; only convolutions and dense layers have a bias "
          "that can take up a shift",
          node.name, node.op->name));
    }
    const Tensor weights = inputs[1].node().constant;
    const Tensor moved = response(node, inputs[0].shape(), weights, shift);
    std::vector<float> bias = per_channel(moved);
    if (bias.empty()) return g.add(*node.op, inputs, node.attributes, node.name) - g.constant(moved);
    for (std::size_t c = 0; c < bias.size(); ++c)
      bias[c] = (has_bias ? inputs[2].node().constant.data<float>()[c] : 0.0F) - bias[c];
    const Value b =
        g.constant(Tensor::of({static_cast<std::int64_t>(bias.size())}, std::span<const float>(bias)));
    return g.add(*node.op, {inputs[0], inputs[1], b}, node.attributes, node.name);
  });
}

Graph representation(const Graph& canonical, const std::string& pattern) {
  Builder g;
  std::vector<Value> values;
  std::vector<Value> parts;
  std::vector<bool> varies;
  for (NodeId id = 0; id < canonical.size(); ++id) {
    const Node& node = canonical.node(id);
    bool depends = node.op == &kInput;
    std::vector<Value> inputs;
    for (NodeId input : node.inputs) {
      inputs.push_back(input == kNone ? Value{} : values[static_cast<std::size_t>(input)]);
      depends = depends || (input != kNone && varies[static_cast<std::size_t>(input)]);
    }
    values.push_back(node.op == &kInput      ? g.input(node.name, node.type)
                     : node.op == &kConstant ? g.constant(node.constant, node.name)
                                             : g.add(*node.op, inputs, node.attributes, node.name));
    varies.push_back(depends);
    if (!depends || node.op == &kInput || node.type.dtype != DType::f32 || !matches_glob(pattern, node.name))
      continue;
    const Shape& s = values.back().shape();
    parts.push_back(reshape(values.back(), {s[0], s.elements() / s[0]}));
  }
  if (parts.empty())
    throw UsageError(
        fmt::format("no node of the network is called '{}'; heatproof inspect lists them", pattern));
  g.output("representation",
           parts.size() == 1 ? parts[0] : g.add(kConcat, parts, {{"axis", std::int64_t{1}}}));
  return g.build();
}

}  // namespace heatproof
