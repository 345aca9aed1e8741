// BatchNormalization with its statistics folded in: x · scale[c] + shift[c]. Folded further into the layer
// before it.
#include <fmt/format.h>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/concat.h"
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
  if (layer.is(kLinear) && layer.shape().rank() != 2) return {};  // channels are not its outputs
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

/// Channels of the input that lie in one buffer.
struct Part {
  const float* source = nullptr;
  std::int64_t channels = 0, first = 0;
};

[[gnu::always_inline]] inline float scaled(float x, float factor, float shift, bool relu) {
  const float y = x * factor + shift;
  return relu && y <= 0 ? 0 : y;  // NaN stays
}

/// Pixels [begin, end) of all images, with channels innermost.
HEATPROOF_SIMD void scale_pixels(const std::vector<Part>& parts, const float* factor, const float* shift,
                                 float* y, std::int64_t channels, std::int64_t begin, std::int64_t end,
                                 bool relu) {
  for (std::int64_t pixel = begin; pixel < end; ++pixel) {
    for (const Part& part : parts) {
      const float* in = part.source + pixel * part.channels;
      const float* f = factor + part.first;
      const float* b = shift + part.first;
      float* out = y + pixel * channels + part.first;
      for (std::int64_t k = 0; k < part.channels; ++k) out[k] = scaled(in[k], f[k], b[k], relu);
    }
  }
}

/// One plane of `lanes` channels, of which `used` exist.
HEATPROOF_SIMD void scale_plane(const float* x, const float* factor, const float* shift, float* y,
                                std::int64_t pixels, std::int64_t lanes, std::int64_t used, bool relu) {
  if (lanes == 1) {
    for (std::int64_t i = 0; i < pixels; ++i) y[i] = scaled(x[i], factor[0], shift[0], relu);
    return;
  }
  for (std::int64_t i = 0; i < pixels; ++i, x += lanes, y += lanes) {
    for (std::int64_t k = 0; k < used; ++k) y[k] = scaled(x[k], factor[k], shift[k], relu);
    for (std::int64_t k = used; k < lanes; ++k) y[k] = 0;
  }
}

/// Everything that the step needs besides memory.
struct Scaling {
  Planes planes;
  std::int64_t images, channels, pixels;
  bool channels_last, relu;

  void run(const std::vector<Part>& parts, const float* factor, const float* shift, float* y) const {
    if (channels_last) {
      parallel_for(images * pixels, 64, [&](std::int64_t begin, std::int64_t end) {
        scale_pixels(parts, factor, shift, y, channels, begin, end, relu);
      });
      return;
    }
    const std::int64_t blocks = planes.planes / images;
    parallel_for(planes.planes, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const std::int64_t channel = plane % blocks * planes.lanes;
        std::size_t i = parts.size() - 1;
        while (parts[i].first > channel) --i;
        const std::int64_t own = (parts[i].channels + planes.lanes - 1) / planes.lanes;
        const std::int64_t block = plane / blocks * own + (channel - parts[i].first) / planes.lanes;
        scale_plane(parts[i].source + block * pixels * planes.lanes, factor + channel, shift + channel,
                    y + plane * pixels * planes.lanes, pixels, planes.lanes,
                    std::min(planes.lanes, channels - channel), relu);
      }
    });
  }
};

/// y = x · scale + shift, with the ReLU that follows, and reading the parts of a concatenation where they
/// are.
void lower(Lowering& l, NodeId id) {
  const NodeId input = l.input(id, 0);
  const bool joined = l.node(input).op == &kConcat && !l.has_result(input);
  std::vector<Operand> parts;
  if (joined)
    parts = concatenated(l, input);
  else
    parts.push_back(l.operand(input));
  const Operand scale = l.plain(l.input(id, 1));
  const Operand shift = l.plain(l.input(id, 2));
  const NodeId user = l.sole_user(id);
  const bool relu = user != kNone && l.node(user).op == &kRelu;
  const Layout layout = parts[0].layout;
  const Operand y = l.result(relu ? user : id, layout);
  Scaling scaling{planes_of(y.shape, layout), y.shape[0], y.shape[1], 1, layout.channels_last, relu};
  for (int i = 2; i < y.shape.rank(); ++i) scaling.pixels *= y.shape[static_cast<std::size_t>(i)];
  Step step{.name = fmt::format("BatchNormalization{}{}", joined ? " of Concat" : "", relu ? " +relu" : ""),
            .reads = {scale.buffer, shift.buffer},
            .writes = {y.buffer}};
  for (const Operand& part : parts) step.reads.push_back(part.buffer);
  if (!joined) {
    step.replaceable = {parts[0].buffer};
    step.replaced_by = y.buffer;
  }
  step.bind = [=, parts = std::move(parts), f = scale.buffer, b = shift.buffer,
               to = y.buffer](const Binding& bind) -> Action {
    std::vector<Part> sources;
    std::int64_t first = 0;
    for (const Operand& part : parts) {
      sources.push_back({bind.f32(part.buffer), part.shape[1], first});
      first += part.shape[1];
    }
    const float* factor = bind.f32(f);
    const float* offset = bind.f32(b);
    float* target = bind.f32(to);
    return [=] { scaling.run(sources, factor, offset, target); };
  };
  l.emit(std::move(step));
  if (relu) l.mark_fused(id);
}

}  // namespace

const Operator kBatchNormalization = {
    .name = "BatchNormalization",
    .infer = infer,
    .derivative =
        [](Value n, Value g) {
          return std::vector<Value>{masked(g, along_channels(n.input(1), n.input(0).shape())), {}, {}};
        },
    .linear = linear,
    .canonicalize = fold,
    .windowed = [](const NodeView&) { return std::optional(Windowed{}); },
    .lower = lower,
    .traits = {.kind = Kind::normalization, .behaviour = Behaviour::normalization},
};

}  // namespace heatproof
