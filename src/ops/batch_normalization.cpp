// BatchNormalization with its statistics folded in: x · scale[c] + shift[c]. Folded further into the layer
// before it.
#include <fmt/format.h>

#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/elementwise.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

Type infer(const NodeView& v) {
  const Shape& x = v.shape(0);
  if (x.rank() < 2 || v.shape(1) != Shape{x[1]} || v.shape(2) != Shape{x[1]}) {
    throw Error(fmt::format("scale of shape {} does not fit an input of shape {}", to_string(v.shape(1)),
                            to_string(x)));
  }
  return v.input(0);
}

/// [C] as a shape that broadcasts along axis 1.
Value along_channels(Value c, const Shape& x) {
  Shape shape(x.size(), 1);
  shape[1] = x[1];
  return reshape(c, shape);
}

/// Conv(x, w, b) · scale + shift = Conv(x, w · scale, b · scale + shift).
Value fold(Value node, const std::vector<bool>& sole_use) {
  const Value layer = node.input(0);
  const Value scale = node.input(1);
  if (!sole_use[0] || layer.constant() || !(layer.is(kConv) || layer.is(kConvTranspose) || layer.is(kLinear)))
    return {};
  const Value w = layer.input(1);
  if (!w.constant() || !scale.constant()) return {};
  Value scaled;
  if (layer.is(kConvTranspose)) {
    // Output channels lie on axis 1 of the weights, group by group: (group, in / group, out / group, ...).
    const std::int64_t group = conv_geometry(layer.attributes(), w.shape()).group;
    const Shape grouped{group, w.shape()[0] / group, w.shape()[1],
                        w.shape().elements() / (w.shape()[0] * w.shape()[1])};
    scaled = reshape(reshape(w, grouped) * reshape(scale, {group, 1, w.shape()[1], 1}), w.shape());
  } else {
    Shape shape(w.shape().size(), 1);
    shape[0] = w.shape()[0];
    scaled = w * reshape(scale, shape);
  }
  const Value shift = layer.input(2) ? layer.input(2) * scale + node.input(2) : node.input(2);
  return node.builder().add(*layer.node().op, {layer.input(0), scaled, shift}, layer.attributes(),
                            layer.node().name);
}

std::optional<Linear> linear(Value node) {
  const Shape x = node.input(0).shape();
  return Linear{.a = {node.input(0)},
                .w = node.input(1),
                .b = node.input(2),
                .output = node,
                .apply =
                    [=](const Operands& a, Value w, Value b) {
                      const Value z = a[0] * along_channels(w, x);
                      return b ? z + along_channels(b, x) : z;
                    },
                .transpose = [=](Value w, Value s) { return Operands{s * along_channels(w, x)}; }};
}

void lower(Lowering& l, NodeId id) {
  const Operand x = l.operand(l.input(id, 0));
  const Operand scale = l.plain(l.input(id, 1));
  const Operand shift = l.plain(l.input(id, 2));
  const Operand y = l.result(id, x.layout);
  const Planes p = planes_of(x.shape, x.layout);
  const std::int64_t channels = x.shape[1];
  std::int64_t pixels = 1;
  for (int i = 2; i < x.shape.rank(); ++i) pixels *= x.shape[static_cast<std::size_t>(i)];
  const std::int64_t per_image = p.planes / x.shape[0];
  l.emit({.name = "BatchNormalization",
          .reads = {x.buffer, scale.buffer, shift.buffer},
          .writes = {y.buffer},
          .bind = [=, a = x.buffer, b = scale.buffer, c = shift.buffer,
                   to = y.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(a);
            const float* factor = bind.f32(b);
            const float* offset = bind.f32(c);
            float* target = bind.f32(to);
            return [=] {
              parallel_for(p.planes, 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t plane = begin; plane < end; ++plane) {
                  const std::int64_t first = plane % per_image * p.lanes;
                  const std::int64_t used = std::min(p.lanes, channels - first);
                  for (std::int64_t i = 0; i < pixels; ++i) {
                    const float* in = source + (plane * pixels + i) * p.lanes;
                    float* out = target + (plane * pixels + i) * p.lanes;
                    for (std::int64_t k = 0; k < used; ++k)
                      out[k] = in[k] * factor[first + k] + offset[first + k];
                    for (std::int64_t k = used; k < p.lanes; ++k) out[k] = 0;
                  }
                }
              });
            };
          }});
}

}  // namespace

const Operator kBatchNormalization = {
    .name = "BatchNormalization",
    .infer = infer,
    .derivative =
        [](Value n, Value g) {
          return std::vector<Value>{g * along_channels(n.input(1), n.input(0).shape()), {}, {}};
        },
    .linear = linear,
    .canonicalize = fold,
    .windowed = [](const NodeView&) { return std::optional(Windowed{}); },
    .lower = lower,
    .traits = {.kind = Kind::normalization},
};

}  // namespace heatproof
