#include "ops/definedness.h"

#include <algorithm>

#include "ops/elementwise.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

constexpr int kDeepest = 16;  // nodes between a value and what it is known from

bool every(const Node& constant, bool (*holds)(float)) {
  if (constant.op == &kFill) return holds(static_cast<float>(constant.attributes.number("value", 0)));
  if (constant.op != &kConstant || constant.type.dtype != DType::f32) return false;
  return std::ranges::all_of(constant.constant.data<float>(), holds);
}

bool positive(const Graph& g, NodeId id, int depth) {
  const Node& n = g.node(id);
  if (every(n, [](float v) { return v > 0; })) return true;
  if (depth == 0 || n.inputs.empty()) return false;
  const auto above = [&](std::size_t i) { return positive(g, n.inputs[i], depth - 1); };
  const auto not_below = [&](std::size_t i) { return is_non_negative(g.node(n.inputs[i]).sign); };
  if (n.op == &kAdd) return (above(0) && not_below(1)) || (not_below(0) && above(1));
  if (n.op == &kMul || n.op == &kDiv || n.op == &kMin) return above(0) && above(1);
  if (n.op == &kMax) return above(0) || above(1);
  if (n.op == &kClip) return n.attributes.number("min", 0) > 0;
  const bool keeps = n.op == &kSqrt || n.op == &kReduceMean || n.op == &kReduceSum || n.op == &kReduceMax ||
                     n.op == &kReduceMin || n.op == &kExpand || n.op == &kReshape || n.op == &kTranspose ||
                     n.op == &kSlice;
  return keeps && above(0);
}

}  // namespace

bool is_positive(const Graph& graph, NodeId id) { return positive(graph, id, kDeepest); }

bool is_zero_nowhere(const Node& constant) {
  return every(constant, [](float v) { return v < 0 || v > 0; });
}

}  // namespace heatproof
