// How relevance passes through the nodes of a network (graph/operator.h, Behaviour).
#pragma once

#include <string_view>

#include "graph/operator.h"

namespace heatproof {

/// "linear", "selection", ...
std::string_view to_string(Behaviour behaviour);

/// That of a node: its operator's, but linear where all operands of a product but one are constant, bilinear
/// where the weights of a layer are none, and normalization where a value is divided by its own deviation.
Behaviour behaviour_of(Value node);

/// The operand that a node negates, scales by a constant, or adds a constant to; invalid for other nodes.
Value scaled_operand(Value node);
/// Relevance of that operand: R unchanged, but nothing where the constant factor is zero; summed where the
/// operand was repeated. That is LRP-0 of a factor, c·x·R / (c·x), without dividing; a constant term takes
/// nothing.
Value hand_on(Value node, Value R);

/// Whether a node multiplies by a constant matrix and is no Linear.
bool is_constant_product(Value node);

}  // namespace heatproof
