#include "explain/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/random.h"
#include "explain/composite.h"
#include "explain/network.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/batching.h"

namespace heatproof {

namespace {

constexpr double kTolerance = 1e-4;

/// Row k of the result is row from(k) of x.
template <typename F>
Tensor picked(const Tensor& x, F from) {
  std::vector<Tensor> rows;
  for (std::int64_t k = 0; k < x.shape()[0]; ++k) rows.push_back(x.rows(from(k), from(k) + 1));
  return concatenate(rows);
}

/// positive: above a tenth, for what has no value below zero.
Tensor normal(const Shape& shape, const char* purpose, bool positive = false) {
  Tensor x = Tensor::empty(DType::f32, shape);
  RandomStream random(0, {"rows", purpose});
  for (float& v : x.data<float>()) {
    v = static_cast<float>(random.normal());
    if (positive) v = 0.1F + std::fabs(v);
  }
  return x;
}

double largest(std::span<const float> values) {
  double most = 0;
  for (float v : values) most = std::isfinite(v) ? std::max<double>(most, std::fabs(v)) : INFINITY;
  return most;
}

/// Logits and, given what they are weighed with, the gradient of their sum.
struct Probe {
  Workspace logits, gradient;
  Shape input, output;
};

Probe probe_of(const Graph& network, const std::string& output_name) {
  const Shape input = network.node(network.inputs()[0]).type.shape;
  Builder g;
  const Value x = g.input("x", {DType::f32, input});
  const Value logits = forward_view(g, network, x, output_name).logits;
  g.output("logits", logits);
  Builder back;
  const Value y = back.input("x", {DType::f32, input});
  const Value again = forward_view(back, network, y, output_name).logits;
  const Value weights = back.input("weights", {DType::f32, again.shape()});
  back.output("gradient", propagate({y, again, weights, {}, {}}, {}));
  return {Workspace(compile(g.build())), Workspace(compile(back.build())), input, logits.shape()};
}

/// Whether only row `own` of the input has a gradient where only row `own` of the logits counts.
bool gradient_stays(Probe& probe, const Tensor& x, std::int64_t own) {
  Tensor weights = Tensor::zeros(DType::f32, probe.output);
  const Tensor random = normal(probe.output, "weights");
  std::ranges::copy(random.rows(own, own + 1).data<float>(),
                    weights.rows(own, own + 1).data<float>().begin());
  const Tensor gradient = probe.gradient.run({x, weights})[0].clone();
  const double most = largest(gradient.rows(own, own + 1).data<float>());
  for (std::int64_t k = 0; k < probe.input[0]; ++k) {
    if (k != own && !(largest(gradient.rows(k, k + 1).data<float>()) <= kTolerance * most)) return false;
  }
  return std::isfinite(most);
}

bool independent(Probe& probe, std::int64_t rows, bool positive) {
  const Tensor x = normal(probe.input, "inputs", positive);
  const auto logits = [&](const Tensor& of) { return probe.logits.run({of})[0].clone(); };
  const Tensor together = logits(x);
  const Tensor moved = logits(picked(x, [&](std::int64_t k) { return (k + rows - 1) % rows; }));
  for (std::int64_t k = 0; k < rows; ++k) {
    if (!same_row(together, k, moved, (k + 1) % rows)) return false;
  }
  for (const std::int64_t own : {std::int64_t{0}, rows / 2, rows - 1}) {
    const Tensor alone = logits(picked(x, [&](std::int64_t) { return own; }));
    for (std::int64_t k = 0; k < rows; ++k) {
      if (!same_row(together, own, alone, k)) return false;
    }
    if (!gradient_stays(probe, x, own)) return false;
  }
  return true;
}

}  // namespace

bool same_row(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t k) {
  const Tensor left = a.rows(i, i + 1);
  const Tensor right = b.rows(k, k + 1);
  const auto x = left.data<float>();
  const auto y = right.data<float>();
  const double most = largest(x);
  if (!std::isfinite(most) || x.size() != y.size()) return false;
  return std::ranges::equal(x, y, [&](float p, float q) {
    return std::fabs(static_cast<double>(p) - static_cast<double>(q)) <= kTolerance * most;
  });
}

bool are_same_rows(const Graph& together, const Graph& alone, const std::string& output_name) {
  if (same_function(together, alone)) return true;
  const auto program = [&](const Graph& network) {
    Builder g;
    const Value x = g.input("x", network.node(network.inputs()[0]).type);
    g.output("logits", forward_view(g, network, x, output_name).logits);
    return Workspace(compile(g.build()));
  };
  Workspace file = program(together);
  Workspace apart = program(alone);
  const Shape input = together.node(together.inputs()[0]).type.shape;
  return std::ranges::any_of(std::array{false, true}, [&](bool positive) {
    const Tensor x = normal(input, "inputs", positive);
    const Tensor a = file.run({x})[0].clone();
    const Tensor b = apart.run({x})[0].clone();
    if (a.shape() != b.shape()) return false;
    for (std::int64_t k = 0; k < input[0]; ++k)
      if (!same_row(a, k, b, k)) return false;
    return true;
  });
}

void check_rows(const Graph& network, const std::string& output_name, std::int64_t rows) {
  Probe probe = probe_of(network, output_name);
  if (independent(probe, rows, false) || independent(probe, rows, true)) return;
  throw UnsupportedError(
      fmt::format("the network was written for batches of {}, and what it gives for a row changes with the "
                  "other rows, or is "
                  "not finite, so that no row can be explained by itself; export it with a batch of 1 or an "
                  "open batch, and "
                  "with the batch as the first axis of its input (heatproof run --input NAME=FILE computes "
                  "what the file says)",
                  rows));
}

}  // namespace heatproof
