#include "explain/equivalents_hidden.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/random.h"
#include "explain/equivalents_channels.h"
#include "explain/graph_copy.h"
#include "graph/operator.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// What becomes of a set: channel k is old channel from[k] times scale[k], and counts `share` of it in the
/// layers behind.
struct Plan {
  std::vector<std::int64_t> from;
  std::vector<float> scale;
  float share = 1;
};
using MakePlan = std::function<Plan(const ChannelSet&, RandomStream&)>;
/// By root; sets that are left alone have none.
using Plans = std::map<std::size_t, Plan>;

/// An axis of a value or constant: element k of the new one is old element from[k] times factor[k].
struct NewAxis {
  std::vector<std::int64_t> from;
  std::vector<float> factor;
};

bool rewritten(const HiddenChannels& hidden, const Plans& plans, const Channels& channels) {
  return std::ranges::any_of(channels.segments,
                             [&](const Segment& s) { return plans.contains(hidden.root(s.set)); });
}

NewAxis new_axis(const HiddenChannels& hidden, const Plans& plans, const Channels& channels, Part part) {
  NewAxis axis;
  std::int64_t offset = 0;
  for (const Segment& s : channels.segments) {
    const auto it = plans.find(hidden.root(s.set));
    const Plan* plan = it == plans.end() ? nullptr : &it->second;
    const std::int64_t size = hidden.sets[s.set].size;
    const std::int64_t count = plan != nullptr ? static_cast<std::int64_t>(plan->from.size()) : size;
    for (std::int64_t k = 0; k < count; ++k) {
      const auto at = static_cast<std::size_t>(k);
      const std::int64_t old = plan != nullptr ? plan->from[at] : k;
      float factor = 1;
      if (plan != nullptr && part == Part::values) factor = plan->scale[at];
      if (plan != nullptr && part == Part::weights) factor = plan->share / plan->scale[at];
      for (std::int64_t r = 0; r < s.run; ++r) {
        axis.from.push_back(offset + old * s.run + r);
        axis.factor.push_back(factor);
      }
    }
    offset += size * s.run;
  }
  return axis;
}

Tensor pick(const Tensor& w, int axis, const NewAxis& next) {
  Shape shape = w.shape();
  std::int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[static_cast<std::size_t>(i)];
  const std::int64_t length = shape[static_cast<std::size_t>(axis)];
  const std::int64_t inner = w.elements() / (outer * length);
  shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(next.from.size());
  Tensor result = Tensor::empty(DType::f32, shape);
  float* to = result.data<float>().data();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t k = 0; k < next.from.size(); ++k) {
      const float* source = w.data<float>().data() + (o * length + next.from[k]) * inner;
      for (std::int64_t i = 0; i < inner; ++i) *to++ = source[i] * next.factor[k];
    }
  }
  return result;
}

/// Constants have one axis per layer that they touch: weights are rewritten twice.
NewConstants rewrite_constants(const Graph& graph, const HiddenChannels& hidden, const Plans& plans) {
  NewConstants constants;
  for (const ChannelConstant& c : hidden.constants) {
    if (!rewritten(hidden, plans, c.channels)) continue;
    const auto it = constants.find({c.node, c.input});
    const Tensor& now =
        it != constants.end() ? it->second : graph.node(graph.node(c.node).inputs[c.input]).constant;
    constants[{c.node, c.input}] = pick(now, c.channels.axis, new_axis(hidden, plans, c.channels, c.part));
  }
  return constants;
}

/// Attributes that name the number of channels.
std::map<const Node*, Attributes> resize_attributes(const Graph& graph, const HiddenChannels& hidden,
                                                    const Plans& plans) {
  std::map<const Node*, Attributes> resized;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool depthwise = node.op == &kConv && node.attributes.integer("group", 1) != 1;
    if (node.op != &kReshape && node.op != &kSlice && !depthwise) continue;
    const Channels& channels = hidden.values[static_cast<std::size_t>(depthwise ? node.inputs[0] : id)];
    if (!rewritten(hidden, plans, channels)) continue;
    const auto size = static_cast<std::int64_t>(new_axis(hidden, plans, channels, Part::factors).from.size());
    Attributes attributes = node.attributes;
    if (depthwise) {
      attributes.set("group", size);
    } else {
      const char* name = node.op == &kReshape ? "shape" : "ends";
      std::vector<std::int64_t> values = attributes.integers(name);
      values[static_cast<std::size_t>(channels.axis)] = size;
      attributes.set(name, values);
    }
    resized[&node] = attributes;
  }
  return resized;
}

Rewritten rebuild_channels(const Graph& canonical, bool scales, const MakePlan& make) {
  const Graph graph = materialize(canonical);
  const HiddenChannels hidden = hidden_channels(graph);
  Plans plans;
  for (std::size_t k = 0; k < hidden.sets.size(); ++k) {
    const ChannelSet& set = hidden.sets[k];
    if (set.parent != k || set.fixed || (scales && !set.homogeneous)) continue;
    RandomStream random(0, {"equivalent"}, k);
    plans[k] = make(set, random);
  }
  const auto resized = resize_attributes(graph, hidden, plans);
  const auto places = std::ranges::count_if(
      hidden.layers, [&](const HiddenLayer& l) { return rewritten(hidden, plans, l.channels); });
  Graph copy =
      copy_graph(graph, rewrite_constants(graph, hidden, plans),
                 [&](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
                   const auto it = resized.find(&node);
                   return it == resized.end() ? Value{} : g.add(*node.op, inputs, it->second, node.name);
                 });
  return {std::move(copy), static_cast<std::size_t>(places), hidden.layers.size()};
}

}  // namespace

Rewritten split_neurons(const Graph& graph) {
  return rebuild_channels(graph, false, [](const ChannelSet& set, RandomStream&) {
    Plan plan{.share = 0.5F};
    for (std::int64_t k = 0; k < 2 * set.size; ++k) plan.from.push_back(k % set.size);
    plan.scale.assign(plan.from.size(), 1);
    return plan;
  });
}

Rewritten permute_channels(const Graph& graph) {
  return rebuild_channels(graph, false, [](const ChannelSet& set, RandomStream& random) {
    return Plan{random.permutation(set.size), std::vector<float>(static_cast<std::size_t>(set.size), 1)};
  });
}

Rewritten rescale(const Graph& graph) {
  return rebuild_channels(graph, true, [](const ChannelSet& set, RandomStream& random) {
    Plan plan;
    for (std::int64_t k = 0; k < set.size; ++k) {
      plan.from.push_back(k);
      plan.scale.push_back(static_cast<float>(std::exp2(random.uniform(-2, 2))));
    }
    return plan;
  });
}

}  // namespace heatproof
