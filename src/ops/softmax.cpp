// Softmax and LogSoftmax along attribute axis.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/transcendental.h"

namespace heatproof {

namespace {

std::size_t axis_of(const Attributes& a) { return static_cast<std::size_t>(a.integer("axis", 0)); }

Type infer(const NodeView& v) {
  if (axis_of(v.node.attributes) >= v.shape(0).size()) throw Error("axis is out of range");
  return v.input(0);
}

constexpr std::int64_t kLanes = 32;  // more than compilers unroll as a whole

HEATPROOF_SIMD float largest(const float* x, std::int64_t n) {
  float most[kLanes];
  for (std::int64_t k = 0; k < kLanes; ++k) most[k] = x[0];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) {
      const float v = x[i + k];
      most[k] = v > most[k] ? v : most[k];
    }
  for (; i < n; ++i) most[0] = std::max(most[0], x[i]);  // scalar
  return *std::max_element(most, most + kLanes);
}

/// x[i] = e^(x[i] − most); their sum.
HEATPROOF_SIMD double exponentials(float* x, std::int64_t n, float most) {
  for (std::int64_t i = 0; i < n; ++i) x[i] = transcendental::exp(x[i] - most);
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t k = 0; k < kLanes; ++k) sums[k] += x[i + k];
  for (; i < n; ++i) sums[0] += x[i];  // scalar
  return std::accumulate(sums, sums + kLanes, 0.0);
}

/// `row` is scratch memory for n numbers.
void softmax(const float* x, float* y, std::int64_t n, std::int64_t stride, bool log, float* row) {
  for (std::int64_t i = 0; i < n; ++i) row[i] = x[i * stride];
  const float most = largest(row, n);
  const double sum = exponentials(row, n, most);
  const auto scale = static_cast<float>(log ? std::log(sum) : 1.0 / sum);
  for (std::int64_t i = 0; i < n; ++i) y[i * stride] = log ? x[i * stride] - most - scale : row[i] * scale;
}

template <bool Log>
void lower(Lowering& l, NodeId id) {
  const Operand x = l.plain(l.input(id, 0));
  const Operand y = l.result(id, Layout{});
  const std::size_t axis = axis_of(l.node(id).attributes);
  const std::int64_t n = x.shape[axis];
  const std::int64_t inner = x.shape.strides()[axis];
  const std::int64_t outer = x.shape.elements() / (n * inner);
  l.emit({.name = Log ? "LogSoftmax" : "Softmax",
          .reads = {x.buffer},
          .writes = {y.buffer},
          .bind = [=, from = x.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(from);
            float* target = bind.f32(to);
            return [=] {
              parallel_for(outer * inner, std::max<std::int64_t>(1, 4096 / n),
                           [&](std::int64_t begin, std::int64_t end) {
                             std::vector<float> row(static_cast<std::size_t>(n));
                             for (std::int64_t i = begin; i < end; ++i) {
                               const std::int64_t offset = i / inner * n * inner + i % inner;
                               softmax(source + offset, target + offset, n, inner, Log, row.data());
                             }
                           });
            };
          }});
}

Value sum_along(Value x, Value n) {
  return reduce_sum(x, {static_cast<std::int64_t>(axis_of(n.attributes()))}, true);
}

}  // namespace

const Operator kSoftmax = {
    .name = "Softmax",
    .infer = infer,
    .derivative = [](Value n, Value g) { return std::vector{masked(n, g - sum_along(masked(g, n), n))}; },
    .sign = always_non_negative,
    .lower = lower<false>,
    .traits = {.kind = Kind::softmax, .behaviour = Behaviour::softmax},
};

const Operator kLogSoftmax = {
    .name = "LogSoftmax",
    .infer = infer,
    .derivative =
        [](Value n, Value g) { return std::vector{g - masked(g.builder().add(kExp, {n}), sum_along(g, n))}; },
    .sign = [](const NodeView&) { return Sign::non_positive; },
    .lower = lower<true>,
    .traits = {.kind = Kind::softmax, .behaviour = Behaviour::softmax},
};

}  // namespace heatproof
