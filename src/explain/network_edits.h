// Networks made from a network by editing its constants and outputs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace heatproof {

/// Names of the layers with weights, from the input to the output.
std::vector<std::string> weight_layers(const Graph& canonical);
/// The network with the weights of layers [first, last) drawn anew: normal, with the layer's own mean and
/// standard deviation; biases become zero. Equal seeds give equal weights (Adebayo et al. 2018).
Graph randomize_layers(const Graph& canonical, std::size_t first, std::size_t last, std::uint64_t seed);

/// The network g with g(x + shift) = f(x): the biases of the layers that see the input take up the shift
/// (Kindermans et al. 2017). Throws UsageError when something else than convolutions and dense layers sees
/// it.
Graph shift_input(const Graph& canonical, float shift);

/// The network whose output [N, values] is what all nodes of a matching name ("*", "?" as in shells) give, in
/// the graph's order. Throws UsageError when none matches.
Graph representation(const Graph& canonical, const std::string& pattern);

}  // namespace heatproof
