// ConvTranspose, the adjoint of Conv: the same weight array, (input channels, output channels / group,
// kernel...).
#include <fmt/format.h>

#include "base/sizes.h"
#include "base/threads.h"
#include "ops/arithmetic.h"
#include "ops/conv_transpose_narrow.h"
#include "ops/convolution.h"
#include "ops/operators.h"
#include "ops/weights.h"

namespace heatproof {

using namespace convolution;

namespace {

Type infer_conv_transpose(const NodeView& v) {
  check_ranks(v);
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  const ConvGeometry g = conv_geometry(v.node.attributes, w);
  if (x[1] != w[0] || w[0] % g.group != 0) {
    throw Error(fmt::format("input of shape {} does not fit weights of shape {} in {} group(s)", to_string(x),
                            to_string(w), g.group));
  }
  const std::int64_t channels = sizes::product(w[1], g.group);
  check_bias(v, channels);
  Shape y{x[0], channels};
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    // It would reach further than the convolution whose adjoint it is; oneDNN has no such kernels either.
    if (g.output_padding[i] >= g.strides[i])
      throw UnsupportedError(
          fmt::format("output_padding of {} with a stride of {}; only less than a stride is supported",
                      g.output_padding[i], g.strides[i]));
    y.push_back(conv_transpose_size(g, i, x[i + 2]));
    if (y.back() < 1) throw Error(fmt::format("the result of shape {} would be empty", to_string(y)));
  }
  return {DType::f32, y};
}

std::vector<Value> conv_transpose_derivative(Value node, Value gradient) {
  require_constant_weights(node);
  Attributes attributes = node.attributes();
  attributes.erase("output_padding");
  return {gradient.builder().add(kConv, {gradient, node.input(1)}, attributes), {}, {}};
}

std::optional<Linear> conv_transpose_linear(Value node) {
  if (!node.input(1).constant()) return std::nullopt;
  const Attributes attributes = node.attributes();
  Attributes forward = attributes;
  forward.erase("output_padding");
  return Linear{
      .a = {node.input(0)},
      .w = node.input(1),
      .b = node.input(2),
      .output = node,
      .apply =
          [=](const Operands& a, Value w, Value b) {
            return w.builder().add(kConvTranspose, {a[0], w, b}, attributes);
          },
      .transpose =
          [=](Value w, Value s) {
            return Operands{w.builder().add(kConv, {s, w}, forward)};
          },
  };
}

/// y = x + one number per channel.
void emit_bias(Lowering& l, BufferId x, const Operand& y, const Operand& bias) {
  const std::int64_t block = y.layout.block;
  const std::int64_t channels = y.shape[1];
  const std::int64_t blocks = y.layout.channels_last ? 1 : (channels + block - 1) / block;
  const std::int64_t lanes = y.layout.channels_last ? channels : block;
  std::int64_t spatial = 1;
  for (int i = 2; i < y.shape.rank(); ++i) spatial *= y.shape[static_cast<std::size_t>(i)];
  l.emit({.name = "Bias",
          .reads = {x, bias.buffer},
          .writes = {y.buffer},
          .bind = [=, n = y.shape[0], to = y.buffer, b = bias.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(x);
            const float* shift = bind.f32(b);
            float* target = bind.f32(to);
            return [=] {
              parallel_for(n * blocks, 1, [=](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                  const std::int64_t channel = i % blocks * lanes;
                  const std::int64_t used = std::min(lanes, channels - channel);
                  for (std::int64_t s = i * spatial; s < (i + 1) * spatial; ++s) {
                    for (std::int64_t c = 0; c < used; ++c)
                      target[s * lanes + c] = source[s * lanes + c] + shift[channel + c];
                    for (std::int64_t c = used; c < lanes; ++c) target[s * lanes + c] = 0;
                  }
                }
              });
            };
          },
          .replaceable = {x},
          .replaced_by = y.buffer});
}

void lower_conv_transpose(Lowering& l, NodeId id) {
  const NodeId weights = l.input(id, 1);
  const ConvGeometry g = conv_geometry(l.node(id).attributes, l.shape(weights));
  const Shape& s = l.shape(l.input(id, 0));
  const Shape& y = l.shape(id);
  const Shape w = grouped(l.shape(weights), g.group);
  const auto attr = onednn::caller_scratchpad();
  onednn::Window window = g.window();
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    // The convolution that goes back from y to s must not see the rows that output_padding adds.
    window.pads_end[i] -= g.output_padding[i] - (g.output_padding[i] % g.strides[i]);
  }
  const auto make = [&](const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
    const auto hint = onednn::convolution(l.engine(), to, any_descriptor(w), dnnl::memory::desc(), from,
                                          window, dnnl::primitive_attr());
    return onednn::convolution_transpose(l.engine(), to, any_descriptor(w), from, window, hint, attr);
  };
  const Operand given = l.operand(l.input(id, 0));
  if (l.input(id, 2) == kNone && is_narrow_transpose(g, s, y, given.layout))
    return lower_narrow_transpose(l, id, g, given);
  auto pd = make(any_descriptor(s), any_descriptor(y));
  auto source = layout_of(pd.diff_dst_desc(), s);
  auto target = layout_of(pd.diff_src_desc(), y);
  if (!source || !target) {
    source = target = Layout{};
    pd = make(descriptor(s, {}), descriptor(y, {}));
  } else if (!given.layout.plain() && !(given.layout == *source)) {
    // The layout that the operand has already is as good where oneDNN has a fast implementation for it.
    if (auto other = make(descriptor(s, given.layout), descriptor(y, given.layout));
        is_direct(other.impl_info_str())) {
      pd = other;
      source = target = given.layout;
    }
  }
  const Operand x = l.operand(l.input(id, 0), *source);
  const Packed packed = pack_weights(l, weights, w, pd.weights_desc());
  const bool biased = l.input(id, 2) != kNone;
  const Operand result = l.result(id, *target);
  const BufferId sums =
      biased ? l.new_buffer(static_cast<std::size_t>(stored_elements(y, *target)) * sizeof(float))
             : result.buffer;
  l.emit(fmt::format("ConvTranspose {} {}", l.node(id).name, pd.impl_info_str()),
         dnnl::convolution_backward_data(pd),
         {{DNNL_ARG_DIFF_DST, x.buffer, pd.diff_dst_desc()},
          {DNNL_ARG_WEIGHTS, packed.buffer, packed.desc},
          {DNNL_ARG_DIFF_SRC, sums, pd.diff_src_desc(), true}},
         pd.scratchpad_desc(), multiply_adds(s, l.shape(weights)));
  if (biased) emit_bias(l, sums, result, l.plain(l.input(id, 2)));
}

}  // namespace

const Operator kConvTranspose = {
    .name = "ConvTranspose",
    .infer = infer_conv_transpose,
    .derivative = conv_transpose_derivative,
    .linear = conv_transpose_linear,
    .simplify = simplify,
    .sign = sign,
    .lower = lower_conv_transpose,
    .traits = {.kind = Kind::convolution, .behaviour = Behaviour::linear},
};

}  // namespace heatproof
