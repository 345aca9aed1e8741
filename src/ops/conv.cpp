// Conv: weights are (output channels, input channels / group, kernel...).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <tuple>

#include "base/sizes.h"
#include "ops/arithmetic.h"
#include "ops/concat.h"
#include "ops/convolution.h"
#include "ops/fused_activation.h"
#include "ops/operators.h"
#include "ops/weights.h"
#include "ops/winograd.h"

namespace heatproof {

using namespace convolution;

namespace {

Type infer_conv(const NodeView& v) {
  check_ranks(v);
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  const ConvGeometry g = conv_geometry(v.node.attributes, w);
  const std::int64_t channels = sizes::product(w[1], g.group);
  if (x[1] != channels || w[0] % g.group != 0) {
    throw Error(
        fmt::format("input of shape {} has {} channels, but weights of shape {} in {} group(s) take {}",
                    to_string(x), x[1], to_string(w), g.group, channels));
  }
  check_bias(v, w[0]);
  Shape y{x[0], w[0]};
  for (std::size_t i = 0; i < g.kernel.size(); ++i) y.push_back(conv_size(g, i, x[i + 2]));
  return {DType::f32, y};
}

std::vector<Value> conv_derivative(Value node, Value gradient) {
  require_constant_weights(node);
  return {conv_adjoint(gradient, node.input(1), node.attributes(), node.input(0).shape()), {}, {}};
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

/// What follows a convolution and can be computed while its result is still in registers.
struct Fusion {
  NodeId result;                     // the node whose value the primitive computes
  NodeId residual = kNone;           // added to the convolution
  bool in_place = false;             // the result may take the residual's memory
  const Node* activation = nullptr;  // of the sum
};

/// Whether nobody will read the value after `reader`.
bool is_last_reader(const Lowering& l, NodeId id, NodeId reader) {
  return !l.is_output(id) && l.node(id).op != &kInput &&
         std::ranges::all_of(l.users()[static_cast<std::size_t>(id)],
                             [&](NodeId user) { return user == reader || l.is_lowered(user); });
}

/// Whether some windows lie in the padding as a whole.
bool leaves_the_input(const ConvGeometry& g) {
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    const std::int64_t extent = g.dilations[i] * (g.kernel[i] - 1) + 1;
    if (std::max(g.pads_begin[i], g.pads_end[i]) >= extent) return true;
  }
  return false;
}

/// `residuals`: what is added may be fused, too. oneDNN 2.6 forgets the bias, or crashes, where it adds to
/// windows that leave the input. `curves`: so may activations that are more than bounds.
Fusion find_fusion(const Lowering& l, NodeId id, bool residuals, bool curves) {
  Fusion fusion{.result = id};
  NodeId user = l.sole_user(id);
  if (residuals && user != kNone && l.node(user).op == &kAdd && l.shape(user) == l.shape(id)) {
    const NodeId other = l.input(user, 0) == id ? l.input(user, 1) : l.input(user, 0);
    if (other != id && !l.constant(other) && l.shape(other) == l.shape(id) && l.available(other)) {
      fusion.residual = other;
      fusion.in_place = is_last_reader(l, other, user);
      fusion.result = user;
      user = l.sole_user(user);
    }
  }
  if (user != kNone && !l.doubtful(user) &&
      (curves ? fused::is_fusible(l.node(user), l.convolutions()) : fused::is_bounding(l.node(user)))) {
    fusion.activation = &l.node(user);
    fusion.result = user;
  }
  return fusion;
}

dnnl::primitive_attr attributes_of(const Fusion& fusion, const Shape& y, Layout layout) {
  dnnl::primitive_attr attr = onednn::caller_scratchpad();
  dnnl::post_ops post;
  if (fusion.residual != kNone && fusion.in_place)
    post.append_sum(1.0F);
  else if (fusion.residual != kNone)
    post.append_binary(dnnl::algorithm::binary_add, descriptor(y, layout));
  if (fusion.activation != nullptr) fused::append(post, *fusion.activation);
  attr.set_post_ops(post);
  return attr;
}

struct ChosenConvolution {
  dnnl::convolution_forward::primitive_desc pd;
  Layout source, target;
};

/// Weights and bias of a convolution, and what its descriptors are made of.
struct Choices {
  const Lowering& l;
  const ConvGeometry& g;
  const Shape &x, &y;
  NodeId weights_id;
  Shape weights;  // as oneDNN sees them
  bool bias;
  const Fusion& fusion;

