// Random valid graphs: programs against a naive evaluation in double, rows of batches, and derivatives. A
// mismatch is thrown with the plan and the graph.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "engine/program.h"
#include "explain/explainer.h"
#include "fuzz/expected.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"
#include "graph/rewrite.h"
#include "ops/arithmetic.h"
#include "ops/batching.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

namespace {

constexpr std::int64_t kRows = 2;
constexpr double kWorst = 1e-2;  // relative to the largest: a larger tolerance says nothing

/// All that is known of a plan, and a message for its author.
struct Case {
  Plan plan;
  Graph graph;
  std::vector<Expected> rows;  // for each row of the input
  double largest = 0;          // of all values

  [[noreturn]] void fails(const std::string& what, const Graph& where) const {
    fail(fmt::format("{}\n{}\n{}", what, to_string(plan), to_string(where)));
  }
};

Graph graph_of(const Plan& plan, std::size_t outputs) {
  Builder g;
  const std::vector<Value> values = build(g, plan);
  for (std::size_t i = 0; i < std::min(outputs, plan.outputs.size()); ++i)
    g.output(fmt::format("y{}", i), values[static_cast<std::size_t>(plan.outputs[i])]);
  return g.build();
}

void check_elements(const Case& c, const Graph& where, std::span<const float> actual, const Values& expected,
                    double looseness, const std::string& what) {
  if (actual.size() != expected.value.size()) c.fails(what + ": another number of elements", where);
  double most = 0;
  for (double v : expected.value) most = std::max(most, std::fabs(v));
  const double floor = looseness > 1 ? 1e-3 * most : 1e-7 * (most + std::min(c.largest, 100.0));
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (expected.tolerance[i] > kWorst * most) continue;
    const double gap = std::fabs(actual[i] - expected.value[i]);
    if (gap <= looseness * expected.tolerance[i] + floor + 1e-30) continue;
    c.fails(fmt::format("{}: element {} is {}, expected {} within {}", what, i, actual[i], expected.value[i],
                        looseness * expected.tolerance[i] + floor),
            where);
  }
}

/// What the builder knows of shapes and signs.
void check_knowledge(const Case& c) {
  Builder g;
  const std::vector<Value> values = build(g, c.plan);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Array& known = c.rows[0].arrays[i];
    const std::string node = fmt::format("%{} ({})", i, c.plan.nodes[i].op->name);
    if (values[i].shape() != known.shape)
      c.fails(fmt::format("{} has shape {}, expected {}", node, to_string(values[i].shape()),
                          to_string(known.shape)),
              c.graph);
    const Sign sign = values[i].sign();
    for (const Number& n : known.numbers) {
      const bool low = n.value < -1e-12 && (sign == Sign::non_negative || sign == Sign::zero);
      const bool high = n.value > 1e-12 && (sign == Sign::non_positive || sign == Sign::zero);
      if (low || high)
        c.fails(fmt::format("{} is said to have sign {}, but is {}", node, static_cast<int>(sign), n.value),
                c.graph);
    }
  }
}

void check_program(const Case& c, const Graph& graph, Convolutions convolutions, const std::string& what) {
  Workspace workspace(compile(graph, convolutions));
  const std::vector<Tensor> outputs = workspace.run({c.rows[0].input});
  for (std::size_t i = 0; i < outputs.size(); ++i)
    check_elements(c, graph, outputs[i].data<float>(), c.rows[0].outputs[i],
                   convolutions == Convolutions::fastest ? 100 : 1, fmt::format("{}, output {}", what, i));
}

