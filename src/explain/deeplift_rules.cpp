#include "explain/deeplift_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "ops/product.h"

namespace heatproof {

namespace {

using Shares = std::vector<Value>;

Value mean(Value a, Value b) { return a == b ? a : (a + b) / 2; }
Value sign(Value x) { return x.builder().add(kSign, {x}); }

bool is_one_of(Value node, std::initializer_list<const Operator*> operators) {
  return std::ranges::any_of(operators, [&](const Operator* op) { return node.is(*op); });
}

/// Functions that bend over distances of about 1, and those that bend over distances of about x.
bool is_smooth(Value n) {
  return is_one_of(n, {&kSigmoid, &kTanh, &kSoftplus, &kGelu, &kSilu, &kMish, &kExp, &kErf, &kSin, &kCos});
}
bool is_scale_free(Value n) { return is_one_of(n, {&kSqrt, &kLog, &kReciprocal, &kPow}); }

/// 1 where x is more than `least` from r; 0 where it is not, or where both are infinite.
Value moved(Value x, Value r, Value least) { return step(abs(x - r) - least); }
Value size(Value x, Value r) { return abs(x) + abs(r); }

/// v where it is finite, else 0: a slope at a point like √0 that nothing moves away from.
Value finite(Value v) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return select(step(kLargest - abs(v)), v, zeros_like(v));
}

/// M · Δy/Δx of y = f(x) in the shape of y, where x went from r to x and f(x) from y0 to y. A difference of
/// neighbours has few digits: where a derivative half way has more, it is taken. `at` makes f.
Value rescale(Value x, Value r, Value y, Value y0, std::size_t i, const std::function<Value(Value)>& at,
              Value M) {
  constexpr double kNear = 1e-2;        // f'''Δ²/24 and the digits of Δy/Δx are about 4e-6 there
  constexpr double kSameDigits = 1e-6;  // of what is straight but for kinks
  const Value quotient = masked(M, (y - y0) / (x - r));
  if (is_smooth(y) || is_scale_free(y)) {
    const Value middle = at(mean(x, r));
    const Value least = is_smooth(y) ? x.builder().fill({}, kNear) : size(x, r) * (kNear / 2);
    const Value slope = (middle.is(*y.node().op) ? middle : y).node().op->derivative(middle, M)[i];
    return select(moved(x, r, least), quotient, is_smooth(y) ? slope : finite(slope));
  }
  return select(moved(x, r, size(x, r) * kSameDigits), quotient, y.node().op->derivative(y, M)[i]);
}

/// An elementwise function of operand i alone.
Value rescale(const Contrast& c, std::size_t i, Value M) {
  const Value y = c.node;
  const Operator& op = *y.node().op;
  const Shape shape = y.shape();
  std::vector<Value> operands;
  for (std::size_t k = 0; k < y.inputs(); ++k) operands.push_back(y.input(k));
  const auto at = [&](Value v) {
    std::vector<Value> changed = operands;
    changed[i] = v;
    return y.builder().add(op, changed, y.attributes());
  };
  // Broadcasting: every result has a slope of its own.
  const Value x = expand(c.x(i), shape);
  const Value r = expand(c.r(i), shape);
  const Value wide = c.x(i).shape() == shape ? y : at(x);
  return sum_to(rescale(x, r, wide, c.reference, i, at, M), c.x(i).shape());
}

/// An elementwise function of two operands: the mean over the orders in which they change.
Shares both_orders(const Contrast& c, Value M) {
  Builder& g = M.builder();
  const Operator& op = *c.node.node().op;
  const Attributes attributes = c.node.attributes();
  Shares shares(2);
  for (const std::size_t i : {0U, 1U}) {
    for (const Value other : {c.x(1 - i), c.r(1 - i)}) {
      std::vector<Value> to{c.x(0), c.x(1)};
      std::vector<Value> from{c.r(0), c.r(1)};
      to[1 - i] = from[1 - i] = other;
      const Contrast one{g.add(op, to, attributes), g.add(op, from, attributes), from, {}};
      const Value part = rescale(one, i, M * 0.5);
      shares[i] = shares[i] ? shares[i] + part : part;
    }
  }
  return shares;
}

/// max(a, b) = b + max(a − b, 0), and the same with a and b exchanged; min by the signs.
Shares extreme(const Contrast& c, Value M) {
  const auto lead = [&](Value a, Value b) { return c.node.is(kMax) ? a - b : b - a; };
  const Value d = lead(c.x(0), c.x(1));
  const Value d0 = lead(c.r(0), c.r(1));
  const Value here = (1.0 + step(d) - step(-d)) * 0.5;
  const Value share = select(moved(d, d0, size(d, d0) * 1e-6), (positive(d) - positive(d0)) / (d - d0), here);
  return {sum_to(masked(M, share), c.x(0).shape()), sum_to(masked(M, 1.0 - share), c.x(1).shape())};
}

/// The change of each extreme, in two parts: what x's maximum adds above the reference's belongs to where it
/// is, what the reference's lost to where that was (of a minimum: the reverse). Those have moved at least as
/// far.
Shares extreme_of_many(const Contrast& c, Value M) {
  const Value change = c.node - c.reference;
  const bool least = c.node.is(kReduceMin);
  const auto route = [&](Value node, Value part) {
    return c.node.node().op->derivative(node, masked(M, part))[0];
  };
  const Value routed = route(c.node, least ? negative(change) : positive(change)) +
                       route(c.reference, least ? positive(change) : negative(change));
  return {masked_quotient(routed, c.x(0) - c.r(0))};
}

/// Operands of something that is linear in each of them: the derivative half way.
Shares bilinear(const Contrast& c, Value M) {
  const Value a = mean(c.x(0), c.r(0));
  const Value b = mean(c.x(1), c.r(1));
  if (c.node.is(kMul)) return {sum_to(masked(M, b), c.x(0).shape()), sum_to(masked(M, a), c.x(1).shape())};
  const Value middle = M.builder().add(*c.node.node().op, {a, b}, c.node.attributes());
  // Where the builder simplified, there is nothing bilinear left.
  return c.node.node().op->derivative(middle.is(*c.node.node().op) ? middle : c.node, M);
}

/// y = a / b: of y · b = a, Δa = ȳ Δb + b̄ Δy with the means ȳ and b̄, so that Δy = (Δa − ȳ Δb) / b̄.
/// Denominators of different signs, between which there is a pole, get everything; b₀ ≈ 0 is no division by
/// it.
Shares quotient(const Contrast& c, Value M) {
  const Value b = c.x(1);
  const Value b0 = c.r(1);
  const Value total = size(b, b0);
  const Value weights = sign(b) + sign(b0);
  const Value y = sign(b) * c.reference + sign(b0) * c.node;
  return {sum_to(masked_quotient(masked(M, weights), total), c.x(0).shape()),
          sum_to(-masked_quotient(masked(M, y), total), b.shape())};
}

/// Δe^l / Δl with e^l = p and e^l₀ = q, without a difference of neighbours.
Value logarithmic_mean(Value p, Value q, Value d) {
  const Value sum = p + q;
  const Value tanh = d.builder().add(kTanh, {d * 0.5});
  return select(step(abs(d) - 1e-4), sum * tanh / d, sum * 0.5);
}

Value sum_along(Value x, std::int64_t axis) { return reduce_sum(x, {axis}, true); }

/// Softmax, its logarithm, and log Σ exp. With L the logarithmic means of both softmaxes, Δ log Σ exp is
/// Σ Δx · L / Σ L, exactly: L is to them what softmax is to their derivatives.
Shares softmax(const Contrast& c, Value M) {
  Builder& g = M.builder();
  const Attributes attributes = c.node.attributes();
  const std::int64_t axis = attributes.integer("axis", 0);
  const auto of = [&](const Operator& op, Value v) { return g.add(op, {v}, attributes); };
  const Value d = of(kLogSoftmax, c.x(0)) - of(kLogSoftmax, c.r(0));
  const Value L = logarithmic_mean(of(kSoftmax, c.x(0)), of(kSoftmax, c.r(0)), d);
  const Value shares = L / sum_along(L, axis);
  if (c.node.is(kLogSumExp)) return {masked(M, shares)};
  if (c.node.is(kSoftmax)) return {masked(L, M - sum_along(masked(M, shares), axis))};
  const Value possible = select(step(abs(d) + 1.0), M, zeros_like(M));  // not −∞ both times
  return {possible - masked(shares, sum_along(possible, axis))};
}

/// A choice by a condition that may change, too: c · a + (1 − c) · b.
Shares choice(const Contrast& c, Value M) {
  if (!c.moves[0]) return c.node.node().op->derivative(c.node, M);
  const Value first = mean(c.x(0), c.r(0));
  const Value gap = mean(c.x(1), c.r(1)) - mean(c.x(2), c.r(2));
  return {sum_to(masked(M, gap), c.x(0).shape()), sum_to(masked(M, first), c.x(1).shape()),
          sum_to(masked(M, 1.0 - first), c.x(2).shape())};
}

}  // namespace

