// w²: relevance by squared weights, whatever the input. Montavon et al. 2017, sec. 4.1, the nearest root.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands w_square(const Linear& layer, Value R, const Options& o) {
  const Value b = bias(layer, o);
  const Value w = layer.w * layer.w;
  const Value z = layer.apply(ones_like(layer.a), w, b ? b * b : b);
  const Value s = masked_quotient(R, stabilize(z, o.epsilon));
  stabilizer_share(z, s, o);
  if (b) absorb(layer, b * b, s, o);
  return layer.transpose(w, s);
}

}  // namespace heatproof::rules
