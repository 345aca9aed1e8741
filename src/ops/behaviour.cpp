#include "ops/behaviour.h"

#include "ops/arithmetic.h"
#include "ops/definedness.h"
#include "ops/normalization.h"
#include "ops/operators.h"

namespace heatproof {

std::string_view to_string(Behaviour behaviour) {
  switch (behaviour) {
    case Behaviour::leaf:
      return "leaf";
    case Behaviour::linear:
      return "linear";
    case Behaviour::bilinear:
      return "bilinear";
    case Behaviour::normalization:
      return "normalization";
    case Behaviour::softmax:
      return "softmax";
    case Behaviour::elementwise:
      return "elementwise";
    case Behaviour::selection:
      return "selection";
    case Behaviour::derivative:
      return "derivative";
    case Behaviour::undeclared:
      break;
  }
  return "undeclared";
}

Behaviour behaviour_of(Value node) {
  const Operator& op = *node.node().op;
  const Behaviour declared = op.traits.behaviour;
  if (declared == Behaviour::normalization || normalized(node)) return Behaviour::normalization;
  if (op.linear == nullptr) return declared;
  if (op.linear(node)) return Behaviour::linear;
  return declared == Behaviour::linear ? Behaviour::bilinear : declared;
}

Value scaled_operand(Value node) {
  if (node.is(kNeg)) return node.input(0);
  const bool either = node.is(kAdd) || node.is(kSub) || node.is(kMul);
  if (!either && !node.is(kDiv)) return {};
  const bool first = !node.input(0).constant();
  if (first == !node.input(1).constant()) return {};
  return first ? node.input(0) : either ? node.input(1) : Value{};
}

Value hand_on(Value node, Value R) {
  const Value x = scaled_operand(node);
  if (node.is(kMul)) {
    const Value c = node.input(node.input(0) == x ? 1 : 0);
    if (!is_zero_nowhere(c.node())) R = R * step(abs(c));
  }
  return sum_to(R, x.shape());
}

bool is_constant_product(Value node) {
  return node.is(kMatMul) && node.input(0).constant() != node.input(1).constant();
}

}  // namespace heatproof
