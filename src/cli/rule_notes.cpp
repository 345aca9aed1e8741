#include "cli/rule_notes.h"
#include "cli/messages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace heatproof::cli {

void warn_of_derivatives(const GlobalFlags& global, const Network& network, std::span<const Recipe> recipes) {
  if (global.quiet) return;
  // Of the recipe that leaves most to it: recipes differ in little else.
  std::vector<NodeRule> most;
  std::string recipe;
  for (const Recipe& r : recipes) {
    std::vector<NodeRule> left = rules_of(network, r);
    std::erase_if(left, [](const NodeRule& rule) { return !rule.by_default; });
    if (left.size() > most.size()) most = std::move(left), recipe = r.text;
  }
  if (most.empty()) return;
  std::map<std::string, int> counts;
  for (const NodeRule& rule : most) ++counts[rule.op];
  std::vector<std::string> operators;
  for (const auto& [op, count] : counts) operators.push_back(fmt::format("{} {}", count, op));
  note(fmt::format(
      "warning: {}: no rule for {} of the network's nodes ({}), first '{}' ({}): relevance "
      "passes through them by the derivative, which neither conserves it nor shares it in proportion; "
      "see heatproof inspect --recipe {}",
      recipe, most.size(), fmt::join(operators, ", "), most.front().node, most.front().op, recipe));
}

}  // namespace heatproof::cli
