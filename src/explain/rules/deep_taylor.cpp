// Generalized deep Taylor decomposition: the root is sought along v_j = a_j ([w_jk > 0] + γ [w_jk < 0]), 0 ≤
// γ ≤ 1. γ = 0 is z⁺, γ = 1 is LRP-0. Samek, Montavon and Müller, tutorial; LRP-γ' of 2019 with γ = 1 / (1 +
// γ'). Negative inputs (below the first ReLU) take the mirrored weights, as z⁺ does.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands deep_taylor(const Linear& layer, Value R, double gamma, const Options& o) {
  const Value b = bias(layer, o);
  const Value w_plus = positive(layer.w);
  const Value w_minus = negative(layer.w);
  const Contributions evidence{layer, w_plus + gamma * w_minus, gamma * w_plus + w_minus};
  const Value offset = b ? positive(b) + gamma * negative(b) : b;
  // excitation + γ inhibition, which is linear in γ: where z is at hand, all γ share one excitation.
  const Value z = preactivation_is_free(layer, o) ? (1 - gamma) * excitation(layer, b) + gamma * layer.output
                                                  : evidence.sum(offset);
  const Value s = masked_quotient(R, stabilize(z, o.epsilon));
  stabilizer_share(z, s, o);
  absorb(layer, offset, s, o);
  return evidence.share(s);
}

}  // namespace heatproof::rules
