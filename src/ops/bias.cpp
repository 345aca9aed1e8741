#include "ops/bias.h"

#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// The constant as one number per channel (axis `axis` counted from the end of `shape`), or invalid.
Value per_channel(Value constant, const Shape& shape, std::size_t axis) {
  const std::int64_t channels = shape[axis];
  if (constant.shape().elements() == 1) return expand(reshape(constant, {1}), {channels});
  Shape padded(shape.size() - std::min(shape.size(), constant.shape().size()), 1);
  padded.insert(padded.end(), constant.shape().begin(), constant.shape().end());
  Shape wanted(shape.size(), 1);
  wanted[axis] = channels;
  return padded == wanted ? reshape(constant, {channels}) : Value{};
}

}  // namespace

Value absorb_bias(Value add, const std::vector<bool>& sole_use) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Value layer = add.input(i);
    const Value constant = add.input(1 - i);
    const bool convolution = layer.is(kConv) || layer.is(kConvTranspose);
    if ((!convolution && !layer.is(kLinear)) || layer.constant() || !sole_use[i] || !constant.constant())
      continue;
    if (add.shape() != layer.shape()) continue;
    Value bias = per_channel(constant, layer.shape(), convolution ? 1 : layer.shape().size() - 1);
    if (!bias) continue;
    if (Value old = layer.input(2)) bias = old + bias;
    return add.builder().add(*layer.node().op, {layer.input(0), layer.input(1), bias}, layer.attributes(),
                             layer.node().name);
  }
  return {};
}

}  // namespace heatproof
