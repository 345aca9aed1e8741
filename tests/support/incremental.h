// Random networks and inputs for tests of incremental inference.
#pragma once

#include "base/random.h"
#include "explain/incremental.h"

namespace heatproof::testing {

/// A small graph of everything that can be computed on windows, drawn from a seed.
Graph random_graph(std::uint64_t seed, std::int64_t batch, const Shape& input);
Network random_network(std::uint64_t seed, const Shape& input, NetworkOptions options = {.batch = 2});
/// With one to three spatial axes.
Shape random_input(std::uint64_t seed);
/// A place of a window of the patch's size, often at the edge.
Place random_place(RandomStream& random, const Shape& input, const std::vector<std::int64_t>& patch);
/// Rows as one tensor whose other axes are those of `shape`.
Tensor stacked(const std::vector<std::vector<float>>& rows, Shape shape);

}  // namespace heatproof::testing
