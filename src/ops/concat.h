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

}  // namespace heatproof
