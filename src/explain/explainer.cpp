#include "explain/explainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "explain/rows.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

Explainer::Explainer(const Network& network, std::vector<Recipe> recipes, ExplainOptions options)
    : network_(network), recipes_(std::move(recipes)), options_(std::move(options)) {
  if (recipes_.empty()) throw UsageError("no recipe was given");
  estimates_.resize(recipes_.size());
}

Graph Explainer::graph(std::int64_t batch) {
  Builder g;
  Shape shape = network_.input_shape();
  shape[0] = batch;
  const Value x = g.input("x", {DType::f32, shape});
  const Value target = g.input("target", {DType::i64, {batch}});
  MethodInputs in;
  in.forward = forward_view(g, network_.graph(batch), x, network_.options().output_name);
  in.one_hot = g.add(kOneHot, {target}, {{"depth", network_.classes()}});
  in.low = box_edge(g, options_.low, 0, shape);
  in.high = box_edge(g, options_.high, 1, shape);
  g.output("logits", in.forward.logits);
  ledger_names_.assign(recipes_.size(), {});
  std::vector<LedgerEntry> sums;
  for (std::size_t i = 0; i < recipes_.size(); ++i) {
    if (recipes_[i].method->build == nullptr) continue;
    std::vector<LedgerEntry> ledger;
    in.ledger = options_.ledger ? &ledger : nullptr;
    g.output(recipes_[i].text, recipes_[i].method->build(in, recipes_[i].parameters));
    for (const LedgerEntry& e : ledger)
      ledger_names_[i].push_back(
          {e.node, e.op, e.rule, static_cast<bool>(e.absorbed), static_cast<bool>(e.stabilized)});
    sums.insert(sums.end(), ledger.begin(), ledger.end());
  }
  for (std::size_t k = 0; k < sums.size(); ++k) {
    g.output(fmt::format("ledger {} entering", k), sums[k].entering);
    g.output(fmt::format("ledger {} leaving", k), sums[k].leaving);
    if (sums[k].absorbed) g.output(fmt::format("ledger {} absorbed", k), sums[k].absorbed);
    if (sums[k].stabilized) g.output(fmt::format("ledger {} stabilized", k), sums[k].stabilized);
  }
  return g.build();
}

std::vector<NodeRule> rules_of(const Network& network, const Recipe& recipe) {
  std::vector<NodeRule> rules;
  if (recipe.method->build == nullptr) return rules;
  Builder g;
  Shape shape = network.input_shape();
  shape[0] = network.unit();
  MethodInputs in;
  in.forward = forward_view(g, network.graph(network.unit()), g.input("x", {DType::f32, shape}),
                            network.options().output_name);
  in.one_hot = g.fill({network.unit(), network.classes()}, 1);
  in.low = box_edge(g, {}, 0, shape);
  in.high = box_edge(g, {}, 1, shape);
  in.rules = &rules;
  recipe.method->build(in, recipe.parameters);
  return rules;
}

Workspace& Explainer::workspace(std::int64_t batch) {
  if (const auto it = workspaces_.find(batch); it != workspaces_.end()) return it->second;
  return workspaces_.emplace(batch, Workspace(network_.compile(graph(batch)))).first->second;
}

std::int64_t Explainer::batch() {
  if (batch_ > 0) return batch_;
  const std::int64_t unit = network_.unit();
  if (options_.batch > 0 || network_.fit(2) == unit) return batch_ = network_.fit(options_.batch);
  // The program of one input stays for rests. What rules make of weights is computed for every program anew.
  const Program& one = workspace(unit).program();
  const std::size_t taken = bytes() + one.constant_bytes();
  batch_ = rows_that_fit(network_.memory(), taken, one.arena_bytes(), 8);
  network_.announce(taken + static_cast<std::size_t>(batch_) * one.arena_bytes());
  return batch_;
}

std::size_t Explainer::bytes() {
  const Program& one = workspace(network_.unit()).program();
  return one.constant_bytes() + one.arena_bytes();
}

