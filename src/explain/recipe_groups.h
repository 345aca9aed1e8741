// Many recipes in little memory: groups that are compiled one after the other.
#pragma once

#include <memory>
#include <vector>

#include "explain/explainer.h"

namespace heatproof {

/// Recipes in their order, as many in a group as fit into the network's memory: weights (packed once, and as
/// rules modify them), working memory, and relevance of `inputs` inputs, twice. Recipes of a group share
/// equal terms. Only one group's programs are held at a time; where all recipes fit, they are one group.
class RecipeGroups {
 public:
  RecipeGroups(const Network& network, const std::vector<Recipe>& recipes, ExplainOptions options,
               std::int64_t inputs);

  std::size_t size() const { return groups_.size(); }
  /// Compiles the group, unless it was the last one. Halves it first where it turns out not to fit, so that
  /// later groups get other numbers; `recipes` and `size` hold until the next call.
  Explainer& explainer(std::size_t group);
  /// Which recipes a group explains, in the order of its explainer.
  const std::vector<std::size_t>& recipes(std::size_t group) const { return groups_[group]; }

 private:
  std::size_t room(std::size_t recipes) const;

  const Network& network_;
  const std::vector<Recipe>& recipes_;
  ExplainOptions options_;
  std::size_t result_bytes_;  // of a recipe
  bool tight_ = false;        // programs must be looked at before it is known that they fit
  std::vector<std::vector<std::size_t>> groups_;
  std::vector<std::size_t> compiled_;  // the group that explainer_ is of
  std::unique_ptr<Explainer> explainer_;
};

}  // namespace heatproof
