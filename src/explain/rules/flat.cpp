// flat: relevance spread evenly over all inputs that are connected. Lapuschkin et al. 2019, "Unmasking Clever
// Hans".
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands flat(const Linear& layer, Value R, const Options& o) {
  const Value w = ones_like(layer.w);
  const Value z = layer.apply(ones_like(layer.a), w, {});
  const Value s = masked_quotient(R, stabilize(z, o.epsilon));
  stabilizer_share(z, s, o);
  return layer.transpose(w, s);
}

}  // namespace heatproof::rules
