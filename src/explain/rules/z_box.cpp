// z^B for inputs in a box [l, h], such as pixels. Montavon et al. 2017, sec. 4.2.
#include "explain/rules/terms.h"

namespace heatproof::rules {

Operands z_box(const Linear& layer, Value R, Value low, Value high, const Options& o) {
  const Value l = expand(low, layer.a[0].shape());
  const Value h = expand(high, layer.a[0].shape());
  const Value w_plus = positive(layer.w);
  const Value w_minus = negative(layer.w);
  const Value z =
      layer.apply(layer.a, layer.w, {}) - layer.apply({l}, w_plus, {}) - layer.apply({h}, w_minus, {});
  const Value s = masked_quotient(R, stabilize(z, o.epsilon));
  stabilizer_share(z, s, o);
  // Σ_k (x w − l w⁺ − h w⁻) s with w = w⁺ + w⁻.
  return (layer.a - Operands{l}) * layer.transpose(w_plus, s) +
         (layer.a - Operands{h}) * layer.transpose(w_minus, s);
}

}  // namespace heatproof::rules
