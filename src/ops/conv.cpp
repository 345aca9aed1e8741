// Conv and its adjoint ConvTranspose. Weights are (output channels, input channels / group, kernel...) for
// Conv; the same array is what ConvTranspose needs to go back.
#include <fmt/format.h>

#include <cmath>

#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

void check_bias(const NodeView& v, std::int64_t channels) {
  if (v.has(2) && v.shape(2) != Shape{channels}) {
    throw Error(
        fmt::format("bias of shape {} does not fit {} output channels", to_string(v.shape(2)), channels));
  }
}

void check_ranks(const NodeView& v) {
  if (v.shape(0).rank() != v.shape(1).rank()) {
    throw Error(fmt::format("input of shape {} and weights of shape {} must have as many axes",
                            to_string(v.shape(0)), to_string(v.shape(1))));
  }
}

Type infer_conv(const NodeView& v) {
  check_ranks(v);
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  const ConvGeometry g = conv_geometry(v.node.attributes, w);
  if (x[1] != w[1] * g.group || w[0] % g.group != 0) {
    throw Error(
        fmt::format("input of shape {} has {} channels, but weights of shape {} in {} group(s) take {}",
                    to_string(x), x[1], to_string(w), g.group, w[1] * g.group));
  }
  check_bias(v, w[0]);
  Shape y{x[0], w[0]};
  for (std::size_t i = 0; i < g.kernel.size(); ++i) y.push_back(conv_size(g, i, x[i + 2]));
  return {DType::f32, y};
}

Type infer_conv_transpose(const NodeView& v) {
  check_ranks(v);
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  const ConvGeometry g = conv_geometry(v.node.attributes, w);
  if (x[1] != w[0] || w[0] % g.group != 0) {
    throw Error(fmt::format("input of shape {} does not fit weights of shape {} in {} group(s)", to_string(x),
                            to_string(w), g.group));
  }
  check_bias(v, w[1] * g.group);
  Shape y{x[0], w[1] * g.group};
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    y.push_back(conv_transpose_size(g, i, x[i + 2]));
    if (y.back() < 1) throw Error(fmt::format("the result of shape {} would be empty", to_string(y)));
  }
  return {DType::f32, y};
}

/// Zero input or zero weights leave only the bias.
Value simplify(Builder& g, const NodeView& v) {
  if (v.inputs[0]->sign != Sign::zero && v.inputs[1]->sign != Sign::zero) return {};
  const Shape& shape = v.node.type.shape;
  if (!v.has(2)) return g.fill(shape, 0);
  Shape per_channel(shape.size(), 1);
  per_channel[1] = shape[1];
  return expand(reshape(Value(&g, v.node.inputs[2]), per_channel), shape);
}

Sign sign(const NodeView& v) {
  const Sign x = v.inputs[0]->sign;
  const Sign w = v.inputs[1]->sign;
  const Sign b = v.has(2) ? v.inputs[2]->sign : Sign::zero;
  const auto one_sided = [](Sign s) { return s == Sign::non_negative || s == Sign::non_positive; };
  if (!one_sided(x) || !one_sided(w)) return Sign::any;
  const Sign product = x == w ? Sign::non_negative : Sign::non_positive;
  return b == Sign::zero || b == product ? product : Sign::any;
}

void require_constant_weights(Value node) {
  for (std::size_t i = 1; i < node.inputs(); ++i) {
    if (!node.input(i).constant()) {
      throw UnsupportedError(
          fmt::format("node '{}' ({}): gradients with respect to weights that are not constant",
                      node.node().name, node.node().op->name));
    }
  }
}

std::vector<Value> conv_derivative(Value node, Value gradient) {
  require_constant_weights(node);
  return {conv_adjoint(gradient, node.input(1), node.attributes(), node.input(0).shape()), {}, {}};
}

