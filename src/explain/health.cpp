#include "explain/health.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/program.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/footprint.h"

namespace heatproof {

namespace {

/// What relevance starts with: the score, or one (of a probability: at most).
double explained_by(const Recipe& recipe, double score) {
  const bool logit = !recipe.parameters.has("output") || recipe.parameters.text("output") == "logit";
  return logit ? std::fabs(score) : 1;
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return 0.5 * (values[(values.size() - 1) / 2] + values[values.size() / 2]);
}

Culprit culprit_of(const LedgerLine& line, double factor) { return {line.node, line.op, line.rule, factor}; }

/// Every value of numbers that hangs on the inputs as an output.
Graph everything(const Graph& network, std::vector<Culprit>& names) {
  Builder g;
  std::vector<Value> inputs;
  for (const NodeId id : network.inputs())
    inputs.push_back(g.input(network.node(id).name, network.node(id).type));
  const std::vector<Value> values = g.splice(network, inputs);
  for (NodeId id = 0; id < static_cast<NodeId>(values.size()); ++id) {
    const Value& value = values[static_cast<std::size_t>(id)];
    if (!value || value.constant() || value.dtype() != DType::f32) continue;
    names.push_back({network.node(id).name, std::string(network.node(id).op->name), {}, 0});
    g.output(std::to_string(id), value);
  }
  return g.build();
}

}  // namespace

double relevance_sum(std::span<const float> relevance) {
  double sum = 0;
  for (const float r : relevance) {
    if (!std::isfinite(r)) return std::numeric_limits<double>::quiet_NaN();
    sum += r;
  }
  return sum;
}

Health health_of(const Recipe& recipe, const std::vector<double>& sums, const std::vector<double>& scores) {
  Health h;
  h.samples = sums.size();
  std::vector<double> sizes;
  for (const double score : scores) sizes.push_back(explained_by(recipe, score));
  const double usual = median(sizes);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (!std::isfinite(sums[i]) || !std::isfinite(scores[i])) {
      h.not_finite.push_back(i);
      continue;
    }
    const double unit = std::max(sizes[i], usual);
    if (!recipe.method->conserves || !(std::fabs(sums[i]) > kExplosion * unit)) continue;
    const double ratio = std::fabs(sums[i]) / unit;
    if (h.exploded.empty() || ratio > h.ratio) h.worst = i, h.unit = unit, h.ratio = ratio;
    h.exploded.push_back(i);
  }
  return h;
}

std::optional<Culprit> where_finiteness_ends(const std::vector<LedgerLine>& ledger, std::size_t sample) {
  for (const LedgerLine& line : ledger) {
    if (!std::isfinite(line.entering[sample])) return std::nullopt;
    if (!std::isfinite(line.leaving[sample])) return culprit_of(line, 0);
  }
  return std::nullopt;
}

std::optional<Culprit> where_it_explodes(const std::vector<LedgerLine>& ledger, std::size_t sample,
                                         double unit) {
  std::optional<Culprit> most;
  double total = ledger.empty() ? 0 : ledger.front().entering[sample];
  for (const LedgerLine& line : ledger) {
    const double before = std::max(std::fabs(total), unit);
    total += line.leaving[sample] - line.entering[sample];
    const double factor = std::fabs(total) / before;
    if (std::isfinite(factor) && (!most || factor > most->factor)) most = culprit_of(line, factor);
  }
  return most;
}

std::optional<Culprit> first_value_not_finite(const Graph& network, const std::vector<Tensor>& inputs) {
  std::vector<Culprit> names;
  const Graph all = everything(network, names);
  try {  // all values at once may be far more than the network's own
    check_footprint(all, {.explains = true});
  } catch (const Error&) {
    return std::nullopt;
  }
  const std::vector<Tensor> values = Workspace(compile(all)).run(inputs);
  for (const bool any : {false, true}) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      const auto bad = [&](float v) { return std::isnan(v) || (any && std::isinf(v)); };
      if (std::ranges::any_of(values[k].data<float>(), bad)) return names[k];
    }
  }
  return std::nullopt;
}

}  // namespace heatproof
