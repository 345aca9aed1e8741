#include "ops/fused_activation.h"

#include <limits>

#include "ops/operators.h"

namespace heatproof::fused {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha = 0, beta = 0;
};

Eltwise eltwise(const Node& activation) {
  if (activation.op == &kRelu) return {dnnl::algorithm::eltwise_relu};
  if (activation.op == &kSilu) return {dnnl::algorithm::eltwise_swish, 1.0F};
  if (activation.op == &kSigmoid) return {dnnl::algorithm::eltwise_logistic};
  if (activation.op == &kGelu) return {dnnl::algorithm::eltwise_gelu_erf};
  const auto [least, most] = bounds_of(activation);
  return {dnnl::algorithm::eltwise_clip, least, most};
}

}  // namespace

/// oneDNN refuses bounds in the wrong order, which ONNX allows.
bool is_bounding(const Node& node) {
  return node.op == &kRelu || (node.op == &kClip && node.attributes.number("min", -kInfinity) <=
                                                        node.attributes.number("max", kInfinity));
}

std::pair<float, float> bounds_of(const Node& activation) {
  if (activation.op == &kRelu) return {0, static_cast<float>(kInfinity)};
  return {static_cast<float>(activation.attributes.number("min", -kInfinity)),
          static_cast<float>(activation.attributes.number("max", kInfinity))};
}

bool is_fusible(const Node& node, Convolutions convolutions) {
  if (is_bounding(node)) return true;
  if (convolutions == Convolutions::direct) return false;
  if (node.op == &kGelu) return node.attributes.text("approximate", "none") == "none";
  return node.op == &kSilu || node.op == &kSigmoid;
}

void append(dnnl::post_ops& post, const Node& activation) {
  const Eltwise e = eltwise(activation);
#if HEATPROOF_DNNL_3
  post.append_eltwise(e.algorithm, e.alpha, e.beta);
#else
  post.append_eltwise(1.0F, e.algorithm, e.alpha, e.beta);
#endif
}

}  // namespace heatproof::fused
