// Function-preserving rewrites of single nodes; the table of all is in equivalents.cpp.
#pragma once

#include "explain/equivalents.h"
#include "explain/graph_copy.h"

namespace heatproof {

/// Copies the graph and calls `emit` for nodes of some operators; those for which it gives something else
/// count as rewritten.
Rewritten rewrite_nodes(const Graph& graph, std::initializer_list<const Operator*> ops, const Emit& emit);

/// y = relu(y) − relu(−y) after every layer.
Rewritten insert_identities(const Graph& graph);
/// Convolutions with a frame of zero taps around their kernel.
Rewritten enlarge_kernels(const Graph& graph);
/// Convolutions divided by a number per channel, with a BatchNormalization that multiplies it back.
Rewritten unfold_batch_norm(const Graph& graph);
/// Convolutions over two axes as a dense layer of the patches under the kernel (im2col). Those that see the
/// input stay, because rules for the input's box need the input as it is.
Rewritten as_matrix_products(const Graph& graph);

}  // namespace heatproof
