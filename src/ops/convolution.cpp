#include "ops/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "ops/winograd.h"

namespace heatproof::convolution {

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

bool is_direct(const std::string& implementation) {
  return !implementation.starts_with("ref") && !implementation.starts_with("gemm") &&
         implementation.find(":gemm") == std::string::npos;
}

ConvGeometry turned(ConvGeometry g) {
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    const std::int64_t reach = g.dilations[i] * (g.kernel[i] - 1);
    g.pads_begin[i] = reach - g.pads_begin[i];
    g.pads_end[i] = reach - g.pads_end[i];
  }
  return g;
}

bool is_transformed(const Graph& graph, NodeId id, Convolutions convolutions) {
  const Node& node = graph.node(id);
  if ((node.op != &kConv && node.op != &kConvTranspose) || convolutions == Convolutions::direct) return false;
  const Shape& weights = graph.node(node.inputs[1]).type.shape;
  ConvGeometry g = conv_geometry(node.attributes, weights);
  if (!winograd::serves(g, weights) || !winograd::pays(node.type.shape)) return false;
  const bool bounded = node.attributes.integer(kBounded, 0) == 1;
  if (node.op == &kConv) return bounded || convolutions == Convolutions::fastest;
  const auto none = [](std::int64_t n) { return n == 0; };
  const auto some = [](std::int64_t n) { return n >= 0; };
  const bool biased = node.inputs.size() > 2 && node.inputs[2] != kNone;
  const bool dense = std::ranges::all_of(g.output_padding, none);
  g = turned(g);
  return bounded && !biased && dense && std::ranges::all_of(g.pads_begin, some) &&
         std::ranges::all_of(g.pads_end, some);
}

Work transformable(const Graph& graph, Convolutions convolutions) {
  Work sum;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    if (!is_transformed(graph, id, convolutions)) continue;
    const Node& node = graph.node(id);
    const Shape& weights = graph.node(node.inputs[1]).type.shape;
    sum.weights += static_cast<double>(weights.elements());
    sum.products +=
        multiply_adds(node.op == &kConv ? node.type.shape : graph.node(node.inputs[0]).type.shape, weights);
  }
  return sum;
}

std::size_t transformed_bytes(const Work& work) {
  return static_cast<std::size_t>(work.weights) * winograd::bytes_per_weight();
}

double runs_for_transforms(const Work& work) {
  // Transforming a weight takes as long as its products at so many positions are sped up by.
  constexpr double kPositions = 1200;
  return work.weights == 0 ? std::numeric_limits<double>::infinity()
                           : kPositions * work.weights / work.products;
}

}  // namespace heatproof::convolution