std::vector<Value> conv_transpose_derivative(Value node, Value gradient) {
  require_constant_weights(node);
  Attributes attributes = node.attributes();
  attributes.erase("output_padding");
  return {gradient.builder().add(kConv, {gradient, node.input(1)}, attributes), {}, {}};
}

std::optional<Linear> conv_linear(Value node) {
  if (!node.input(1).constant()) return std::nullopt;
  const Attributes attributes = node.attributes();
  const Shape x = node.input(0).shape();
  return Linear{
      .a = {node.input(0)},
      .w = node.input(1),
      .b = node.input(2),
      .output = node,
      .apply =
          [=](const Operands& a, Value w, Value b) {
            return w.builder().add(kConv, {a[0], w, b}, attributes);
          },
      .transpose = [=](Value w, Value s) { return Operands{conv_adjoint(s, w, attributes, x)}; },
  };
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

std::optional<Windowed> windowed(const NodeView& v) {
  const ConvGeometry g = conv_geometry(v.node.attributes, v.shape(1));
  Windowed w{.attributes = v.node.attributes};
  w.attributes.erase("pads");
  std::vector<std::int64_t> strides = g.strides;
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    w.axes.push_back({g.strides[i], g.dilations[i] * (g.kernel[i] - 1) + 1, g.pads_begin[i]});
    if (w.axes[i].extent == 1) strides[i] = 1;
  }
  w.attributes.set("strides", strides);
  return w;
}

/// oneDNN keeps groups as an axis of their own: (group, output / group, input / group, kernel...).
Shape grouped(const Shape& weights, std::int64_t group) {
  if (group == 1) return weights;
  Shape shape{group, weights[0] / group};
  shape.insert(shape.end(), weights.begin() + 1, weights.end());
  return shape;
}

double multiply_adds(const Shape& y, const Shape& weights) {
  return static_cast<double>(y.elements()) * static_cast<double>(weights.elements()) /
         static_cast<double>(weights[0]);
}

/// What follows a convolution and can be computed while its result is still in registers.
struct Fusion {
  NodeId result;            // the node whose value the primitive computes
  NodeId residual = kNone;  // added to the convolution
  bool relu = false;
};

Fusion find_fusion(const Lowering& l, NodeId id) {
  Fusion fusion{.result = id};
  NodeId user = l.sole_user(id);
  if (user != kNone && l.node(user).op == &kAdd && l.shape(user) == l.shape(id)) {
    const NodeId other = l.input(user, 0) == id ? l.input(user, 1) : l.input(user, 0);
    if (other != id && !l.constant(other) && l.shape(other) == l.shape(id) && l.available(other)) {
      fusion.residual = other;
      fusion.result = user;
      user = l.sole_user(user);
    }
  }
  if (user != kNone && l.node(user).op == &kRelu) {
    fusion.relu = true;
    fusion.result = user;
  }
  return fusion;
}

dnnl::primitive_attr attributes_of(const Fusion& fusion, const Shape& y, Layout layout) {
  dnnl::primitive_attr attr = onednn::caller_scratchpad();
  dnnl::post_ops post;
  if (fusion.residual != kNone) post.append_binary(dnnl::algorithm::binary_add, descriptor(y, layout));
#if HEATPROOF_DNNL_3
  if (fusion.relu) post.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
#else
  if (fusion.relu) post.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
#endif
  attr.set_post_ops(post);
  return attr;
}

struct ChosenConvolution {
  dnnl::convolution_forward::primitive_desc pd;
  Layout source, target;
};

