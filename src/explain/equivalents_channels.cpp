#include "explain/equivalents_channels.h"

#include <algorithm>
#include <ranges>

#include "explain/graph_copy.h"
#include "graph/operator.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

std::int64_t product(std::ranges::input_range auto&& sizes) {
  std::int64_t n = 1;
  for (std::int64_t size : sizes) n *= size;
  return n;
}

bool is_any_layer(const Node& node) {
  return node.op == &kConv || node.op == &kConvTranspose || node.op == &kLinear;
}

bool is_one_of(const Node& node, std::initializer_list<const Operator*> ops) {
  return std::ranges::find(ops, node.op) != ops.end();
}

/// Walks the graph once; a node's channels are known after `visit`.
class ChannelWalk {
 public:
  explicit ChannelWalk(const Graph& graph) : graph_(graph) {
    for (NodeId id = 0; id < graph.size(); ++id) known_.values.push_back(visit(id));
    for (const Output& output : graph.outputs()) fix(of(output.id));
    list_layers();
  }
  HiddenChannels result() && { return std::move(known_); }

 private:
  const Node& input(const Node& node, std::size_t i) const { return graph_.node(node.inputs[i]); }
  const Channels& of(NodeId id) const { return known_.values[static_cast<std::size_t>(id)]; }
  const Shape& shape(NodeId id) const { return graph_.node(id).type.shape; }
  bool has(const Node& node, std::size_t i) const {
    return i < node.inputs.size() && node.inputs[i] != kNone;
  }
  bool is_constant(NodeId id) const { return is_one_of(graph_.node(id), {&kConstant, &kFill}); }

  std::size_t add_set(std::int64_t size, bool fixed) {
    known_.sets.push_back({size, known_.sets.size(), fixed});
    return known_.sets.size() - 1;
  }
  void fix(const Channels& channels) {
    for (const Segment& s : channels.segments) known_.sets[known_.root(s.set)].fixed = true;
  }
  void mark_bent(const Channels& channels) {
    for (const Segment& s : channels.segments) known_.sets[known_.root(s.set)].homogeneous = false;
  }
  Channels refuse(const Node& node) {
    for (NodeId id : node.inputs)
      if (id != kNone) fix(of(id));
    return {};
  }
  bool unite(const Channels& a, const Channels& b);

  void list_layers();
  Channels visit(NodeId id);
  Channels layer(NodeId id);
  Channels depthwise(NodeId id);
  Channels pointwise(NodeId id);
  Channels with_constant(NodeId id, std::size_t variable);
  Channels two_values(NodeId id);
  Channels normalized(NodeId id);
  Channels concatenated(NodeId id);
  Channels reshaped(NodeId id);
  Channels reduced(NodeId id);
  Channels moved(NodeId id);

  const Graph& graph_;
  HiddenChannels known_;
};

/// Ties the sets of two values that meet element by element; false where they have other segments.
bool ChannelWalk::unite(const Channels& a, const Channels& b) {
  const auto alike = [&](const Segment& s, const Segment& t) {
    return s.run == t.run && known_.sets[s.set].size == known_.sets[t.set].size;
  };
  if (!std::ranges::equal(a.segments, b.segments, alike)) return false;
  for (std::size_t i = 0; i < a.segments.size(); ++i) {
    ChannelSet& into = known_.sets[known_.root(a.segments[i].set)];
    ChannelSet& from = known_.sets[known_.root(b.segments[i].set)];
    into.fixed = into.fixed || from.fixed;
    into.homogeneous = into.homogeneous && from.homogeneous;
    from.parent = into.parent;
  }
  return true;
}

/// A layer is hidden if every way from it to the output leads through another layer.
void ChannelWalk::list_layers() {
  std::vector<bool> last(static_cast<std::size_t>(graph_.size()), false);
  for (const Output& output : graph_.outputs()) last[static_cast<std::size_t>(output.id)] = true;
  for (NodeId id = graph_.size() - 1; id >= 0; --id) {
    if (!last[static_cast<std::size_t>(id)] || is_any_layer(graph_.node(id))) continue;
    for (NodeId input : graph_.node(id).inputs)
      if (input != kNone) last[static_cast<std::size_t>(input)] = true;
  }
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (is_any_layer(graph_.node(id)) && !last[static_cast<std::size_t>(id)])
      known_.layers.push_back({id, of(id)});
  }
}

