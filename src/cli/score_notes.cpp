#include "cli/score_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/messages.h"
#include "heatproof/error.h"
#include "validate/features.h"

namespace heatproof::cli {

namespace {

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

/// Names of what watches the probability; what was asked for and is not there is refused.
std::vector<std::string> watchers(const Network& network, std::span<const Recipe> recipes,
                                  std::span<const MetricSpec> metrics) {
  std::vector<std::string> names;
  const auto look = [&](const std::string& name, const Parameters& p, const char* key) {
    if (!p.has(key) || p.at(key).index() != ParameterValue(std::string()).index()) return;
    const std::string& kind = p.text(key);
    const std::string why = why_unwatched(network, kind);
    if (!why.empty() && p.given(key))
      throw UsageError(fmt::format("{}: {}={}: {}; use {}=logit", name, key, kind, why, key));
    if (kind == "probability") add_once(names, name);
  };
  for (const Recipe& r : recipes) look(r.method->name, r.parameters, "output");
  for (const MetricSpec& m : metrics) look(m.metric->name, m.parameters, "score");
  return names;
}

}  // namespace

std::string note_scores(const GlobalFlags& global, const Network& network, std::span<const Recipe> recipes,
                        std::span<const MetricSpec> metrics) {
  const Probability& probability = network.probability();
  const std::vector<std::string> names = watchers(network, recipes, metrics);
  if (names.empty()) return {};
  std::string line;
  const std::string who =
      fmt::format("{} {}", fmt::join(names, ", "), names.size() == 1 ? "watches" : "watch");
  if (!probability)
    line = fmt::format("{} the logit instead of the probability: {}", who, probability.missing);
  else if (probability.from == Probability::From::convention)
    line = fmt::format(
        "{} the softmax of the logits, which the network itself does not apply; where its outputs are no "
        "classes, use output=logit (of metrics score=logit)",
        who);
  if (!line.empty() && !global.quiet) note(line);
  return line;
}

}  // namespace heatproof::cli
