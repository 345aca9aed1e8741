#include "select/space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/spec.h"
#include "base/text.h"
#include "base/toml_file.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::size_t kMostRecipes = 5000;  // all pairs of them are compared

void check_keys(const toml::table& table, const std::vector<std::string>& known, const std::string& file) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (std::ranges::count(known, name) == 0)
      throw InputError(fmt::format("{}:{}: unknown key '{}'; known are {}", file, value.source().begin.line,
                                   abbreviated(name, 100), fmt::join(known, ", ")));
  }
}

std::vector<std::string> texts(const toml::table& table, const char* key, const std::string& file) {
  std::vector<std::string> list;
  const auto* array = table.get_as<toml::array>(key);
  if (array == nullptr) throw InputError(fmt::format("{}: {} must be an array of texts", file, key));
  for (const auto& item : *array) {
    const auto text = item.value<std::string>();
    if (!text)
      throw InputError(fmt::format("{}:{}: {} must hold texts only", file, item.source().begin.line, key));
    list.push_back(*text);
  }
  return list;
}

std::string toml_number(double value) {
  if (std::isnan(value)) return "nan";
  const std::string text = fmt::format("{:.6g}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

}  // namespace

Space read_space(const std::filesystem::path& path, const SelectionOptions& options) {
  const toml::table root = read_toml(path);
  const std::string file = path.string();
  check_keys(root, {"recipes", "objective", "diagnostics", "held_back", "reliability"}, file);
  Space space{{}, options};
  if (root.contains("recipes")) {
    for (const std::string& text : texts(root, "recipes", file)) {
      for (Recipe& recipe : expand_recipes(text)) space.recipes.push_back(std::move(recipe));
    }
    if (space.recipes.empty()) throw InputError(fmt::format("{}: recipes is empty", file));
  }
  if (const auto* node = root.get("objective")) {
    const auto text = node->value<std::string>();
    if (!text) throw InputError(fmt::format("{}: objective must be text", file));
    parse_metric(*text);
    space.options.objective = *text;
  }
  if (root.contains("diagnostics")) {
    space.options.diagnostics.clear();
    for (const std::string& text : texts(root, "diagnostics", file)) {
      parse_metric(text);
      space.options.diagnostics.push_back(text);
    }
  }
  if (const auto* node = root.get("reliability")) {
    const auto wanted = node->value<bool>();
    if (!wanted || !node->is_boolean())
      throw InputError(fmt::format("{}: reliability must be true or false", file));
    space.options.reliability = *wanted;
  }
  if (const auto* node = root.get("held_back")) {
    const auto share = node->value<double>();
    if (!share || !(*share >= 0 && *share < 1))
      throw InputError(fmt::format("{}: held_back must be a share from 0 to below 1", file));
    space.options.held_back = *share;
  }
  return space;
}

std::vector<Recipe> with_controls(std::vector<Recipe> recipes) {
  std::vector<Recipe> unique;
  std::set<std::string> known;
  const auto add = [&](Recipe recipe) {
    if (known.insert(recipe.text).second) unique.push_back(std::move(recipe));
  };
  for (Recipe& recipe : recipes) add(std::move(recipe));
  if (unique.size() > kMostRecipes)
    throw UsageError(fmt::format("{} recipes are too many, at most {} are compared; narrow the grids",
                                 unique.size(), kMostRecipes));
  if (std::ranges::none_of(unique, [](const Recipe& r) { return r.method->control; })) {
    add(parse_recipe("random"));
    add(parse_recipe("uniform"));
  }
  return unique;
}

std::string format_recipe_file(const Selection& s, const std::string& model_hash) {
  const Ranked& best = s.ranking.at(0);
  std::vector<std::string> ties;
  for (const Ranked& r : s.ranking) {
    if (r.in_best_set && r.recipe != best.recipe) ties.push_back("\"" + s.recipes[r.recipe].text + "\"");
  }
  return fmt::format(
      "# Written by heatproof select. {}: heatproof explain MODEL INPUT --recipe recipe.toml\n"
      "recipe = \"{}\"\n\n"
      "[evidence]\n"
      "beats_controls = {}\n"
      "confirmed = {}\n"
      "objective = \"{}\"\n"
      "score = {}\n"
      "low = {}\n"
      "high = {}\n"
      "images = {}\n"
      "as_good = [{}]\n"
      "model_sha256 = \"{}\"\n"
      "heatproof = \"{}\"\n",
      s.confirmed ? "Use it" : "Best on these images, not confirmed on others. To look at it",
      s.recipes[best.recipe].text, s.beats_controls, s.confirmed, s.objective.text,
      toml_number(best.score.mean), toml_number(best.score.low), toml_number(best.score.high),
      s.images.size(), fmt::join(ties, ", "), model_hash, HEATPROOF_VERSION);
}

Recipe read_recipe(const std::string& text) {
  if (!text.ends_with(".toml")) return parse_recipe(text);
  const toml::table root = read_toml(text);
  const auto recipe = root["recipe"].value<std::string>();
  if (!recipe)
    throw InputError(
        fmt::format("{}: no text 'recipe'; give a recipe.toml that heatproof select wrote", text));
  try {
    return parse_recipe(*recipe);
  } catch (const UsageError& e) {
    throw InputError(fmt::format("{}: {}", text, e.what()));
  }
}

}  // namespace heatproof