/// Lets oneDNN choose the layouts, first without what is fused (the residual's layout must be known for
/// that).
ChosenConvolution choose(const Lowering& l, NodeId id, const ConvGeometry& g, const Fusion& fusion) {
  const Shape& x = l.shape(l.input(id, 0));
  const Shape weights = grouped(l.shape(l.input(id, 1)), g.group);
  const Shape& y = l.shape(id);
  const bool bias = l.input(id, 2) != kNone;
  const auto make = [&](const dnnl::memory::desc& src, const dnnl::memory::desc& dst,
                        const dnnl::primitive_attr& attr) {
    return onednn::convolution(l.engine(), src, any_descriptor(weights),
                               bias ? descriptor({y[1]}, {}) : dnnl::memory::desc(), dst, g.window(), attr);
  };
  auto pd =
      make(any_descriptor(x), any_descriptor(y), attributes_of({.result = id, .relu = fusion.relu}, y, {}));
  auto source = layout_of(pd.src_desc(), x);
  auto target = layout_of(pd.dst_desc(), y);
  if (!source || !target) {
    source = target = Layout{};
    pd = make(descriptor(x, {}), descriptor(y, {}), attributes_of(fusion, y, {}));
  } else if (fusion.residual != kNone) {
    pd = make(descriptor(x, *source), descriptor(y, *target), attributes_of(fusion, y, *target));
  }
  return {pd, *source, *target};
}

void lower_conv(Lowering& l, NodeId id) {
  const NodeId weights = l.input(id, 1);
  const ConvGeometry g = conv_geometry(l.node(id).attributes, l.shape(weights));
  const Fusion fusion = find_fusion(l, id);
  const ChosenConvolution chosen = choose(l, id, g, fusion);
  const Operand x = l.operand(l.input(id, 0), chosen.source);
  const Packed packed = l.pack(weights, grouped(l.shape(weights), g.group), chosen.pd.weights_desc());
  std::vector<Lowering::Argument> arguments{{DNNL_ARG_SRC, x.buffer, chosen.pd.src_desc()},
                                            {DNNL_ARG_WEIGHTS, packed.buffer, packed.desc}};
  if (l.input(id, 2) != kNone) {
    arguments.push_back({DNNL_ARG_BIAS, l.plain(l.input(id, 2)).buffer, chosen.pd.bias_desc()});
  }
  if (fusion.residual != kNone) {
    const Operand residual = l.operand(fusion.residual, chosen.target);
    arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, residual.buffer,
                         descriptor(residual.shape, chosen.target)});
  }
  const Operand y = l.result(fusion.result, chosen.target);
  arguments.push_back({DNNL_ARG_DST, y.buffer, chosen.pd.dst_desc(), true});
  std::string name = fmt::format("Conv {} {}", l.node(id).name, chosen.pd.impl_info_str());
  if (fusion.residual != kNone) name += " +add";
  if (fusion.relu) name += " +relu";
  l.emit(std::move(name), dnnl::convolution_forward(chosen.pd), std::move(arguments),
         chosen.pd.scratchpad_desc(), multiply_adds(y.shape, l.shape(weights)));
  if (fusion.result != id) l.mark_fused(id);
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
  auto pd = make(any_descriptor(s), any_descriptor(y));
  auto source = layout_of(pd.diff_dst_desc(), s);
  auto target = layout_of(pd.diff_src_desc(), y);
  if (!source || !target) {
    source = target = Layout{};
    pd = make(descriptor(s, {}), descriptor(y, {}));
  }
  const Operand x = l.operand(l.input(id, 0), *source);
  const Packed packed = l.pack(weights, w, pd.weights_desc());
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

const Operator kConv = {
    .name = "Conv",
    .infer = infer_conv,
    .derivative = conv_derivative,
    .linear = conv_linear,
    .simplify = simplify,
    .sign = sign,
    .windowed = windowed,
    .lower = lower_conv,
    .traits = {.kind = Kind::convolution},
};

const Operator kConvTranspose = {
    .name = "ConvTranspose",
    .infer = infer_conv_transpose,
    .derivative = conv_transpose_derivative,
    .linear = conv_transpose_linear,
    .simplify = simplify,
    .sign = sign,
    .lower = lower_conv_transpose,
    .traits = {.kind = Kind::convolution},
};

}  // namespace heatproof
