// Which node a match of a composite means.
#pragma once

#include <string>
#include <vector>

#include "graph/builder.h"

namespace heatproof {

/// A convolution, or a product with a constant matrix.
bool is_linear_layer(const Value& node);

/// Matches nodes between an input and an output (composite.h, Assignment).
class Matching {
 public:
  explicit Matching(Value output);

  /// Throws UsageError for words that do not exist.
  bool operator()(const std::string& match, const Value& node) const;

 private:
  std::vector<bool> layer_before_, layer_after_;  // whether linear layers lie before, or behind, a node
};

}  // namespace heatproof
