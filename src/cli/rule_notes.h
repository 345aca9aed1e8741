// What is told of the rules that nodes get.
#pragma once

#include <span>

#include "cli/common.h"

namespace heatproof::cli {

/// One line on stderr where recipes of relevance propagation leave nodes of the network to the derivative.
void warn_of_derivatives(const GlobalFlags& global, const Network& network, std::span<const Recipe> recipes);

}  // namespace heatproof::cli