  dnnl::convolution_forward::primitive_desc make(const dnnl::memory::desc& src, const dnnl::memory::desc& dst,
                                                 const dnnl::primitive_attr& attr) const {
    return onednn::convolution(l.engine(), src, any_descriptor(weights),
                               bias ? descriptor({y[1]}, {}) : dnnl::memory::desc(), dst, g.window(), attr);
  }
  dnnl::convolution_forward::primitive_desc free() const {
    return make(any_descriptor(x), any_descriptor(y),
                attributes_of({.result = fusion.result, .activation = fusion.activation}, y, {}));
  }
  dnnl::convolution_forward::primitive_desc with(Layout source, Layout target) const {
    return make(descriptor(x, source), descriptor(y, target), attributes_of(fusion, y, target));
  }
};

/// The layout that the input has already where oneDNN has a fast convolution for it, else what oneDNN
/// chooses: first without what is fused, since the residual's layout must be known for that.
ChosenConvolution choose(const Lowering& l, NodeId id, const ConvGeometry& g, const Fusion& fusion,
                         Layout have) {
  const Choices c{.l = l,
                  .g = g,
                  .x = l.shape(l.input(id, 0)),
                  .y = l.shape(id),
                  .weights_id = l.input(id, 1),
                  .weights = grouped(l.shape(l.input(id, 1)), g.group),
                  .bias = l.input(id, 2) != kNone,
                  .fusion = fusion};
  const auto free = c.free();
  const auto source = layout_of(free.src_desc(), c.x);
  const auto target = layout_of(free.dst_desc(), c.y);
  if (!source || !target) return {c.with({}, {}), {}, {}};
  if (!have.plain() && !(have == *source)) {
    if (auto pd = c.with(have, have); is_direct(pd.impl_info_str())) return {pd, have, have};
  }
  return {fusion.residual == kNone ? free : c.with(*source, *target), *source, *target};
}

/// Runs a convolution that adds to what its destination holds: the residual, which is copied there unless it
/// is there already.
void emit_in_place(Lowering& l, std::string name, const ChosenConvolution& chosen,
                   std::vector<Lowering::Argument> arguments, const Operand& residual, const Operand& y,
                   double work) {
  const bool read_elsewhere = std::ranges::any_of(
      arguments, [&](const Lowering::Argument& a) { return a.buffer == residual.buffer; });
  Step step = l.primitive_step(std::move(name), dnnl::convolution_forward(chosen.pd), std::move(arguments),
                               chosen.pd.scratchpad_desc(), work);
  step.reads.push_back(residual.buffer);
  step.bind = [run = std::move(step.bind), from = residual.buffer, to = y.buffer,
               bytes = chosen.pd.dst_desc().get_size()](const Binding& bind) -> Action {
    const void* source = bind.pointer(from);
    void* target = bind.pointer(to);
    return [source, target, bytes, convolve = run(bind)] {
      if (source != target) std::memcpy(target, source, bytes);
      convolve();
    };
  };
  if (!read_elsewhere) {
    step.replaceable = {residual.buffer};
    step.replaced_by = y.buffer;
  }
  l.emit(std::move(step));
}

std::string name_of(const Lowering& l, NodeId id, std::string_view how, const Fusion& fusion) {
  std::string name = fmt::format("Conv {} {}", l.node(id).name, how);
  if (fusion.residual != kNone) name += " +add";
  if (fusion.activation != nullptr) name += fmt::format(" +{}", fusion.activation->op->name);
  return name;
}

void mark_fused(Lowering& l, NodeId id, const Fusion& fusion) {
  for (NodeId inner = id; inner != fusion.result; inner = l.sole_user(inner)) l.mark_fused(inner);
}

/// In the layout that the input has, or that its neighbours will want.
void lower_by_winograd(Lowering& l, NodeId id, const ConvGeometry& g, const Fusion& fusion, Layout layout) {
  winograd::Convolution c{.name = name_of(l, id, "winograd", fusion),
                          .geometry = g,
                          .weights = l.input(id, 1),
                          .x = l.operand(l.input(id, 0), layout)};
  if (l.input(id, 2) != kNone) c.bias = l.plain(l.input(id, 2)).buffer;
  if (fusion.residual != kNone) c.residual = l.operand(fusion.residual, layout).buffer;
  c.replaces_residual = fusion.in_place && c.residual != c.x.buffer;
  if (fusion.activation != nullptr) std::tie(c.least, c.most) = fused::bounds_of(*fusion.activation);
  c.y = l.result(fusion.result, layout);
  winograd::emit(l, c);
  mark_fused(l, id, fusion);
}

void lower_conv(Lowering& l, NodeId id) {
  const NodeId weights = l.input(id, 1);
  const ConvGeometry g = conv_geometry(l.node(id).attributes, l.shape(weights));
  const Layout have = l.operand(l.input(id, 0)).layout;
  Fusion fusion = find_fusion(l, id, !leaves_the_input(g), true);
  ChosenConvolution chosen = choose(l, id, g, fusion, have);
  if (l.convolutions() == Convolutions::fastest && winograd::serves(g, l.shape(weights)) &&
      winograd::pays(l.shape(id))) {
    fusion = find_fusion(l, id, true, false);
    const Layout layout = winograd::reads(chosen.source) ? chosen.source : Layout{.channels_last = true};
    lower_by_winograd(l, id, g, fusion, layout);
    return;
  }
  if (fusion.residual != kNone && !fusion.in_place && !is_direct(chosen.pd.impl_info_str())) {
    // oneDNN 2.6 adds wrongly there where channels are innermost.
    fusion = find_fusion(l, id, false, true);
    chosen = choose(l, id, g, fusion, have);
  }
  const Operand x = l.operand(l.input(id, 0), chosen.source);
  const Packed packed =
      pack_weights(l, weights, grouped(l.shape(weights), g.group), chosen.pd.weights_desc());
  std::vector<Lowering::Argument> arguments{{DNNL_ARG_SRC, x.buffer, chosen.pd.src_desc()},
                                            {DNNL_ARG_WEIGHTS, packed.buffer, packed.desc}};
  if (l.input(id, 2) != kNone) {
    arguments.push_back({DNNL_ARG_BIAS, l.plain(l.input(id, 2)).buffer, chosen.pd.bias_desc()});
  }
  Operand residual;
  if (fusion.residual != kNone) residual = l.operand(fusion.residual, chosen.target);
  if (fusion.residual != kNone && !fusion.in_place) {
    arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, residual.buffer,
                         descriptor(residual.shape, chosen.target)});
  }
  const Operand y = l.result(fusion.result, chosen.target);
  arguments.push_back({DNNL_ARG_DST, y.buffer, chosen.pd.dst_desc(), true});
  std::string name = name_of(l, id, chosen.pd.impl_info_str(), fusion);
  const double work = multiply_adds(y.shape, l.shape(weights));
  if (fusion.in_place)
    emit_in_place(l, std::move(name), chosen, std::move(arguments), residual, y, work);
  else
    l.emit(std::move(name), dnnl::convolution_forward(chosen.pd), std::move(arguments),
           chosen.pd.scratchpad_desc(), work);
  mark_fused(l, id, fusion);
}

