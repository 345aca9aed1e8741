// Files of a selection: the search space that goes in, the recipe that comes out.
//
//   recipes = ["deep_taylor:gamma=0/0.25/1,input=zbox", "lrp_epsilon_plus", "random", "uniform"]
//   objective = "pixel_flipping:patch=16"
//   diagnostics = ["conservation", "sparseness"]
//   held_back = 0.25
//   reliability = true       # rank with other settings of the objective, too
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "explain/recipe.h"
#include "select/selection.h"

namespace heatproof {

struct Space {
  std::vector<Recipe> recipes;  // grids expanded; empty: the default grid
  SelectionOptions options;     // as given, with what the file overrides
};

/// Throws InputError naming file and line for bad TOML, unknown keys and wrong types; UsageError for recipes
/// and metrics that do not exist.
Space read_space(const std::filesystem::path& path, const SelectionOptions& options);

/// Recipes without repetition, in order; adds the controls `random` and `uniform` where no control is among
/// them.
std::vector<Recipe> with_controls(std::vector<Recipe> recipes);

/// The text of recipe.toml.
std::string format_recipe_file(const Selection& selection, const std::string& model_hash);
/// A recipe as one word, or the path of a recipe.toml. Throws like parse_recipe, and InputError for bad
/// files.
Recipe read_recipe(const std::string& text_or_path);

}  // namespace heatproof
