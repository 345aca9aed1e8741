// The order in which nodes of a file are imported.
#pragma once

#include "onnx/contents.h"

namespace heatproof {

/// Puts every node behind those that compute its inputs, as converters do not always write them. Stable (what
/// is in order stays as it is), in linear time. Throws InputError for nodes that wait for each other.
void sort_nodes(onnx::GraphProto& graph);

}  // namespace heatproof
