// LRP-αβ, α − β = 1, and z⁺ = α1β0. Bach et al. 2015, eq. 60; Montavon et al. 2017, "Explaining nonlinear
// classification decisions with deep Taylor decomposition", sec. 4.1.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands alpha_beta(const Linear& layer, Value R, double alpha, double beta, const Options& o) {
  const Value b = bias(layer, o);
  const Contributions exciting{layer, positive(layer.w), negative(layer.w)};
  const Contributions inhibiting{layer, negative(layer.w), positive(layer.w)};

  const Value z_plus = excitation(layer, b);
  const Value s_plus = masked_quotient(R, stabilize(z_plus, o.epsilon));
  stabilizer_share(z_plus, s_plus * alpha, o);
  if (b) absorb(layer, positive(b) * alpha, s_plus, o);
  if (beta == 0) return exciting.share(alpha == 1 ? s_plus : s_plus * alpha);
  const Value z_minus = inhibition(layer, b);
  const Value s_minus = masked_quotient(R, stabilize(z_minus, o.epsilon));
  stabilizer_share(z_minus, s_minus * -beta, o);
  if (b) absorb(layer, negative(b) * -beta, s_minus, o);
  return exciting.share(s_plus * alpha) - inhibiting.share(s_minus * beta);
}

Operands z_plus(const Linear& layer, Value R, const Options& o) { return alpha_beta(layer, R, 1, 0, o); }

}  // namespace heatproof::rules
