#include "ops/batching.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <unordered_map>

#include "base/sizes.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "ops/reverse.h"

namespace heatproof {

namespace {

using Ints = std::vector<std::int64_t>;

/// A value of the network of one row, in the network of many.
struct Rows {
  Value value;
  Shape shape;          // of one row
  bool varies = false;  // from row to row; otherwise `value` is what one row has
};

/// One node, and what its operator's rule may ask and do.
class Batching {
 public:
  Batching(Builder& g, std::int64_t rows, const Node& node, std::vector<Rows> inputs)
      : g_(g), rows_(rows), node_(node), inputs_(std::move(inputs)) {}

  const Shape& result() const { return node_.type.shape; }
  const Shape& shape(std::size_t i) const { return inputs_[i].shape; }
  int rank(std::size_t i) const { return inputs_[i].shape.rank(); }
  bool varies(std::size_t i) const { return i < inputs_.size() && inputs_[i].varies; }
  std::size_t inputs() const { return inputs_.size(); }
  const Attributes& attributes() const { return node_.attributes; }
  std::int64_t rows() const { return rows_; }

  /// [rows · n, ...] for a row of [n, ...].
  Shape folded(Shape shape) const {
    if (shape.empty()) return {rows_};
    shape[0] = sizes::product(shape[0], rows_);
    return shape;
  }
  Value folded(std::size_t i) const { return inputs_[i].value; }
  /// [rows, 1, ..., n, ...]: the batch has an axis of its own, `rank` others follow.
  Value apart(std::size_t i, int rank) const {
    if (!varies(i)) return inputs_[i].value;
    Shape wide{rows_};
    wide.insert(wide.end(), static_cast<std::size_t>(rank - this->rank(i)), 1);
    wide.insert(wide.end(), shape(i).begin(), shape(i).end());
    return reshape(inputs_[i].value, wide);
  }
  Value apart(std::size_t i) const { return apart(i, rank(i)); }
  /// What all rows share, once for every row, as `apart` has it.
  Value repeated(std::size_t i) const {
    if (varies(i)) return apart(i);
    Shape wide{rows_};
    wide.insert(wide.end(), shape(i).begin(), shape(i).end());
    return expand(inputs_[i].value, wide);
  }
  Value repeated_folded(std::size_t i) const {
    if (varies(i)) return folded(i);
    const Shape wide = folded(shape(i));
    return shape(i)[0] == 1 ? expand(inputs_[i].value, wide) : reshape(repeated(i), wide);
  }
  Value add(std::vector<Value> inputs, Attributes attributes) const {
    return g_.add(*node_.op, std::move(inputs), std::move(attributes), node_.name);
  }
  /// The node as it is, on folded values.
  Value as_is(Attributes attributes) const {
    std::vector<Value> inputs;
    for (const Rows& input : inputs_) inputs.push_back(input.value);
    return add(std::move(inputs), std::move(attributes));
  }
  Value as_is() const { return as_is(attributes()); }
  /// A result whose batch has an axis of its own.
  Value fold(Value y) const { return reshape(y, folded(result())); }
  Value unknown() const {
    throw UnsupportedError(
        fmt::format("node '{}' ({}): several rows at once are not supported", node_.name, node_.op->name));
  }