/// The network's rows were tried out (explain/rows.h); what recipes make of a row must not hang on the others
/// either.
void Explainer::check_rows_of(const Tensor& inputs, std::span<const std::int64_t> targets) {
  const std::int64_t unit = network_.unit();
  const auto explained = [&](std::int64_t only) {
    std::vector<Tensor> rows;
    std::vector<std::int64_t> classes;
    for (std::int64_t k = 0; k < unit; ++k) {
      const std::int64_t row = only < 0 ? k : only;
      Tensor x = inputs.rows(row, row + 1).clone();
      // Rows that are copies already are told apart.
      const auto [least, most] = std::ranges::minmax(x.data<float>());
      const float apart = most > least ? most - least : 1.0F;
      if (only < 0 && k > 0)
        for (float& v : x.data<float>()) v += 0.25F * static_cast<float>(k % 4 + 1) * apart;
      rows.push_back(x);
      classes.push_back(targets[static_cast<std::size_t>(row)]);
    }
    std::vector<Tensor> results;
    for (const Tensor& t : workspace(unit).run({concatenate(rows), Tensor::of({unit}, classes)}))
      results.push_back(t.clone());
    return results;
  };
  const std::vector<Tensor> together = explained(-1);
  const std::vector<Tensor> alone = explained(0);
  for (std::size_t i = 0; i < together.size(); ++i) {
    // Sums of the ledger may cancel to what is rounding alone.
    if (workspace(unit).program().outputs()[i].name.starts_with("ledger ")) continue;
    const Shape& shape = together[i].shape();
    bool same = !shape.empty() && shape[0] == unit;
    for (std::int64_t k = 0; same && k < unit; ++k) same = same_row(together[i], 0, alone[i], k);
    if (!same)
      throw UnsupportedError(fmt::format(
          "'{}': in batches of {}, for which the network was written, what a row gets hangs on the "
          "others; export it with a batch of 1 or an open batch",
          workspace(unit).program().outputs()[i].name, unit));
  }
}

void Explainer::run(const Tensor& inputs, std::span<const std::int64_t> targets,
                    std::span<const std::uint64_t> ids, std::int64_t first, std::int64_t total,
                    std::optional<std::size_t> only, Explanation& out) {
  const std::vector<Tensor> given{inputs, Tensor::of({inputs.shape()[0]}, targets)};
  Workspace& ready = workspace(inputs.shape()[0]);
  std::vector<std::size_t> wanted{0};  // of the outputs: the logits
  for (std::size_t i = 0, output = 1; only && i <= *only; ++i) {
    if (recipes_[i].method->build == nullptr) continue;
    if (i == *only) wanted.push_back(output);
    ++output;
  }
  const std::vector<Tensor> results = only ? ready.run(given, wanted) : ready.run(given);
  if (network_.unit() > 1 && !std::exchange(rows_checked_, true)) {
    check_rows_of(inputs, targets);
    return run(inputs, targets, ids, first, total, only, out);
  }
  const auto used = static_cast<std::int64_t>(ids.size());  // the rest of the batch is padding
  std::size_t next = 0;
  const auto append = [&](Tensor& to, const Tensor& from) {
    if (!to.defined()) {
      Shape shape = from.shape();
      shape[0] = total;
      to = Tensor::empty(DType::f32, shape);
    }
    std::memcpy(to.rows(first, first + used).raw(), from.raw(), from.rows(0, used).bytes());
  };
  append(out.logits, results[next++]);
  for (std::size_t i = 0; i < recipes_.size(); ++i) {
    if (recipes_[i].method->build != nullptr && (!only || i == *only))
      append(out.relevance[i], results[next++]);
  }
  if (only) return;
  for (std::size_t i = 0; i < recipes_.size(); ++i) {
    out.ledger[i].resize(ledger_names_[i].size());
    for (std::size_t k = 0; k < ledger_names_[i].size(); ++k) {
      LedgerLine& line = out.ledger[i][k];
      const LedgerName& name = ledger_names_[i][k];
      line.node = name.node, line.op = name.op, line.rule = name.rule;
      const auto append_sums = [&](std::vector<double>& to) {
        const auto sums = results[next++].data<float>().first(ids.size());
        to.insert(to.end(), sums.begin(), sums.end());
      };
      append_sums(line.entering);
      append_sums(line.leaving);
      if (name.has_bias) append_sums(line.absorbed);
      if (name.has_stabilizer) append_sums(line.stabilized);
      line.absorbed.resize(line.entering.size(), 0);
      line.stabilized.resize(line.entering.size(), 0);
    }
  }
}

