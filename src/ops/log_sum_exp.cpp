// LogSumExp along attribute axis, which is kept with length 1: the smooth maximum.
#include <cmath>
#include <limits>

#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"

namespace heatproof {

namespace {

std::size_t axis_of(const Attributes& a) { return static_cast<std::size_t>(a.integer("axis", 0)); }

Type infer(const NodeView& v) {
  const std::size_t axis = axis_of(v.node.attributes);
  Shape y = v.shape(0);
  if (axis >= y.size()) throw Error("axis is out of range");
  y[axis] = 1;
  return {DType::f32, y};
}

/// Where the largest is infinite, so is the result: ∞ − ∞ never arises.
float log_sum_exp(const float* x, std::int64_t n, std::int64_t stride) {
  float most = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < n; ++i) {
    const float v = x[i * stride];
    if (std::isnan(v)) return v;
    most = v > most ? v : most;
  }
  if (std::isinf(most)) return most;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i * stride]) - most);
  return static_cast<float>(most + std::log(sum));
}

void lower(Lowering& l, NodeId id) {
  const Operand x = l.plain(l.input(id, 0));
  const Operand y = l.result(id, Layout{});
  const std::size_t axis = axis_of(l.node(id).attributes);
  const std::int64_t n = x.shape[axis];
  const std::int64_t inner = x.shape.strides()[axis];
  l.emit(
      {.name = "LogSumExp",
       .reads = {x.buffer},
       .writes = {y.buffer},
       .bind = [=, rows = y.shape.elements(), from = x.buffer, to = y.buffer](const Binding& bind) -> Action {
         const float* source = bind.f32(from);
         float* target = bind.f32(to);
         return [=] {
           parallel_for(rows, std::max<std::int64_t>(1, 1024 / n), [&](std::int64_t begin, std::int64_t end) {
             for (std::int64_t i = begin; i < end; ++i)
               target[i] = log_sum_exp(source + i / inner * n * inner + i % inner, n, inner);
           });
         };
       }});
}

}  // namespace

const Operator kLogSumExp = {
    .name = "LogSumExp",
    .infer = infer,
    .derivative =
        [](Value n, Value g) {
          const Value x = n.input(0);
          return std::vector{masked(g, x.builder().add(kSoftmax, {x}, n.attributes()))};
        },
    .lower = lower,
    .traits = {.behaviour = Behaviour::derivative},
};

}  // namespace heatproof
