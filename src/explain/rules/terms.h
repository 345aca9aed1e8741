// Pieces that several rules are made of.
#pragma once

#include "explain/rules/rules.h"
#include "ops/arithmetic.h"

namespace heatproof::rules {

/// The layer's bias as the options want it; invalid where there is none.
inline Value bias(const Linear& layer, const Options& o) { return o.bias == Bias::keep ? layer.b : Value{}; }

/// z with or without the bias.
inline Value preactivation(const Linear& layer, const Options& o) {
  return o.bias == Bias::keep || !layer.b ? layer.output : layer.apply(layer.a, layer.w, {});
}

/// Enters the relevance b·s that a bias absorbs, where somebody keeps books.
inline void absorb(const Linear& layer, Value b, Value s, const Options& o) {
  if (o.absorbed == nullptr || !b) return;
  const Value share = masked(layer.apply(zeros_like(layer.a), layer.w, b), s);
  *o.absorbed = *o.absorbed ? *o.absorbed + share : share;
}

/// Enters the relevance ε·sign(z)·s that a stabilizer takes (creates, where negative), where somebody keeps
/// books.
inline void stabilizer_share(Value z, Value s, const Options& o) {
  if (o.stabilized == nullptr) return;
  const Value sign = 1.0 - 2.0 * step(-z);  // as in stabilize: sign(0) = 1
  const Value share = o.epsilon * sign * s;
  *o.stabilized = *o.stabilized ? *o.stabilized + share : share;
}

/// Whether preactivation(layer, o) is a value that the network computes anyway.
inline bool preactivation_is_free(const Linear& layer, const Options& o) {
  return o.bias == Bias::keep || !layer.b;
}

inline Value positive_or_none(Value x) { return x ? positive(x) : x; }
inline Value negative_or_none(Value x) { return x ? negative(x) : x; }

/// Contributions of one kind, from a⁺ with the weights `up` and from a⁻ with the weights `down`; halves that
/// are known to be zero (a ≥ 0 after a ReLU) never reach the graph.
struct Contributions {
  const Linear& layer;
  Value up, down;

  Value sum(Value b) const {
    return layer.apply(positive(layer.a), up, b) + layer.apply(negative(layer.a), down, {});
  }
  Operands share(Value s) const {
    const Operands p = positive(layer.a);
    const Operands n = negative(layer.a);
    if (all_zero(n)) return p * layer.transpose(up, s);
    if (all_zero(p)) return n * layer.transpose(down, s);
    return p * layer.transpose(up, s) + n * layer.transpose(down, s);
  }

  /// Whether all of `a` are known to be zero.
  static bool all_zero(const Operands& a) {
    for (const Value& v : a) {
      if (v.sign() != Sign::zero) return false;
    }
    return true;
  }
};

/// Σ a⁺w⁺ + a⁻w⁻ + b⁺: everything that excites, for which rules with different parameters share one node.
inline Value excitation(const Linear& layer, Value b) {
  return Contributions{layer, positive(layer.w), negative(layer.w)}.sum(positive_or_none(b));
}
/// Σ a⁺w⁻ + a⁻w⁺ + b⁻: everything that inhibits.
inline Value inhibition(const Linear& layer, Value b) {
  return Contributions{layer, negative(layer.w), positive(layer.w)}.sum(negative_or_none(b));
}

}  // namespace heatproof::rules