Channels ChannelWalk::visit(NodeId id) {
  const Node& node = graph_.node(id);
  if (node.inputs.empty()) return {};
  if (is_any_layer(node)) return layer(id);
  if (node.op == &kConcat) return concatenated(id);
  const bool elementwise = node.op->traits.elementwise.tile != nullptr;
  if (elementwise && node.inputs.size() == 2) return two_values(id);
  if (of(node.inputs[0]).segments.empty()) return refuse(node);
  if (elementwise && node.inputs.size() == 1) return pointwise(id);
  if (node.op == &kBatchNormalization) return normalized(id);
  if (node.op == &kReshape) return reshaped(id);
  if (is_one_of(node, {&kReduceSum, &kReduceMean, &kReduceMax, &kReduceMin})) return reduced(id);
  if (is_one_of(node, {&kMaxPool, &kAveragePool, &kTranspose, &kPad, &kSlice})) return moved(id);
  return refuse(node);
}

Channels ChannelWalk::layer(NodeId id) {
  const Node& node = graph_.node(id);
  const bool transposed = node.op == &kConvTranspose;
  const auto stored = [&](std::size_t i) { return !has(node, i) || input(node, i).op == &kConstant; };
  if (!stored(1) || !stored(2)) return refuse(node);
  const std::int64_t group = node.attributes.integer("group", 1);
  if (group != 1) return !transposed && group == shape(node.inputs[0])[1] ? depthwise(id) : refuse(node);
  const int axis = node.op == &kLinear ? node.type.shape.rank() - 1 : 1;
  const Channels& x = of(node.inputs[0]);
  if (!x.segments.empty() && x.axis == axis)
    known_.constants.push_back({id, 1, {transposed ? 0 : 1, x.segments}, Part::weights});
  else
    fix(x);
  const int out = transposed ? 1 : 0;
  const std::vector<Segment> own{{add_set(shape(node.inputs[1])[static_cast<std::size_t>(out)], false), 1}};
  known_.constants.push_back({id, 1, {out, own}, Part::values});
  if (has(node, 2)) known_.constants.push_back({id, 2, {0, own}, Part::values});
  return {axis, own};
}

/// Each channel gives one or more of its own.
Channels ChannelWalk::depthwise(NodeId id) {
  const Node& node = graph_.node(id);
  Channels y = of(node.inputs[0]);
  if (y.segments.empty() || y.axis != 1) return refuse(node);
  const std::int64_t each = node.type.shape[1] / shape(node.inputs[0])[1];
  for (Segment& s : y.segments) s.run *= each;
  known_.constants.push_back({id, 1, {0, y.segments}, Part::factors});
  if (has(node, 2)) known_.constants.push_back({id, 2, {0, y.segments}, Part::values});
  return y;
}

Channels ChannelWalk::pointwise(NodeId id) {
  const Node& node = graph_.node(id);
  const Channels& x = of(node.inputs[0]);
  if (!is_one_of(node, {&kRelu, &kLeakyRelu, &kPositive, &kNegative, &kNeg, &kAbs})) mark_bent(x);
  return x;
}

/// A value and a constant: of one number for all channels, or one for each.
Channels ChannelWalk::with_constant(NodeId id, std::size_t variable) {
  const Node& node = graph_.node(id);
  const NodeId constant = node.inputs[1 - variable];
  Channels x = of(node.inputs[variable]);
  if (x.segments.empty()) return {};
  const int ahead = node.type.shape.rank() - shape(node.inputs[variable]).rank();
  const int axis = x.axis + ahead - (node.type.shape.rank() - shape(constant).rank());
  const auto at = static_cast<std::size_t>(x.axis);
  if (node.type.shape[at + static_cast<std::size_t>(ahead)] != shape(node.inputs[variable])[at])
    return refuse(node);
  const bool scales = node.op == &kMul || (node.op == &kDiv && variable == 0);
  const bool adds = is_one_of(node, {&kAdd, &kSub, &kMax, &kMin});
  const bool per_channel = axis >= 0 && shape(constant)[static_cast<std::size_t>(axis)] != 1;
  if (per_channel) {
    if (graph_.node(constant).op != &kConstant) return refuse(node);
    known_.constants.push_back({id, 1 - variable, {axis, x.segments}, adds ? Part::values : Part::factors});
  }
  if (!scales && !(adds && per_channel)) mark_bent(x);
  x.axis += ahead;
  return x;
}

Channels ChannelWalk::two_values(NodeId id) {
  const Node& node = graph_.node(id);
  if (is_constant(node.inputs[1])) return with_constant(id, 0);
  if (is_constant(node.inputs[0])) return with_constant(id, 1);
  const Channels& a = of(node.inputs[0]);
  const Channels& b = of(node.inputs[1]);
  if (shape(node.inputs[0]).rank() != shape(node.inputs[1]).rank()) return refuse(node);
  const auto spread = [&](const Channels& over, NodeId one) {
    return !over.segments.empty() && shape(one)[static_cast<std::size_t>(over.axis)] == 1 &&
           node.type.shape[static_cast<std::size_t>(over.axis)] != 1;
  };
  // One map for all channels, as of attention.
  if (spread(a, node.inputs[1]) || spread(b, node.inputs[0])) {
    const bool first = spread(a, node.inputs[1]);
    fix(first ? b : a);
    if (node.op != &kMul && !(node.op == &kDiv && first)) mark_bent(first ? a : b);
    return first ? a : b;
  }
  if (a.segments.empty() || b.segments.empty() || a.axis != b.axis || !unite(a, b)) return refuse(node);
  if (!is_one_of(node, {&kAdd, &kSub, &kMax, &kMin})) mark_bent(a);
  return a;
}

