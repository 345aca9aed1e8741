#include "ops/normalization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "ops/elementwise.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// What statistics are computed with.
bool is_arithmetic(const Operator* op) {
  constexpr std::array kOperators{&kAdd,        &kSub,    &kMul,     &kDiv,       &kPow,
                                  &kMax,        &kClip,   &kAbs,     &kNeg,       &kSqrt,
                                  &kReciprocal, &kExpand, &kReshape, &kReduceSum, &kReduceMean};
  return std::ranges::find(kOperators, op) != kOperators.end();
}

bool is_root(Value v) {
  if (v.is(kSqrt)) return true;
  const auto exponent = v.is(kPow) ? splat(v.input(1).node()) : std::nullopt;
  return exponent && std::fabs(*exponent) == 0.5F;
}

/// How a value hangs on x.
struct Trace {
  bool only = true;     // on nothing else
  bool reduced = true;  // through sums or means over axes, on every way
  bool rooted = false;  // and a root of one
};

class Statistics {
 public:
  explicit Statistics(Value x) : x_(x) {}

  const Trace& of(Value v) {
    const auto known = traces_.find(v.id());
    if (known != traces_.end()) return known->second;
    return traces_[v.id()] = compute(v);
  }
  bool statistic(Value v) { return !v.constant() && of(v).only && of(v).reduced; }
  bool deviation(Value v) { return statistic(v) && of(v).rooted; }

 private:
  Trace compute(Value v) {
    if (v.constant()) return {};
    if (v == x_) return {.reduced = false};
    constexpr std::size_t kMost = 64;  // statistics are short
    if (v.id() < x_.id() || !is_arithmetic(v.node().op) || traces_.size() > kMost) return {.only = false};
    Trace t;
    for (std::size_t i = 0; i < v.inputs(); ++i) {
      const Trace part = of(v.input(i));
      t.only = t.only && part.only;
      t.reduced = t.reduced && part.reduced;
      t.rooted = t.rooted || part.rooted;
    }
    if (v.is(kReduceSum) || v.is(kReduceMean)) t.reduced = true;
    t.rooted = t.rooted || (is_root(v) && t.reduced);
    return t;
  }

  Value x_;
  std::map<NodeId, Trace> traces_;
};

/// The value without constant factors.
Value without_factors(Value v) {
  for (;;) {
    if (v.is(kNeg))
      v = v.input(0);
    else if ((v.is(kMul) || v.is(kDiv)) && v.input(1).constant() && !v.input(0).constant())
      v = v.input(0);
    else if (v.is(kMul) && v.input(0).constant() && !v.input(1).constant())
      v = v.input(1);
    else
      return v;
  }
}

bool varies(Value v) { return v && !v.constant(); }

/// x, where numerator / deviation (or numerator · its inverse) is a normalization of x.
Value source_of_numerator(Value numerator, Value deviation) {
  if ((numerator.is(kSub) || numerator.is(kAdd)) && varies(numerator.input(0)) &&
      varies(numerator.input(1))) {
    for (std::size_t i = 0; i < (numerator.is(kAdd) ? 2U : 1U); ++i) {
      Statistics of_x(numerator.input(i));
      if (of_x.statistic(numerator.input(1 - i)) && of_x.deviation(deviation)) return numerator.input(i);
    }
  }
  return Statistics(numerator).deviation(deviation) ? numerator : Value{};
}

Value source_of(Value value, Value deviation) {
  const Value x = source_of_numerator(value, deviation);
  return x ? x : source_of_numerator(without_factors(value), deviation);
}

/// x of a quotient or product.
Value scaled_by_deviation(Value node) {
  if (!(node.is(kDiv) || node.is(kMul)) || !varies(node.input(0)) || !varies(node.input(1))) return {};
  if (const Value x = source_of(node.input(0), node.input(1))) return x;
  return node.is(kMul) ? source_of(node.input(1), node.input(0)) : Value{};
}

/// x of x · (g / σ) + (b − μ g / σ), as Keras writes it.
Value scaled_and_shifted(Value node) {
  if (!(node.is(kAdd) || node.is(kSub)) || !varies(node.input(0)) || !varies(node.input(1))) return {};
  for (std::size_t i = 0; i < (node.is(kAdd) ? 2U : 1U); ++i) {
    const Value x = scaled_by_deviation(without_factors(node.input(i)));
    if (x && Statistics(x).statistic(node.input(1 - i))) return x;
  }
  return {};
}

}  // namespace

Value normalized(Value node) {
  Value x = scaled_by_deviation(node);
  if (!x) x = scaled_and_shifted(node);
  return x && x.shape() == node.shape() ? x : Value{};
}

}  // namespace heatproof
