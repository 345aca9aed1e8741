// DeepLIFT's rules of single operators. Shrikumar, Greenside and Kundaje 2017: multipliers m with Σ Δx · m =
// Δy · M, so that relevance is complete whatever the network is made of.
#pragma once

#include <vector>

#include "graph/builder.h"

namespace heatproof {

/// A node as it is and as it is for the baseline.
struct Contrast {
  Value node, reference;
  std::vector<Value> references;  // the operands for the baseline
  std::vector<bool> moves;        // operands that may differ from those for the baseline
  Value x(std::size_t i) const { return node.input(i); }
  Value r(std::size_t i) const { return references[i]; }
};

/// Multipliers of the operands, from that of the result; invalid Values where there are none. Throws
/// UnsupportedError for operators that have no derivative.
std::vector<Value> deeplift_multipliers(const Contrast& c, Value M);

}  // namespace heatproof
