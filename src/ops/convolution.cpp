#include "ops/convolution.h"

#include <fmt/format.h>

#include "ops/arithmetic.h"
#include "ops/operators.h"

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
  if (!v.node.name.empty()) return {};  // the user's own 0 · NaN is NaN
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

}  // namespace heatproof::convolution