 private:
  Builder& g_;
  std::int64_t rows_;
  const Node& node_;
  std::vector<Rows> inputs_;
};

Attributes with(Attributes attributes, const char* name, Attribute value) {
  attributes.set(name, std::move(value));
  return attributes;
}

Ints after_first(std::int64_t first, const Ints& rest) {
  Ints list{first};
  list.insert(list.end(), rest.begin(), rest.end());
  return list;
}

/// Whether axis 0 of the result, of which rows have `result` without the last `own` axes, is axis 0 of every
/// operand that differs between rows, and of no other.
bool broadcasts_behind(const Batching& b, int own) {
  if (b.result().rank() <= own) return false;
  for (std::size_t i = 0; i < b.inputs(); ++i) {
    const bool reaches = b.rank(i) == b.result().rank();
    if (b.varies(i) ? !reaches || b.shape(i)[0] != b.result()[0] : reaches && b.shape(i)[0] != 1)
      return false;
  }
  return true;
}

// Rules: the node's result for all rows, folded.

Value elementwise(const Batching& b) {
  const bool numbers = b.result().empty() && std::ranges::all_of(std::views::iota(std::size_t{0}, b.inputs()),
                                                                 [&](auto i) { return b.rank(i) == 0; });
  if (numbers || broadcasts_behind(b, 0)) return b.as_is();
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < b.inputs(); ++i) inputs.push_back(b.apart(i, b.result().rank()));
  return b.fold(b.add(std::move(inputs), b.attributes()));
}

/// Operators whose axis 0 holds samples already: convolution, pooling.
Value samples(const Batching& b) {
  for (std::size_t i = 1; i < b.inputs(); ++i) {
    if (b.varies(i)) return b.unknown();
  }
  return b.rank(0) < 2 ? b.unknown() : b.as_is();
}

/// The same with two operands that have samples.
Value pairs(const Batching& b) { return b.varies(0) && b.varies(1) ? b.as_is() : b.unknown(); }

Value row_by_row(const Batching& b) { return b.as_is(); }

Value linear(const Batching& b) {
  if (b.varies(1) || b.varies(2)) return b.unknown();
  if (b.rank(0) > 1) return b.as_is();
  return b.fold(b.add({b.apart(0), b.folded(1), b.inputs() > 2 ? b.folded(2) : Value{}}, b.attributes()));
}

Value matmul(const Batching& b) {
  if ((!b.varies(1) && b.rank(1) == 2) || broadcasts_behind(b, 2)) return b.as_is();
  const int rank = b.result().rank();
  return b.fold(b.add({b.apart(0, rank), b.apart(1, rank)}, b.attributes()));
}

/// Operators that do something along attribute `axes` of their operand.
Value reduction(const Batching& b) {
  Ints axes = b.attributes().integers("axes");
  if (b.rank(0) > 0 && std::ranges::count(axes, 0) == 0) return b.as_is();
  for (std::int64_t& axis : axes) ++axis;
  return b.fold(b.add({b.apart(0)}, with(b.attributes(), "axes", axes)));
}

/// Operators that do something along attribute `axis` of their first operand.
Value along_axis(const Batching& b) {
  const std::int64_t axis = b.attributes().integer("axis", 0);
  if (b.varies(1)) return b.unknown();
  if (axis > 0) return b.as_is();
  std::vector<Value> inputs{b.apart(0)};
  for (std::size_t i = 1; i < b.inputs(); ++i) inputs.push_back(b.folded(i));
  return b.fold(b.add(std::move(inputs), with(b.attributes(), "axis", axis + 1)));
}

Value concat(const Batching& b) {
  const std::int64_t axis = b.attributes().integer("axis", 0);
  std::vector<Value> parts;
  for (std::size_t i = 0; i < b.inputs(); ++i)
    parts.push_back(axis == 0 ? b.repeated(i) : b.repeated_folded(i));
  if (axis > 0) return b.add(std::move(parts), b.attributes());
  return b.fold(b.add(std::move(parts), with(b.attributes(), "axis", axis + 1)));
}

Value slice(const Batching& b) {
  const Ints starts = b.attributes().integers("starts");
  const Ints ends = b.attributes().integers("ends");
  const Ints steps = b.attributes().integers("steps");
  const auto cut = [&](const Ints& first, const Ints& last, const Ints& step) {
    return with(with(with(b.attributes(), "starts", first), "ends", last), "steps", step);
  };
  if (b.rank(0) > 0 && starts[0] == 0 && ends[0] == b.shape(0)[0] && steps[0] == 1) {
    Ints all = ends;
    all[0] = sizes::product(all[0], b.rows());
    return b.as_is(cut(starts, all, steps));
  }
  return b.fold(
      b.add({b.apart(0)}, cut(after_first(0, starts), after_first(b.rows(), ends), after_first(1, steps))));
}

Value pad(const Batching& b) {
  const Ints pads = b.attributes().integers("pads");
  const auto rank = static_cast<std::ptrdiff_t>(b.rank(0));
  if (rank > 0 && pads[0] == 0 && pads[static_cast<std::size_t>(rank)] == 0) return b.as_is();
  Ints begins = after_first(0, {pads.begin(), pads.begin() + rank});
  const Ints ends = after_first(0, {pads.begin() + rank, pads.end()});
  begins.insert(begins.end(), ends.begin(), ends.end());
  return b.fold(b.add({b.apart(0)}, with(b.attributes(), "pads", begins)));
}

Value transposed(const Batching& b) {
  Ints perm = b.attributes().integers("perm");
  if (!perm.empty() && perm[0] == 0) return b.as_is();
  for (std::int64_t& axis : perm) ++axis;
  return b.fold(b.add({b.apart(0)}, with(b.attributes(), "perm", after_first(0, perm))));
}

Value reshaped(const Batching& b) {
  return b.as_is(with(b.attributes(), "shape", Ints(b.folded(b.result()))));
}

Value expanded(const Batching& b) {
  const Shape& y = b.result();
  if (b.rank(0) > 0 && b.rank(0) == y.rank() && b.shape(0)[0] == y[0])
    return b.as_is(with(b.attributes(), "shape", Ints(b.folded(y))));
  const Value x = b.apart(0, y.rank());
  return b.fold(b.add({x}, with(b.attributes(), "shape", after_first(b.rows(), y))));
}

using Rule = Value (*)(const Batching&);

/// How rows pass through an operator; elementwise ones need no line. What is not here is not in networks.
const std::unordered_map<const Operator*, Rule>& rules() {
  static const std::unordered_map<const Operator*, Rule> table{
      {&kConv, samples},
      {&kConvTranspose, samples},
      {&kBatchNormalization, samples},
      {&kAveragePool, samples},
      {&kAveragePoolTranspose, samples},
      {&kMaxPool, samples},
      {&kMaxPoolGradient, pairs},
      {&kLinear, linear},
      {&kMatMul, matmul},
      {&kReduceSum, reduction},
      {&kReduceMean, reduction},
      {&kReduceMax, reduction},
      {&kReduceMin, reduction},
      {&kReduceProd, reduction},
      {&kReverse, reduction},
      {&kSoftmax, along_axis},
      {&kLogSoftmax, along_axis},
      {&kLogSumExp, along_axis},
      {&kGather, along_axis},
      {&kOneHot, row_by_row},
      {&kReshape, reshaped},
      {&kTranspose, transposed},
      {&kExpand, expanded},
      {&kConcat, concat},
      {&kSlice, slice},
      {&kPad, pad},
  };
  return table;
}

Rule rule_of(const Operator& op) {
  if (op.traits.elementwise.tile != nullptr) return elementwise;
  const auto it = rules().find(&op);
  return it == rules().end() ? nullptr : it->second;
}

/// Copies a graph, node by node.
class Copy {
 public:
  Copy(const Graph& one, std::int64_t rows, const std::vector<bool>& shared) : one_(one), rows_(rows) {
    for (std::size_t i = 0; i < one.inputs().size(); ++i) {
      Rows& x = at(one.inputs()[i]);
      const Node& node = one.node(one.inputs()[i]);
      x.shape = node.type.shape;
      x.varies = i >= shared.size() || !shared[i];
      if (x.varies && (x.shape.empty() || x.shape[0] != 1))
        throw InputError(fmt::format("input '{}' of shape {} does not begin with a batch of one", node.name,
                                     to_string(x.shape)));
      Type type = node.type;
      if (x.varies) type.shape[0] = rows_;
      x.value = g_.input(node.name, type);
    }
  }

