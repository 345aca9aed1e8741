#include "ops/linear_views.h"

#include <span>

#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// One of the two weights of a difference.
Value weight_of(Value w, std::int64_t i) {
  return reshape(w.builder().add(kSlice, {w},
                                 {{"starts", std::vector<std::int64_t>{i}},
                                  {"ends", std::vector<std::int64_t>{i + 1}},
                                  {"steps", std::vector<std::int64_t>{1}}}),
                 {});
}

/// Multiplication of x by w.
Linear scaling(Value node, Value x, Value w) {
  return {.a = {x},
          .w = w,
          .b = {},
          .output = node,
          .apply = [](const Operands& a, Value v, Value b) { return b ? a[0] * v + b : a[0] * v; },
          .transpose = [shape = x.shape()](Value v, Value s) { return Operands{sum_to(s * v, shape)}; }};
}

}  // namespace

/// A sum is linear in all its variable operands, with weights 1.
std::optional<Linear> add_linear(Value node) {
  Linear view{.w = node.builder().fill({}, 1), .output = node};
  for (std::size_t i = 0; i < 2; ++i) {
    (node.input(i).constant() ? view.b : view.a.emplace_back()) = node.input(i);
  }
  if (view.a.empty()) return std::nullopt;
  view.apply = [shape = node.shape()](const Operands& a, Value w, Value b) {
    Value z = expand(w * a[0], shape);
    for (std::size_t i = 1; i < a.size(); ++i) z = z + w * a[i];
    return b ? z + b : z;
  };
  std::vector<Shape> shapes;
  for (const Value& a : view.a) shapes.push_back(a.shape());
  view.transpose = [shapes](Value w, Value s) {
    Operands parts;
    for (const Shape& shape : shapes) parts.push_back(sum_to(w * s, shape));
    return parts;
  };
  return view;
}

/// A difference is a sum with weights 1 and −1, so that rules that take contributions apart by sign see those
/// of x and of −y.
std::optional<Linear> sub_linear(Value node) {
  constexpr float kSigns[] = {1, -1};
  const bool both = !node.input(0).constant() && !node.input(1).constant();
  if (node.input(0).constant() && node.input(1).constant()) return std::nullopt;
  Linear view{.w = node.builder().constant(Tensor::of({2}, std::span<const float>(kSigns))), .output = node};
  const std::int64_t first = node.input(0).constant() ? 1 : 0;
  if (both)
    view.a.assign({node.input(0), node.input(1)});
  else
    view.a.push_back(node.input(static_cast<std::size_t>(first)));
  if (!both) view.b = first == 0 ? -node.input(1) : node.input(0);
  view.apply = [shape = node.shape(), first](const Operands& a, Value w, Value b) {
    Value z = expand(weight_of(w, first) * a[0], shape);
    if (a.size() > 1) z = z + weight_of(w, 1) * a[1];
    return b ? z + b : z;
  };
  std::vector<Shape> shapes;
  for (const Value& a : view.a) shapes.push_back(a.shape());
  view.transpose = [shapes, first](Value w, Value s) {
    Operands parts;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      parts.push_back(sum_to(weight_of(w, first + static_cast<std::int64_t>(i)) * s, shapes[i]));
    return parts;
  };
  return view;
}

std::optional<Linear> mul_linear(Value node) {
  const std::size_t variable = node.input(0).constant() ? 1 : 0;
  if (!node.input(1 - variable).constant()) return std::nullopt;
  return scaling(node, node.input(variable), node.input(1 - variable));
}

std::optional<Linear> div_linear(Value node) {
  if (!node.input(1).constant()) return std::nullopt;
  return scaling(node, node.input(0), node.builder().add(kReciprocal, {node.input(1)}));
}

}  // namespace heatproof
