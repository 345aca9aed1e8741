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
/// The sum of Unslices of one shape. Where none overlaps another along the axis that all are cut along, it is
/// their operands and zeros side by side: of many parts each would otherwise be as large as the whole.
Value sum_of_unslices(std::vector<Value> parts);

}  // namespace heatproof
