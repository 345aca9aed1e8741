// A recipe: a method of explanation with its parameters, as one word.
//
//   Recipe recipe = parse_recipe("lrp_epsilon_gamma_box:low=-3,high=3");
#pragma once

#include <string>
#include <vector>

#include "base/spec.h"
#include "explain/composite.h"
#include "explain/estimators/estimator.h"
#include "explain/network.h"

namespace heatproof {

/// What a method builds its explanation from.
struct MethodInputs {
  ForwardView forward;
  Value one_hot;                               // [N, classes]
  Value low, high;                             // of the input's box, broadcastable
  std::vector<LedgerEntry>* ledger = nullptr;  // filled where not null
  std::vector<NodeRule>* rules = nullptr;      // likewise, by methods that propagate relevance
};

/// All that a method of explanation is.
struct Method {
  std::string name;
  std::vector<Parameter> parameters;
  std::string about;
  std::string source;
  bool control = false;  // a baseline that a good explanation must beat
  /// Relevance in the input's shape; nullptr for estimators.
  Value (*build)(const MethodInputs&, const Parameters&) = nullptr;
  /// The composite of LRP methods, for listings; nullptr for others.
  Composite (*composite)(const Parameters&) = nullptr;
  /// Prepares a method that is no graph; nullptr for others. Throws UsageError for parameters that do not fit
  /// the network.
  Estimate (*estimator)(const EstimatorSetup&, const Parameters&) = nullptr;
  /// Claims that relevance sums to about what is explained; where it is far from it, users are warned.
  bool conserves = false;
};

const std::vector<Method>& methods();

struct Recipe {
  const Method* method = nullptr;
  Parameters parameters;
  std::string text;  // canonical
};

/// The rules that a network's nodes get, in the graph's order, without running anything; empty for methods
/// that propagate no relevance.
std::vector<NodeRule> rules_of(const Network& network, const Recipe& recipe);

/// Throws UsageError for unknown methods, parameters and values, naming the nearest.
Recipe parse_recipe(std::string_view text);
/// A grid with alternatives.
std::vector<Recipe> expand_recipes(std::string_view text);
/// The grid that `select` tries by default.
std::vector<Recipe> default_recipes(bool images);

/// How the channels of a pixel become one score.
enum class Pool { sum, abs, l2, max, positive };
Pool pool_of(const Recipe& recipe);
/// relevance [N, C, H, W] → [N, H, W]; other ranks: every element is its own pixel.
Tensor pool_channels(const Tensor& relevance, Pool pool);

}  // namespace heatproof
