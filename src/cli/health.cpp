#include "cli/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/inputs.h"
#include "cli/messages.h"

namespace heatproof::cli {

namespace {

std::string text_of(const Culprit& c) {
  const std::string name = c.node.empty() ? "a node without a name" : fmt::format("node '{}'", c.node);
  if (c.rule.empty()) return fmt::format("{} ({})", name, c.op);
  return fmt::format("{} ({}, {})", name, c.op,
                     c.rule == "gradient" ? "passed by its derivative" : "rule " + c.rule);
}

/// One sample's ledger, of the recipe alone.
std::vector<LedgerLine> ledger_of(const Session& session, const InputSource& inputs, const Recipe& recipe,
                                  const Explained& all, std::size_t sample, std::uint64_t seed) {
  if (recipe.method->build == nullptr) return {};
  ExplainOptions options = session.explain_options(seed);
  options.ledger = true;
  options.progress = {};
  const std::vector<InputItem> one{all.items[sample]};
  const InputSet set = InputStream(inputs, one).next(1);
  const std::vector<std::int64_t> target{all.targets[sample]};
  return Explainer(session.network(), {recipe}, options)
      .explain(set.inputs, target, sample_ids(one))
      .ledger[0];
}

std::string not_finite_text(const Session& session, const InputSource& inputs, const Recipe& recipe,
                            const Explained& all, const Health& health, std::uint64_t seed) {
  const std::size_t first = health.not_finite.front();
  const std::string samples = some_of(health.not_finite, all.items);
  if (!std::isfinite(all.scores[first])) {
    const InputSet set = InputStream(inputs, {all.items[first]}).next(1);
    return fmt::format(
        "{}: the network's score is not finite for {}{}; check how inputs are prepared, and the model",
        recipe.text, samples, where_not_finite(session.network(), set.inputs));
  }
  const auto where = where_finiteness_ends(ledger_of(session, inputs, recipe, all, first, seed), 0);
  return fmt::format("{}: relevance is not finite for {}{}; use another recipe, or a larger stabilizer",
                     recipe.text, samples, where ? ", from " + text_of(*where) + " on" : "");
}

void describe_explosion(Verdict& v, const Session& session, const InputSource& inputs, const Recipe& recipe,
                        const Explained& all, std::uint64_t seed) {
  const Health& h = v.health;
  const auto where = where_it_explodes(ledger_of(session, inputs, recipe, all, h.worst, seed), 0, h.unit);
  v.exploded = fmt::format(
      "{}: relevance explodes on {} of {} samples: its sum is up to {:.3g} times the score (worst: {}){}; do "
      "not "
      "rely on it, use another recipe; heatproof inspect --recipe lists what relevance passes by the "
      "derivative",
      recipe.text, h.exploded.size(), h.samples, h.ratio, all.items[h.worst].name,
      where ? fmt::format(", most of it at {}, which multiplies it by {:.3g}", text_of(*where), where->factor)
            : std::string());
  v.explodes = {{"samples", h.exploded.size()},
                {"of", h.samples},
                {"ratio", h.ratio},
                {"worst", all.items[h.worst].name}};
  if (where) {
    v.explodes["node"] = where->node;
    v.explodes["op"] = where->op;
    v.explodes["rule"] = where->rule;
    v.explodes["factor"] = where->factor;
  }
}

}  // namespace

void Explained::add(const InputSet& set, const Tensor& logits, const std::vector<std::int64_t>& chosen,
                    const Tensor& relevance) {
  const auto classes = static_cast<std::size_t>(logits.shape()[1]);
  const auto size = static_cast<std::size_t>(relevance.elements()) / chosen.size();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto row = relevance.data<float>().subspan(i * size, size);
    if (std::ranges::all_of(row, [](float r) { return r == 0; })) zero.push_back(items.size());
    items.push_back(set.items[i]);
    targets.push_back(chosen[i]);
    scores.push_back(logits.data<float>()[i * classes + static_cast<std::size_t>(chosen[i])]);
    sums.push_back(relevance_sum(row));
  }
}

std::vector<std::string> Verdict::warnings() const {
  std::vector<std::string> lines;
  for (const std::string& line : {not_finite, exploded})
    if (!line.empty()) lines.push_back(line);
  return lines;
}

Verdict judge(const Session& session, const InputSource& inputs, const Recipe& recipe,
              const Explained& explained, std::uint64_t seed) {
  Verdict v{health_of(recipe, explained.sums, explained.scores), {}, {}};
  if (!v.health.not_finite.empty())
    v.not_finite = not_finite_text(session, inputs, recipe, explained, v.health, seed);
  if (!v.health.exploded.empty()) describe_explosion(v, session, inputs, recipe, explained, seed);
  return v;
}

std::string some_of(const std::vector<std::size_t>& which, const std::vector<InputItem>& all) {
  return all.size() == 1
             ? all[0].name
             : fmt::format("{} of {} samples (first: {})", which.size(), all.size(), all[which.front()].name);
}

std::string where_not_finite(const Graph& network, const std::vector<Tensor>& inputs) {
  const auto where = first_value_not_finite(network, inputs);
  return where ? ", from " + text_of(*where) + " on" : std::string();
}

std::string where_not_finite(const Network& network, const Tensor& input) {
  const std::vector<Tensor> copies(static_cast<std::size_t>(network.unit()), input);
  return where_not_finite(network.graph(network.unit()), {concatenate(copies)});
}

void add_nonfinite_flag(CLI::App& command, bool& allow) {
  command.add_flag("--allow-nonfinite", allow, "go on where inputs or results are NaN or infinite");
}

void warn(const GlobalFlags& global, const std::string& line) {
  if (!global.quiet) note(line);
}

}  // namespace heatproof::cli