/// Gradients of ⟨y, u⟩ with respect to the input, by reverse accumulation.
Value gradient(Value y, Value u, Value x) {
  std::map<NodeId, Value> total{{y.id(), u}};
  for (NodeId id = y.id(); id > x.id(); --id) {
    const auto it = total.find(id);
    const Value node(&y.builder(), id);
    if (it == total.end() || node.inputs() == 0) continue;
    if (node.node().op->derivative == nullptr) throw UnsupportedError("no derivative");
    const auto parts = node.node().op->derivative(node, it->second);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i] || !node.input(i) || node.input(i).constant()) continue;
      if (parts[i].shape() != node.input(i).shape())
        fail(fmt::format("the derivative of {} has another shape", node.node().op->name));
      Value& sum = total[node.input(i).id()];
      sum = sum ? sum + parts[i] : parts[i];
    }
  }
  return total.contains(x.id()) ? total[x.id()] : zeros_like(x);
}

/// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ for the rows of a graph of several.
void check_adjoint(const Case& c, const Graph& graph, const Tensor& inputs, const std::string& what) {
  const auto rows = static_cast<std::size_t>(inputs.shape()[0]);
  for (std::size_t k = 0; k < rows; ++k) {
    if (c.rows[k].kinked) return;
  }
  Builder g;
  const Value x = g.input("x", {DType::f32, inputs.shape()});
  const Value y = g.splice(graph, {x})[static_cast<std::size_t>(graph.outputs()[0].id)];
  if (y.constant()) return;
  const Value u = g.input("u", {DType::f32, y.shape()});
  g.output("gradient", gradient(y, u, x));
  const Graph derivative = g.build();
  const Tensor weights = random_numbers(y.shape(), 99);
  Workspace workspace(compile(derivative));
  const Tensor result = workspace.run({inputs, weights})[0];
  for (std::size_t k = 0; k < rows; ++k) {
    const Expected& e = c.rows[k];
    const auto row = static_cast<std::int64_t>(k);
    const std::size_t n = e.slopes[0].value.size();
    const auto us = weights.data<float>().subspan(k * n, n);
    double forward = 0, backward = 0, tolerance = 1e-30;
    for (std::size_t i = 0; i < n; ++i) {
      forward += e.slopes[0].value[i] * us[i];
      tolerance += (2 * e.slopes[0].tolerance[i] + 1e-6 * std::fabs(e.slopes[0].value[i])) * std::fabs(us[i]);
    }
    const Tensor own = result.rows(row, row + 1);
    const auto gs = own.data<float>();
    for (std::size_t i = 0; i < gs.size(); ++i) {
      backward += static_cast<double>(gs[i]) * e.direction.data<float>()[i];
      tolerance += 1e-5 * std::fabs(static_cast<double>(gs[i]) * e.direction.data<float>()[i]);
    }
    if (!(std::fabs(forward - backward) <= tolerance))
      c.fails(fmt::format("{}, row {}: the derivative along a direction is {}, expected {} within {}", what,
                          k, backward, forward, tolerance),
              derivative);
  }
}

Tensor stacked(const Case& c, std::int64_t rows) {
  std::vector<Tensor> parts;
  for (std::int64_t k = 0; k < rows; ++k) parts.push_back(c.rows[static_cast<std::size_t>(k)].input);
  return concatenate(parts);
}

void check_batch(const Case& c, const Graph& canonical) {
  const Graph graph = batched(canonical, kRows);
  const Tensor inputs = stacked(c, kRows);
  Workspace workspace(compile(graph));
  const std::vector<Tensor> outputs = workspace.run({inputs});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].shape().empty() || outputs[i].shape()[0] != kRows) c.fails("a batch without rows", graph);
    for (std::int64_t k = 0; k < kRows; ++k)
      check_elements(c, graph, outputs[i].rows(k, k + 1).data<float>(),
                     c.rows[static_cast<std::size_t>(k)].outputs[i], 1,
                     fmt::format("batch, output {}, row {}", i, k));
  }
  may_refuse([&] { check_adjoint(c, graph, inputs, "batch"); });
}

bool ends_in_softmax(const Graph& graph) {
  const Node* node = &graph.node(graph.outputs()[0].id);
  while (node->op == &kReshape) node = &graph.node(node->inputs[0]);
  return node->op == &kSoftmax || node->op == &kLogSoftmax;
}

