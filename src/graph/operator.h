// What an operator is: everything that heatproof knows of it, in one declaration (see src/ops/).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "graph/graph.h"
#include "graph/linear.h"

namespace heatproof {

class Lowering;  // of the engine: emits the steps of a Program

/// What `infer`, `fold` and `sign` see of a node that is about to be made.
struct NodeView {
  const Node& node;                        // op, inputs and attributes; the type is not known yet in `infer`
  std::vector<const Node*> inputs;         // nullptr where an optional input is absent
  const Type& input(std::size_t i) const;  // throws Error when the input is absent
  const Shape& shape(std::size_t i) const { return input(i).shape; }
  bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
  /// The values of a constant i64 input. Throws UnsupportedError when it is not constant.
  std::vector<std::int64_t> integers(std::size_t i) const;
  bool constant(std::size_t i) const;
};

/// One pass over a tile: `inputs[k]` and `output` have `n` elements; `parameters` come from
/// Elementwise::parameters.
using Tile = void (*)(const float* const* inputs, float* output, std::int64_t n, const float* parameters);

/// For operators that act on each element by itself (after numpy broadcasting of their inputs).
struct Elementwise {
  Tile tile = nullptr;
  std::vector<float> (*parameters)(const Attributes&) = nullptr;
};

/// What rules and passes may ask of an operator without knowing it.
enum class Kind : std::uint8_t {
  other,
  convolution,    // Conv, ConvTranspose
  dense,          // Linear (Gemm, MatMul by constant weights)
  activation,     // ReLU, Sigmoid, ... : one input, elementwise
  normalization,  // BatchNormalization that could not be folded
  average_pool,   // AveragePool, mean over all positions
  max_pool,
  sum,      // Add, Sub, ReduceSum
  scaling,  // Neg, and Mul and Div by constants
  softmax,
};

/// How relevance passes through an operator (docs/methods.md, "Behaviours"; ops/behaviour.h tells that of a
/// node, which is linear where a product has one constant operand).
enum class Behaviour : std::uint8_t {
  undeclared,
  leaf,           // nothing lies behind it
  linear,         // in proportion to contributions; scaling and signs leave it unchanged
  bilinear,       // a product of two variable values
  normalization,  // by its own mean and deviation, or by stored ones
  softmax,
  elementwise,
  selection,   // each result is an element of an input, or padding
  derivative,  // nothing better is known than the derivative
};

struct Traits {
  Kind kind = Kind::other;
  Behaviour behaviour = Behaviour::undeclared;
  bool commutative = false;  // the order of the two inputs does not matter
  bool selects = false;      // every element of the result is an element of an input (or padding)
  Elementwise elementwise;
};

/// What positions of an input a result sees along one spatial axis: o·stride − begin up to
/// o·stride − begin + extent − 1.
struct Reach {
  std::int64_t stride = 1, extent = 1, begin = 0;
};

/// How a node is computed on windows of its inputs alone, for results that lie in a window.
struct Windowed {
  std::vector<Reach> axes = {};  // of axis 2 and those after it; empty: every position sees only itself
  float outside = 0;             // stands at positions outside of the input
  /// Of the node on windows: without padding, and without strides along axes whose extent is 1, since only
  /// the positions that are seen are handed over there.
  Attributes attributes = {};
  bool copies = false;  // what the node sees is its result (Pad, Slice)
  Tensor scale = {};    // [1, 1, ...]: what the results are multiplied by, where that hangs on the position
};

struct Operator {
  std::string_view name;
  /// Type of the result. Throws Error ("kernel 3x3 is larger than its padded input 2x2") when the inputs do
  /// not fit.
  Type (*infer)(const NodeView&) = nullptr;
  /// Gradients with respect to each input, given the gradient of the result; invalid Values where there is
  /// none. Emits nodes into `gradient.builder()`.
  std::vector<Value> (*derivative)(Value node, Value gradient) = nullptr;
  /// The linear view for rules of relevance propagation; nullopt where this node is not linear in a variable.
  std::optional<Linear> (*linear)(Value node) = nullptr;
  /// A node that does the same with fewer or simpler operators; an invalid Value where there is none.
  /// Called for every node that is added; must be cheap and exact.
  Value (*simplify)(Builder&, const NodeView&) = nullptr;
  /// The same function in the canonical vocabulary (BatchNorm folded into a convolution, ...), emitted from
  /// the original node's inputs. `sole_use[i]`: this node is the only user of input i. Invalid where there is
  /// nothing to do.
  Value (*canonicalize)(Value node, const std::vector<bool>& sole_use) = nullptr;
  /// The same function in a form that takes less to compute but says less to rules, for graphs that are about
  /// to be compiled; otherwise as `canonicalize`.
  Value (*compiled)(Value node, const std::vector<bool>& sole_use) = nullptr;
  /// The result for constant inputs; only shape arithmetic and other small data needs it (the engine folds
  /// the rest).
  Tensor (*fold)(const NodeView&) = nullptr;
  Sign (*sign)(const NodeView&) = nullptr;
  /// Whether results may be NaN or infinite though all operands are finite, such as the logarithm of what may
  /// be negative; nullptr: never. Nothing that follows may turn NaN into a number.
  bool (*undefined)(const Graph&, const Node&) = nullptr;
  /// How windows of the result follow from windows of the inputs; nullopt (or no hook) where a result needs
  /// everything. Elementwise operators need no hook.
  std::optional<Windowed> (*windowed)(const NodeView&) = nullptr;
  /// Emits the steps that compute a node. Not needed for elementwise operators.
  void (*lower)(Lowering&, NodeId) = nullptr;
  Traits traits = {};
};

/// Leaves of every graph: data that comes from outside, constants, and constants of one repeated value
/// (attribute "value").
extern const Operator kInput;
extern const Operator kConstant;
extern const Operator kFill;
/// A value that outlives the run (attributes name, shape): what the last run left there. Only ScatterWindow
/// changes it.
extern const Operator kState;

/// Leaves whose value is not known at compile time.
inline bool is_variable_leaf(const Node& node) { return node.op == &kInput || node.op == &kState; }

}  // namespace heatproof
