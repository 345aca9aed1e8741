// Concatenations whose parts are read where they are.
#pragma once

#include <vector>

#include "engine/lowering.h"
#include "graph/builder.h"

namespace heatproof {

/// The parts of a Concat along the channels, in one layout, whose blocks end where parts do.
std::vector<Operand> concatenated(Lowering& l, NodeId id);

/// Whether a value is a concatenation along the channels.
bool joins_channels(Value v);
/// The part of a concatenation that a Slice with these attributes and of this shape cuts out; invalid where
/// it is no part, or `joined` no concatenation.
Value sliced_part(Value joined, const Attributes& slice, const Shape& shape);

}  // namespace heatproof