/// Whether a convolution of joined channels is cheaper as a sum of convolutions of the parts: what is read
/// and written between them must be less than what would be copied.
bool pays_in_parts(Value node, Value joined) {
  constexpr std::int64_t kFewChannels = 32;
  const auto parts = static_cast<std::int64_t>(joined.inputs());
  for (std::size_t i = 0; i < joined.inputs(); ++i) {
    if (joined.input(i).shape()[1] < kFewChannels) return false;
  }
  const ConvGeometry g = conv_geometry(node.attributes(), node.input(1).shape());
  return parts > 1 && g.group == 1 && !leaves_the_input(g) &&
         2 * (parts - 1) * node.shape().elements() <= joined.shape().elements();
}

/// Others that read the concatenation are mostly convolutions, too.
Value convolve_parts(Value node, const std::vector<bool>&) {
  const Value joined = node.input(0);
  const Value weights = node.input(1);
  if (!joins_channels(joined) || !weights.constant() || !pays_in_parts(node, joined)) return {};
  Builder& g = node.builder();
  const Attributes attributes = node.attributes();
  const std::string name = node.node().name;
  const std::vector<std::int64_t> steps(weights.shape().size(), 1);
  std::vector<std::int64_t> starts(weights.shape().size(), 0);
  std::vector<std::int64_t> ends(weights.shape().begin(), weights.shape().end());
  Value sum;
  for (std::size_t i = 0; i < joined.inputs(); ++i) {
    ends[1] = starts[1] + joined.input(i).shape()[1];
    const Value part = g.add(kSlice, {weights}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
    starts[1] = ends[1];
    const Value term =
        g.add(kConv, {joined.input(i), part, i == 0 ? node.input(2) : Value{}}, attributes, name);
    sum = sum ? g.add(kAdd, {sum, term}) : term;
  }
  return sum;
}

}  // namespace

convolution::Work convolution::transformable(const Graph& graph) {
  Work sum;
  for (const Node& node : graph.nodes()) {
    if (node.op != &kConv) continue;
    const Shape& weights = graph.node(node.inputs[1]).type.shape;
    if (!winograd::serves(conv_geometry(node.attributes, weights), weights) ||
        !winograd::pays(node.type.shape))
      continue;
    sum.weights += static_cast<double>(weights.elements());
    sum.products += multiply_adds(node.type.shape, weights);
  }
  return sum;
}

std::size_t convolution::transformed_bytes(const Work& work) {
  return static_cast<std::size_t>(work.weights) * winograd::bytes_per_weight();
}

double convolution::runs_for_transforms(const Work& work) {
  // Transforming a weight takes as long as its products at so many positions are sped up by.
  constexpr double kPositions = 1200;
  return work.weights == 0 ? std::numeric_limits<double>::infinity()
                           : kPositions * work.weights / work.products;
}

const Operator kConv = {
    .name = "Conv",
    .infer = infer_conv,
    .derivative = conv_derivative,
    .linear = conv_linear,
    .simplify = simplify,
    .compiled = convolve_parts,
    .sign = sign,
    .windowed = windowed,
    .lower = lower_conv,
    .traits = {.kind = Kind::convolution, .behaviour = Behaviour::linear},
};

}  // namespace heatproof
