// Other networks made from a network: functionally equal ones, and ones with randomised layers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace heatproof {

/// A way to write the same function as another network (Sundararajan et al. 2017: implementation invariance).
struct Equivalent {
  std::string name, about;
  /// The rewritten network; a graph with as many nodes as before where there was nothing to rewrite.
  Graph (*rewrite)(const Graph& canonical);
};
const std::vector<Equivalent>& equivalents();
/// Throws UsageError for names that do not exist.
const Equivalent& find_equivalent(const std::string& name);

/// Names of the layers with weights, from the input to the output.
std::vector<std::string> weight_layers(const Graph& canonical);
/// The network with the weights of layers [first, last) drawn anew: normal, with the layer's own mean and
/// standard deviation; biases become zero. Equal seeds give equal weights (Adebayo et al. 2018).
Graph randomize_layers(const Graph& canonical, std::size_t first, std::size_t last, std::uint64_t seed);

}  // namespace heatproof
