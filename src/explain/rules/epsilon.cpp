// LRP-0 and LRP-ε. Bach et al. 2015, "On Pixel-Wise Explanations", eq. 58. Also the rule `norm` of sums and
// average pools.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands epsilon(const Linear& layer, Value R, const Options& o) {
  const Value z = preactivation(layer, o);
  const Value s = masked_quotient(R, stabilize(z, o.epsilon));
  stabilizer_share(z, s, o);
  absorb(layer, bias(layer, o), s, o);
  return layer.a * layer.transpose(layer.w, s);
}

}  // namespace heatproof::rules
