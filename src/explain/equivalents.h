// Functionally equal networks made from a network.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace heatproof {

/// A graph, and in how many places it was rewritten, of all that the rewrite is about.
struct Rewritten {
  Graph graph;
  std::size_t places, candidates;
};

/// A way to write the same function as another network (Sundararajan et al. 2017: implementation invariance).
struct Equivalent {
  std::string name, about;
  Rewritten (*rewrite)(const Graph& canonical);
  std::string of;  // what the rewrite is about: hidden layers, convolutions, ...
  /// Where two values under a max pooling are equal a maximum has no gradient, and each way to write it has a
  /// subgradient of its own: explanations are the same only away from there.
  bool differs_at_ties = false;
};
const std::vector<Equivalent>& equivalents();
/// Throws UsageError for names that do not exist.
const Equivalent& find_equivalent(const std::string& name);

/// How much of a network a rewrite reaches.
struct Coverage {
  std::size_t places = 0, candidates = 0;
  std::string of;
};
Coverage coverage(const Equivalent& rewrite, const Graph& canonical);
/// "24 of 25 hidden layers".
std::string to_string(const Coverage& coverage);

}  // namespace heatproof
