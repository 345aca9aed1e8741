#include "ops/selection.h"

#include <cstddef>

#include "ops/concat.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Step, or Stabilize that is zero nowhere.
bool is_factor(Value e) {
  return e.is(kStep) || (e.is(kStabilize) && e.attributes().number("epsilon", 0) > 0);
}

/// product(g at the maxima, f(maxima)), spread out.
Value spread(Value gradient, Value whole, Value factor, const Operator& product) {
  Builder& g = gradient.builder();
  const Attributes window = gradient.attributes();
  const Attributes own = factor.attributes();
  const Value maxima = g.add(kMaxPool, {whole}, window);
  const Value f = g.add(*factor.node().op, {maxima}, own);
  return g.add(kMaxPoolGradient, {whole, g.add(product, {gradient.input(1), f})}, window);
}

}  // namespace

Value factor_before_spreading(Builder& g, const NodeView& product) {
  const Operator& op = *product.node.op;
  for (std::size_t i = 0; i < (op.traits.commutative ? 2U : 1U); ++i) {
    const Value m(&g, product.node.inputs[i]);
    const Value e(&g, product.node.inputs[1 - i]);
    if (!is_factor(e)) continue;
    const Value x = e.input(0);
    if (m.is(kMaxPoolGradient) && m.input(0) == x) return spread(m, x, e, op);
    if (!m.is(kSlice) || !m.input(0).is(kMaxPoolGradient)) continue;
    const Value joined = m.input(0).input(0);
    const Attributes slice = m.attributes();
    if (sliced_part(joined, slice, m.shape()) != x) continue;
    return g.add(kSlice, {spread(m.input(0), joined, e, op)}, slice);
  }
  return {};
}

}  // namespace heatproof