std::vector<Value> deeplift_multipliers(const Contrast& c, Value M) {
  const Value node = c.node;
  const Operator& op = *node.node().op;
  if (op.derivative == nullptr) {
    throw UnsupportedError(fmt::format("node '{}' ({}): no derivative, so deeplift cannot pass through it",
                                       node.node().name, op.name));
  }
  const auto moving = std::ranges::count(c.moves, true);
  if (is_one_of(node, {&kMaxPool, &kReduceMax, &kReduceMin})) return extreme_of_many(c, M);
  if (is_one_of(node, {&kSoftmax, &kLogSoftmax, &kLogSumExp})) return softmax(c, M);
  if (is_one_of(node, {&kMax, &kMin})) return extreme(c, M);
  if (node.is(kSelect)) return choice(c, M);
  if (node.is(kDiv) && c.moves[1]) return quotient(c, M);
  if (node.is(kReduceProd)) {
    const std::vector<std::int64_t> axes = node.attributes().integers("axes");
    Shape kept = c.x(0).shape();
    for (const std::int64_t axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
    return {product_shares(c.x(0), c.r(0), axes, reshape(M, kept))};
  }
  if (moving == 2 && is_one_of(node, {&kMul, &kMatMul})) return bilinear(c, M);
  // What is left of elementwise functions is linear, or bends.
  const bool linear = is_one_of(node, {&kAdd, &kSub, &kNeg, &kMul, &kDiv});
  if (op.traits.elementwise.tile == nullptr || linear) return op.derivative(node, M);
  if (moving == 2) return both_orders(c, M);
  const auto i = static_cast<std::size_t>(std::ranges::find(c.moves, true) - c.moves.begin());
  std::vector<Value> shares(node.inputs());
  shares[i] = rescale(c, i, M);
  return shares;
}

}  // namespace heatproof
