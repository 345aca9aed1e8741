// Linear: what Gemm and MatMul by constant weights become. y[..., m] = Σ_k x[..., k] w[m, k] + b[m].
#include <fmt/format.h>

#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/fused_activation.h"
#include "ops/operators.h"
#include "ops/weights.h"

namespace heatproof {

namespace {

Type infer(const NodeView& v) {
  const Shape& x = v.shape(0);
  const Shape& w = v.shape(1);
  if (w.rank() != 2 || x.rank() < 1 || x.back() != w[1]) {
    throw Error(
        fmt::format("input of shape {} does not fit weights of shape {}", to_string(x), to_string(w)));
  }
  if (v.has(2) && v.shape(2) != Shape{w[0]}) {
    throw Error(fmt::format("bias of shape {} does not fit {} outputs", to_string(v.shape(2)), w[0]));
  }
  Shape y = x;
  y.back() = w[0];
  return {DType::f32, y};
}

Value simplify(Builder& g, const NodeView& v) {
  if (!v.node.name.empty()) return {};  // the user's own 0 · NaN is NaN
  if (v.inputs[0]->sign != Sign::zero && v.inputs[1]->sign != Sign::zero) return {};
  if (!v.has(2)) return g.fill(v.node.type.shape, 0);
  return expand(Value(&g, v.node.inputs[2]), v.node.type.shape);
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

Value adjoint(Value w, Value s) { return s.builder().add(kLinear, {s, transpose(w, {1, 0})}); }

std::vector<Value> derivative(Value node, Value gradient) {
  if (!node.input(1).constant()) {
    throw UnsupportedError(
        fmt::format("node '{}' (Linear): gradients with respect to its weights", node.node().name));
  }
  return {adjoint(node.input(1), gradient), {}, {}};
}

std::optional<Linear> linear(Value node) {
  if (!node.input(1).constant()) return std::nullopt;
  return Linear{
      .a = {node.input(0)},
      .w = node.input(1),
      .b = node.input(2),
      .output = node,
      .apply =
          [](const Operands& a, Value w, Value b) {
            return w.builder().add(kLinear, {a[0], w, b});
          },
      .transpose = [](Value w, Value s) { return Operands{adjoint(w, s)}; },
  };
}

void lower(Lowering& l, NodeId id) {
  const NodeId weights = l.input(id, 1);
  const Shape& w = l.shape(weights);
  const Shape& full = l.shape(id);
  const Shape x{full.elements() / w[0], w[1]};
  const Shape y{x[0], w[0]};
  const bool bias = l.input(id, 2) != kNone;
  dnnl::primitive_attr attr = onednn::caller_scratchpad();
  const NodeId user = l.sole_user(id);
  const bool fuses = user != kNone && !l.doubtful(id) && fused::is_fusible(l.node(user), l.convolutions());
  if (fuses) {
    dnnl::post_ops post;
    fused::append(post, l.node(user));
    attr.set_post_ops(post);
  }
  // Weights that a run reads once are not worth packing, nor the memory.
  const auto wanted = x[0] == 1 ? unpacked(l, weights) : any_descriptor(w);
  const auto pd =
      onednn::inner_product(l.engine(), descriptor(x, {}), wanted,
                            bias ? descriptor({w[0]}, {}) : dnnl::memory::desc(), descriptor(y, {}), attr);
  const Operand source = l.plain(l.input(id, 0));
  const Packed packed = pack_weights(l, weights, w, pd.weights_desc());
  const Operand target = l.result(fuses ? user : id, Layout{});
  std::vector<Lowering::Argument> arguments{{DNNL_ARG_SRC, source.buffer, pd.src_desc()},
                                            {DNNL_ARG_WEIGHTS, packed.buffer, packed.desc},
                                            {DNNL_ARG_DST, target.buffer, pd.dst_desc(), true}};
  if (bias) arguments.push_back({DNNL_ARG_BIAS, l.plain(l.input(id, 2)).buffer, pd.bias_desc()});
  l.emit(fmt::format("Linear {} {}{}", l.node(id).name, pd.impl_info_str(),
                     fuses ? fmt::format(" +{}", l.node(user).op->name) : ""),
         dnnl::inner_product_forward(pd), std::move(arguments), pd.scratchpad_desc(),
         static_cast<double>(x.elements()) * static_cast<double>(w[0]));
  if (fuses) l.mark_fused(id);
}

}  // namespace

const Operator kLinear = {
    .name = "Linear",
    .infer = infer,
    .derivative = derivative,
    .linear = linear,
    .simplify = simplify,
    .sign = sign,
    .lower = lower,
    .traits = {.kind = Kind::dense, .behaviour = Behaviour::linear},
};

}  // namespace heatproof
