#include "graph/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/sizes.h"
#include "graph/operator.h"

namespace heatproof {

namespace {

/// Bytes of constants that are computed from others while a graph is built: shape arithmetic, tables of
/// positions, masks of attention (16 MB where 4096 tokens look at each other). A file of some bytes could ask
/// for any number of gigabytes.
constexpr std::size_t kMostOfOne = std::size_t{128} << 20;
constexpr std::size_t kMostOfAll = std::size_t{512} << 20;

bool fits(std::size_t computed, std::size_t bytes) {
  return bytes <= kMostOfOne && computed <= kMostOfAll && bytes <= kMostOfAll - computed;
}

constexpr std::size_t kCompareBytes = 1 << 16;  // larger constants are equal only when they share storage

std::size_t combine(std::size_t hash, std::size_t value) {
  return (hash ^ value) * 0x9e3779b97f4a7c15ULL + (hash >> 17);
}

std::size_t hash_of(const Node& node) {
  std::size_t hash = std::hash<const void*>{}(node.op);
  for (NodeId input : node.inputs) hash = combine(hash, static_cast<std::size_t>(input + 1));
  hash = combine(hash, std::hash<std::string>{}(to_string(node.attributes)));
  if (node.constant.defined()) {
    for (std::int64_t d : node.type.shape) hash = combine(hash, static_cast<std::size_t>(d));
    if (node.constant.bytes() <= kCompareBytes) {
      hash = combine(hash, std::hash<std::string_view>{}(
                               {static_cast<const char*>(node.constant.raw()), node.constant.bytes()}));
    } else {
      hash = combine(hash, std::hash<const void*>{}(node.constant.raw()));
    }
  }
  return hash;
}

bool equal_constants(const Tensor& a, const Tensor& b) {
  if (!a.defined() && !b.defined()) return true;
  if (a.defined() != b.defined() || a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return a.raw() == b.raw() || (a.bytes() <= kCompareBytes && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

Sign sign_of(const Tensor& t) {
  if (t.dtype() != DType::f32) return Sign::any;
  bool negative = false;
  bool positive = false;
  constexpr std::size_t kBlock = 256;  // weights show both signs in their first block
  const auto values = t.data<float>();
  for (std::size_t begin = 0; begin < values.size() && !(negative && positive); begin += kBlock) {
    for (float v : values.subspan(begin, std::min(kBlock, values.size() - begin))) {
      negative |= !(v >= 0);  // NaN has no sign
      positive |= !(v <= 0);
    }
  }
  if (negative && positive) return Sign::any;
  return negative ? Sign::non_positive : positive ? Sign::non_negative : Sign::zero;
}

NodeView view(const Builder& builder, const Node& node) {
  NodeView view{node, {}};
  for (NodeId input : node.inputs) view.inputs.push_back(input == kNone ? nullptr : &builder.node(input));
  return view;
}

Type infer_leaf(const NodeView& v) { return v.node.type; }

bool only_moves(const Operator& op) { return op.traits.selects && op.traits.elementwise.tile == nullptr; }

/// Nothing is computed with values that have no elements, since sizes divide: shape arithmetic has them, and
/// constants without elements may be moved (an empty cache of keys that others are joined to).
void check_operands(const NodeView& v, bool constant) {
  for (std::size_t i = 0; i < v.inputs.size(); ++i) {
    if (!v.has(i) || !sizes::is_empty(v.shape(i))) continue;
    if (v.constant(i) && v.input(i).dtype == DType::i64) continue;
    if (constant && only_moves(*v.node.op)) continue;
    throw Error(fmt::format("input {} has no elements (shape {})", i, to_string(v.shape(i))));
  }
}

void check_result(const NodeView& v, bool constant) {
  const Shape& shape = v.node.type.shape;
  sizes::check(shape);
  if (!constant && sizes::is_empty(shape))
    throw Error(fmt::format("the result has no elements (shape {})", to_string(shape)));
}

}  // namespace

const Operator kInput = {.name = "Input", .infer = infer_leaf, .traits = {.behaviour = Behaviour::leaf}};
const Operator kConstant = {
    .name = "Constant", .infer = infer_leaf, .traits = {.behaviour = Behaviour::leaf}};
const Operator kFill = {.name = "Fill",
                        .infer =
                            [](const NodeView& v) {
                              return Type{DType::f32, Shape(v.node.attributes.integers("shape"))};
                            },
                        .traits = {.behaviour = Behaviour::leaf}};

const Operator kState = {.name = "State",
                         .infer =
                             [](const NodeView& v) {
                               return Type{DType::f32, Shape(v.node.attributes.integers("shape"))};
                             },
                         .traits = {.behaviour = Behaviour::leaf}};

const Type& NodeView::input(std::size_t i) const {
  if (!has(i)) throw Error(fmt::format("input {} is missing", i));
  return inputs[i]->type;
}

bool NodeView::constant(std::size_t i) const { return has(i) && inputs[i]->op == &kConstant; }

std::vector<std::int64_t> NodeView::integers(std::size_t i) const {
  if (!constant(i) || inputs[i]->type.dtype != DType::i64) {
    throw UnsupportedError(fmt::format("input {} must be constant integers once the input size is fixed", i));
  }
  auto values = inputs[i]->constant.data<std::int64_t>();
  return {values.begin(), values.end()};
}

const Node& Value::node() const { return builder_->node(id_); }
bool Value::constant() const { return builder_->constant(id_); }

Value Value::input(std::size_t i) const {
  const Node& n = node();
  if (i >= n.inputs.size() || n.inputs[i] == kNone) return {};
  return {builder_, n.inputs[i]};
}

Value Builder::input(std::string name, Type type) {
  Node node;
  node.op = &kInput;
  node.type = std::move(type);
  node.name = std::move(name);
  Value value = append(std::move(node));
  inputs_.push_back(value.id());
  return value;
}

Value Builder::constant(Tensor tensor, std::string name) {
  Node node;
  node.op = &kConstant;
  node.type = {tensor.dtype(), tensor.shape()};
  node.constant = std::move(tensor);
  node.name = std::move(name);
  const std::size_t hash = hash_of(node);
  if (Value known = find_equal(node, hash)) return known;
  node.sign = sign_of(node.constant);
  Value value = append(std::move(node));
  known_.emplace(hash, value.id());
  return value;
}

Value Builder::fill(Shape shape, float value) {
  Attributes attributes;
  attributes.set("shape", std::vector<std::int64_t>(shape.begin(), shape.end()));
  attributes.set("value", static_cast<double>(value));
  return add(kFill, {}, std::move(attributes));
}

Value Builder::state(const std::string& name, const Shape& shape) {
  Attributes attributes;
  attributes.set("name", name);
  attributes.set("shape", std::vector<std::int64_t>(shape.begin(), shape.end()));
  return add(kState, {}, std::move(attributes), name);
}

Value Builder::integers(const std::vector<std::int64_t>& values) {
  return constant(
      Tensor::of({static_cast<std::int64_t>(values.size())}, std::span<const std::int64_t>(values)));
}

void Builder::charge(std::size_t bytes) {
  if (!fits(computed_, bytes))
    throw Error(fmt::format(
        "{} MB of constants would be computed from others while the network is read; at most {} MB at once "
        "and {} MB in all are; store them as weights",
        (computed_ + bytes) >> 20, kMostOfOne >> 20, kMostOfAll >> 20));
  computed_ += bytes;
}

Tensor Builder::computed(DType dtype, const Shape& shape) {
  sizes::check(shape);
  // Truth values are computed one by one, too: what they take in time is counted.
  charge(static_cast<std::size_t>(shape.elements()) * std::max(size_of(dtype), size_of(DType::f32)));
  return Tensor::zeros(dtype, shape);
}

Value Builder::add(const Operator& op, std::vector<Value> inputs, Attributes attributes, std::string name) {
  Node node;
  node.op = &op;
  node.attributes = std::move(attributes);
  node.name = std::move(name);
  for (const Value& input : inputs) {
    if (input && &input.builder() != this) throw Error("a Value of another Builder was used");
    node.inputs.push_back(input ? input.id() : kNone);
  }
  while (!node.inputs.empty() && node.inputs.back() == kNone) node.inputs.pop_back();
  if (op.traits.commutative && node.inputs.size() == 2 && node.inputs[0] > node.inputs[1]) {
    std::swap(node.inputs[0], node.inputs[1]);
  }
  const std::size_t hash = hash_of(node);
  if (Value known = find_equal(node, hash)) return known;

  NodeView seen = view(*this, node);
  const bool constant_inputs = std::ranges::all_of(
      node.inputs, [&](NodeId i) { return i == kNone || constant_[static_cast<std::size_t>(i)]; });
  check_operands(seen, constant_inputs);
  node.type = op.infer(seen);
  check_result(seen, constant_inputs && &op != &kState);
  if (op.simplify != nullptr) {
    if (Value simpler = op.simplify(*this, seen)) return simpler;
  }
  if (op.fold != nullptr && !node.inputs.empty() &&
      std::ranges::all_of(seen.inputs, [](const Node* n) { return n == nullptr || n->op == &kConstant; })) {
    // What does not fit stays a node; who must know its value while the network is read refuses it.
    const std::size_t bytes = static_cast<std::size_t>(node.type.shape.elements()) * size_of(node.type.dtype);
    const bool shares = node.type.dtype == DType::f32 && seen.has(0) &&
                        bytes <= seen.inputs[0]->constant.bytes();  // as Reshape of weights does
    if (Tensor folded = shares || fits(computed_, bytes) ? op.fold(seen) : Tensor(); folded.defined()) {
      if (!seen.has(0) || folded.raw() != seen.inputs[0]->constant.raw()) computed_ += bytes;
      return constant(std::move(folded));
    }
  }
  if (op.sign != nullptr) node.sign = op.sign(seen);
  if (&op == &kFill) {
    const double value = node.attributes.number("value", 0);
    node.sign = value > 0    ? Sign::non_negative
                : value < 0  ? Sign::non_positive
                : value == 0 ? Sign::zero
                             : Sign::any;
  }
  Value value = append(std::move(node));
  known_.emplace(hash, value.id());
  return value;
}

Value Builder::append(Node node) {
  const bool constant = !is_variable_leaf(node) && std::ranges::all_of(node.inputs, [&](NodeId input) {
    return input == kNone || constant_[static_cast<std::size_t>(input)];
  });
  nodes_.push_back(std::move(node));
  constant_.push_back(constant);
  return {this, size() - 1};
}

Value Builder::find_equal(const Node& node, std::size_t hash) const {
  auto [first, last] = known_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Node& other = nodes_[static_cast<std::size_t>(it->second)];
    if (other.op == node.op && other.inputs == node.inputs && other.attributes == node.attributes &&
        equal_constants(other.constant, node.constant)) {
      return {const_cast<Builder*>(this), it->second};
    }
  }
  return {};
}

void Builder::output(std::string name, Value value) { outputs_.push_back({std::move(name), value.id()}); }

std::vector<Value> Builder::splice(const Graph& graph, const std::vector<Value>& inputs) {
  std::vector<Value> values(graph.nodes().size());
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    values[static_cast<std::size_t>(graph.inputs()[i])] = inputs.at(i);
  }
  for (std::size_t id = 0; id < values.size(); ++id) {
    const Node& node = graph.nodes()[id];
    if (node.op == &kInput) continue;
    if (node.op == &kConstant) {
      values[id] = constant(node.constant, node.name);
      continue;
    }
    std::vector<Value> arguments;
    for (NodeId input : node.inputs) {
      arguments.push_back(input == kNone ? Value{} : values[static_cast<std::size_t>(input)]);
    }
    values[id] = add(*node.op, std::move(arguments), node.attributes, node.name);
  }
  return values;
}

Graph Builder::build() const {
  std::vector<bool> needed(nodes_.size(), false);
  for (const Output& output : outputs_) needed[static_cast<std::size_t>(output.id)] = true;
  for (NodeId id : inputs_) needed[static_cast<std::size_t>(id)] = true;
  for (std::size_t id = nodes_.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (NodeId input : nodes_[id].inputs) {
      if (input != kNone) needed[static_cast<std::size_t>(input)] = true;
    }
  }
  std::vector<NodeId> renumbered(nodes_.size(), kNone);
  std::vector<Node> nodes;
  nodes.reserve(static_cast<std::size_t>(std::ranges::count(needed, true)));
  for (std::size_t id = 0; id < nodes_.size(); ++id) {
    if (!needed[id]) continue;
    renumbered[id] = static_cast<NodeId>(nodes.size());
    nodes.push_back(nodes_[id]);
    for (NodeId& input : nodes.back().inputs) {
      if (input != kNone) input = renumbered[static_cast<std::size_t>(input)];
    }
  }
  std::vector<NodeId> inputs;
  for (NodeId id : inputs_) inputs.push_back(renumbered[static_cast<std::size_t>(id)]);
  std::vector<Output> outputs = outputs_;
  for (Output& output : outputs) output.id = renumbered[static_cast<std::size_t>(output.id)];
  return Graph(std::move(nodes), std::move(inputs), std::move(outputs));
}

}  // namespace heatproof