Explanation Explainer::explain(const Tensor& inputs, std::span<const std::int64_t> targets,
                               std::span<const std::uint64_t> ids) {
  return explain(inputs, targets, ids, std::nullopt);
}

Tensor Explainer::explain_one(std::size_t recipe, const Tensor& inputs, std::span<const std::int64_t> targets,
                              std::span<const std::uint64_t> ids) {
  return explain(inputs, targets, ids, recipe).relevance[recipe];
}

Explanation Explainer::explain(const Tensor& inputs, std::span<const std::int64_t> targets,
                               std::span<const std::uint64_t> ids, std::optional<std::size_t> only) {
  const std::int64_t n = inputs.shape()[0];
  if (static_cast<std::int64_t>(targets.size()) != n)
    throw UsageError(fmt::format("{} targets for {} inputs", targets.size(), n));
  for (std::int64_t t : targets) {
    if (t < 0 || t >= network_.classes())
      throw UsageError(fmt::format("target {} is not a class; there are {} (0 to {})", t, network_.classes(),
                                   network_.classes() - 1));
  }
  std::vector<std::uint64_t> numbers(ids.begin(), ids.end());
  for (std::int64_t i = static_cast<std::int64_t>(numbers.size()); i < n; ++i)
    numbers.push_back(static_cast<std::uint64_t>(i));
  Explanation out;
  out.relevance.resize(recipes_.size());
  out.ledger.resize(recipes_.size());
  const std::int64_t unit = network_.unit();
  std::int64_t size = n == 1 && !network_.options().steady ? unit : batch();
  // Few inputs, and a rest, run one by one: another program costs as much as some of them, and its weights.
  // What was explained before must not matter: results would differ by rounding when a run is resumed.
  if (std::max(n, options_.expected) < 2 * size) size = unit;
  // Cells of a selection must not depend on which samples come together.
  const bool pads = network_.options().steady && options_.expected >= 2 * size;
  for (std::int64_t begin = 0; begin < n; begin += size) {
    if (!pads && 4 * (n - begin) <= 3 * size) size = unit;
    const std::int64_t end = std::min(begin + size, n);
    Tensor part = inputs.rows(begin, end);
    std::vector<std::int64_t> part_targets(targets.begin() + begin, targets.begin() + end);
    if (end - begin < size) {
      std::vector<Tensor> rows(static_cast<std::size_t>(size - (end - begin)), inputs.rows(end - 1, end));
      rows.insert(rows.begin(), part);
      part = concatenate(rows);
      part_targets.resize(static_cast<std::size_t>(size), part_targets.back());
    }
    run(part, part_targets,
        std::span(numbers).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
        begin, n, only, out);
    if (options_.progress) options_.progress(end, n);
  }
  const EstimatorSetup setup{network_, options_.low, options_.high, options_.seed};
  for (std::size_t i = 0; i < recipes_.size(); ++i) {
    const Recipe& recipe = recipes_[i];
    if (recipe.method->estimator == nullptr || (only && i != *only)) continue;
    if (!estimates_[i]) estimates_[i] = recipe.method->estimator(setup, recipe.parameters);
    out.relevance[i] = estimates_[i]({inputs, targets, numbers});
  }
  return out;
}

}  // namespace heatproof
