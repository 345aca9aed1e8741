// LRP-γ. Montavon et al. 2019, "Layer-Wise Relevance Propagation: An Overview", sec. 10.2.1; generalized to
// negative inputs and outputs by Andéol et al. 2021: outputs with z > 0 favour what raised them, outputs with
// z < 0 what lowered them.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands gamma(const Linear& layer, Value R, double gamma, const Options& o) {
  const Value b = bias(layer, o);
  const Value w_up = layer.w + gamma * positive(layer.w);
  const Value w_down = layer.w + gamma * negative(layer.w);
  const Value b_up = b ? b + gamma * positive(b) : b;
  const Value b_down = b ? b + gamma * negative(b) : b;
  const Value z = layer.output;

  const Contributions raising{layer, w_up, w_down};
  const Contributions lowering{layer, w_down, w_up};
  // Both denominators are linear in gamma: where z is at hand, all gammas share one excitation.
  const bool shared = preactivation_is_free(layer, o);
  const Value z_up = shared ? z + gamma * excitation(layer, b) : raising.sum(b_up);
  const Value s_up = masked_quotient(layer.active ? R : masked(step(z), R), stabilize(z_up, o.epsilon));
  stabilizer_share(z_up, s_up, o);
  absorb(layer, b_up, s_up, o);
  if (z.sign() == Sign::non_negative) return raising.share(s_up);
  // Where z < 0 inhibition is z less excitation, without cancellation: no pass of its own.
  const Value z_down = shared ? z + gamma * (z - excitation(layer, b)) : lowering.sum(b_down);
  const Value s_down = masked_quotient(masked(step(-z), R), stabilize(z_down, o.epsilon));
  stabilizer_share(z_down, s_down, o);
  absorb(layer, b_down, s_down, o);
  return raising.share(s_up) + lowering.share(s_down);
}

}  // namespace heatproof::rules
