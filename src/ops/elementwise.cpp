#include "ops/elementwise.h"

#include <algorithm>
#include <array>

#include "ops/arithmetic.h"

namespace heatproof {

namespace {
constexpr std::int64_t kFoldElements = 64;
}

Type infer_broadcast(const NodeView& v) {
  Shape shape = v.shape(0);
  for (std::size_t i = 1; i < v.inputs.size(); ++i) shape = broadcast(shape, v.shape(i));
  return {DType::f32, shape};
}

Type infer_same(const NodeView& v) { return v.input(0); }

std::optional<float> splat(const NodeView& v, std::size_t i) { return splat(*v.inputs[i]); }

std::optional<float> splat(const Node& node) {
  if (node.op == &kFill) return static_cast<float>(node.attributes.number("value", 0));
  if (node.op == &kConstant && node.type.dtype == DType::f32 && node.constant.elements() == 1) {
    return node.constant.data<float>()[0];
  }
  return std::nullopt;
}

Tensor fold_elementwise(const NodeView& v) {
  const Elementwise& e = v.node.op->traits.elementwise;
  const Shape& shape = v.node.type.shape;
  if (v.node.type.dtype != DType::f32 || shape.elements() > kFoldElements) return {};
  const std::vector<float> parameters =
      e.parameters != nullptr ? e.parameters(v.node.attributes) : std::vector<float>{};
  std::array<std::vector<float>, 3> values;
  std::array<const float*, 3> pointers{};
  for (std::size_t i = 0; i < v.inputs.size(); ++i) {
    if (v.inputs[i] == nullptr || v.inputs[i]->type.dtype != DType::f32) return {};
    const Tensor& t = v.inputs[i]->constant;
    const auto strides = t.shape().strides();
    const auto out = shape.strides();
    const int shift = shape.rank() - t.shape().rank();
    for (std::int64_t k = 0; k < shape.elements(); ++k) {
      std::int64_t offset = 0;
      for (int a = shift; a < shape.rank(); ++a) {
        const auto axis = static_cast<std::size_t>(a);
        const auto own = static_cast<std::size_t>(a - shift);
        if (t.shape()[own] != 1) offset += k / out[axis] % shape[axis] * strides[own];
      }
      values[i].push_back(t.data<float>()[static_cast<std::size_t>(offset)]);
    }
    pointers[i] = values[i].data();
  }
  Tensor result = Tensor::empty(DType::f32, shape);
  e.tile(pointers.data(), result.data<float>().data(), shape.elements(), parameters.data());
  return result;
}

Value without_expand(Builder& g, const NodeView& v) {
  if (!v.node.name.empty()) return {};  // the user's own arithmetic stays as it is
  for (std::size_t i = 0; i < 2; ++i) {
    if (v.inputs[i]->op != &kExpand || v.shape(1 - i) != v.node.type.shape) continue;
    std::vector<Value> operands{input_of(g, v, 0), input_of(g, v, 1)};
    operands[i] = operands[i].input(0);
    return g.add(*v.node.op, operands);
  }
  return {};
}

Sign sign_of_product(const NodeView& v) {
  if (v.node.inputs[0] == v.node.inputs[1]) return Sign::non_negative;
  const Sign a = v.inputs[0]->sign;
  const Sign b = v.inputs[1]->sign;
  if (a == Sign::zero || b == Sign::zero)
    return v.node.name.empty() ? Sign::zero : Sign::any;  // the user's own 0 · NaN is NaN
  if (a == Sign::any || b == Sign::any) return Sign::any;
  return a == b ? Sign::non_negative : Sign::non_positive;
}

Value simplify_unary(Builder& g, const NodeView& v) {
  if (v.inputs[0]->op != &kFill) return {};
  const float x = *splat(v, 0);
  const Elementwise& e = v.node.op->traits.elementwise;
  const std::vector<float> parameters =
      e.parameters != nullptr ? e.parameters(v.node.attributes) : std::vector<float>{};
  const float* inputs[] = {&x};
  float y = 0;
  e.tile(inputs, &y, 1, parameters.data());
  return g.fill(v.node.type.shape, y);
}

}  // namespace heatproof