/// As users see it: logits, and the gradient of one of them.
void check_network(const Case& c) {
  const Graph last = graph_of(c.plan, 1);
  const Network network([&](std::int64_t) { return last; });
  if (ends_in_softmax(network.graph(1))) return;  // logits stand before it
  const Tensor inputs = stacked(c, kRows);
  const std::vector<std::int64_t> targets(kRows, network.classes() / 2);
  Explainer explainer(network, {parse_recipe("gradient")}, {});
  const Explanation e = explainer.explain(inputs, targets);
  for (std::int64_t k = 0; k < kRows; ++k) {
    const Expected& row = c.rows[static_cast<std::size_t>(k)];
    const Tensor logits = e.logits.rows(k, k + 1);
    check_elements(c, network.graph(1), logits.data<float>(), row.outputs[0], 1,
                   fmt::format("logits of row {}", k));
    if (row.kinked) continue;
    const auto target = static_cast<std::size_t>(targets[0]);
    double along = 0;
    double tolerance =
        2 * row.slopes[0].tolerance[target] + 1e-6 * std::fabs(row.slopes[0].value[target]) + 1e-30;
    const Tensor relevance = e.relevance[0].rows(k, k + 1);
    for (std::size_t i = 0; i < row.direction.data<float>().size(); ++i) {
      const double part = static_cast<double>(relevance.data<float>()[i]) * row.direction.data<float>()[i];
      along += part, tolerance += 1e-5 * std::fabs(part);
    }
    if (!(std::fabs(along - row.slopes[0].value[target]) <= tolerance))
      c.fails(fmt::format("gradient of row {}: {} along a direction, expected {} within {}", k, along,
                          row.slopes[0].value[target], tolerance),
              network.graph(1));
  }
}

/// Of one method after the other, that it works at all.
void check_explanation(const Case& c) {
  const Graph last = graph_of(c.plan, 1);
  const Network network([&](std::int64_t) { return last; });
  const auto& all = methods();
  const Method& method = all[c.plan.nodes.size() * 7 % all.size()];
  if (method.build == nullptr) return;
  const Tensor inputs = stacked(c, kRows);
  Explainer explainer(network, {parse_recipe(method.name)}, {.ledger = true});
  const Explanation e = explainer.explain(inputs, std::vector<std::int64_t>(kRows, 0));
  if (e.relevance[0].shape() != inputs.shape()) c.fails(method.name + " has another shape", last);
}

void check(const Case& c) {
  check_knowledge(c);
  check_program(c, c.graph, Convolutions::direct, "as it is written");
  const Graph canonical = canonicalize(c.graph);
  check_program(c, canonical, Convolutions::direct, "canonical");
  check_program(c, canonical, Convolutions::fastest, "fastest");
  may_refuse([&] { check_adjoint(c, c.graph, c.rows[0].input, "as it is written"); });
  may_refuse([&] { check_batch(c, canonical); });
  may_refuse([&] { check_network(c); });
  may_refuse([&] { check_explanation(c); });
}

}  // namespace

void graphs(std::string_view bytes) {
  if (bytes.size() > 4096) return;
  Case c{plan_of(bytes), {}, {}, 0};
  for (std::uint64_t k = 0; k < kRows; ++k) {
    std::optional<Expected> expected = expected_of(c.plan, k);
    if (!expected) return;  // too large for single precision, or a close call
    c.largest = std::max(c.largest, expected->largest);
    c.rows.push_back(std::move(*expected));
  }
  c.graph = graph_of(c.plan, c.plan.outputs.size());
  try {
    check(c);
  } catch (const std::logic_error&) {  // a mismatch
    throw;
  } catch (const std::exception& e) {
    c.fails(e.what(), c.graph);
  }
}

}  // namespace heatproof::fuzz