Channels ChannelWalk::normalized(NodeId id) {
  const Node& node = graph_.node(id);
  const Channels& x = of(node.inputs[0]);
  if (x.axis != 1 || input(node, 1).op != &kConstant || input(node, 2).op != &kConstant) return refuse(node);
  known_.constants.push_back({id, 1, {0, x.segments}, Part::factors});
  known_.constants.push_back({id, 2, {0, x.segments}, Part::values});
  return x;
}

Channels ChannelWalk::concatenated(NodeId id) {
  const Node& node = graph_.node(id);
  const auto axis = static_cast<int>(node.attributes.integer("axis", 0));
  Channels all{axis};
  for (NodeId part : node.inputs) {
    const Channels& x = of(part);
    if (!x.segments.empty() && x.axis != axis) return refuse(node);
    if (x.segments.empty())
      all.segments.push_back({add_set(shape(part)[static_cast<std::size_t>(axis)], true), 1});
    else
      all.segments.insert(all.segments.end(), x.segments.begin(), x.segments.end());
  }
  return all;
}

/// Flattening joins a channel's elements to a run, or repeats all channels for every position in front of
/// them; the reverse cuts runs.
Channels ChannelWalk::reshaped(NodeId id) {
  const Node& node = graph_.node(id);
  const Shape& from = shape(node.inputs[0]);
  const Shape& to = node.type.shape;
  const Channels& x = of(node.inputs[0]);
  const std::int64_t size = from[static_cast<std::size_t>(x.axis)];
  const std::int64_t before = product(from | std::views::take(x.axis));
  std::vector<int> axes;  // the same axis first, which settles what axes of length 1 leave open
  if (x.axis < to.rank()) axes.push_back(x.axis);
  for (int b = to.rank() - 1; b >= 0; --b) axes.push_back(b);
  for (int b : axes) {
    const std::int64_t ahead = product(to | std::views::take(b));
    const std::int64_t length = to[static_cast<std::size_t>(b)];
    if (ahead == 0 || length == 0 || before % ahead != 0) continue;
    const std::int64_t repeats = before / ahead;
    Channels y{b};
    if (length % (repeats * size) == 0) {
      for (std::int64_t k = 0; k < repeats; ++k)
        for (const Segment& s : x.segments)
          y.segments.push_back({s.set, s.run * (length / (repeats * size))});
      return y;
    }
    if (repeats != 1 || size % length != 0) continue;
    const std::int64_t cut = size / length;
    if (std::ranges::any_of(x.segments, [&](const Segment& s) { return s.run % cut != 0; })) continue;
    for (const Segment& s : x.segments) y.segments.push_back({s.set, s.run / cut});
    return y;
  }
  return refuse(node);
}

Channels ChannelWalk::reduced(NodeId id) {
  const Node& node = graph_.node(id);
  Channels x = of(node.inputs[0]);
  const std::vector<std::int64_t> axes = node.attributes.integers("axes");
  if (std::ranges::find(axes, x.axis) != axes.end()) return refuse(node);
  if (node.attributes.integer("keepdims", 1) == 0)
    x.axis -= static_cast<int>(std::ranges::count_if(axes, [&](std::int64_t a) { return a < x.axis; }));
  return x;
}

/// Operators that keep channels whole.
Channels ChannelWalk::moved(NodeId id) {
  const Node& node = graph_.node(id);
  Channels x = of(node.inputs[0]);
  const auto at = static_cast<std::size_t>(x.axis);
  if (node.op == &kTranspose) {
    const std::vector<std::int64_t> perm = node.attributes.integers("perm");
    x.axis = static_cast<int>(std::ranges::find(perm, x.axis) - perm.begin());
    return x;
  }
  const bool pools = node.op == &kMaxPool || node.op == &kAveragePool;
  if (pools ? x.axis != 1 : node.type.shape[at] != shape(node.inputs[0])[at]) return refuse(node);
  if (node.op == &kPad && node.attributes.number("value", 0) != 0) mark_bent(x);
  return x;
}

}  // namespace

std::size_t HiddenChannels::root(std::size_t set) const {
  while (sets[set].parent != set) set = sets[set].parent;
  return set;
}

HiddenChannels hidden_channels(const Graph& graph) { return ChannelWalk(graph).result(); }

}  // namespace heatproof