  Graph run() {
    for (NodeId id = 0; id < one_.size(); ++id) {
      if (one_.node(id).op != &kInput) at(id) = copy(one_.node(id));
    }
    for (const Output& output : one_.outputs()) g_.output(output.name, result(at(output.id)));
    return g_.build();
  }

 private:
  Rows& at(NodeId id) { return values_[static_cast<std::size_t>(id)]; }

  Rows copy(const Node& node) {
    Rows y{{}, node.type.shape};
    std::vector<Rows> inputs;
    std::vector<Value> values;
    for (NodeId input : node.inputs) {
      inputs.push_back(input == kNone ? Rows{} : at(input));
      values.push_back(inputs.back().value);
      y.varies = y.varies || inputs.back().varies;
    }
    if (!y.varies) {
      y.value = node.op == &kConstant ? g_.constant(node.constant, node.name)
                                      : g_.add(*node.op, values, node.attributes, node.name);
      return y;
    }
    const Batching batching(g_, rows_, node, std::move(inputs));
    const Rule rule = rule_of(*node.op);
    y.value = rule != nullptr ? rule(batching) : batching.unknown();
    if (y.value.shape() != batching.folded(y.shape))
      throw Error(fmt::format("node '{}' ({}): {} rows of {} became {}", node.name, node.op->name, rows_,
                              to_string(y.shape), to_string(y.value.shape())));
    return y;
  }

  Value result(const Rows& y) const {
    const bool leads = !y.shape.empty() && y.shape[0] == 1;
    Shape shape{rows_};
    shape.insert(shape.end(), y.shape.begin() + (leads ? 1 : 0), y.shape.end());
    return y.varies ? reshape(y.value, shape) : expand(y.value, shape);
  }

  const Graph& one_;
  std::int64_t rows_;
  Builder g_;
  std::vector<Rows> values_ = std::vector<Rows>(one_.nodes().size());
};

}  // namespace

Graph batched(const Graph& one, std::int64_t rows, const std::vector<bool>& shared) {
  return Copy(one, rows, shared).run();
}

bool has_row_rule(const Operator& op) { return rule_of(op) != nullptr; }

bool same_function(const Graph& a, const Graph& b) {
  if (a.inputs().size() != b.inputs().size() || a.outputs().size() != b.outputs().size()) return false;
  Builder g;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < a.inputs().size(); ++i) {
    const Node& x = a.node(a.inputs()[i]);
    if (x.type != b.node(b.inputs()[i]).type) return false;
    inputs.push_back(g.input(x.name, x.type));
  }
  const std::vector<Value> left = g.splice(a, inputs);
  const std::vector<Value> right = g.splice(b, inputs);
  for (std::size_t k = 0; k < a.outputs().size(); ++k) {
    if (left[static_cast<std::size_t>(a.outputs()[k].id)] !=
        right[static_cast<std::size_t>(b.outputs()[k].id)])
      return false;
  }
  return true;
}

}  // namespace heatproof
