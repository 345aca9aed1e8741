// Transpose: axis i of the result is axis perm[i] of the input.
#include <fmt/format.h>

#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace heatproof {

namespace {

std::vector<std::int64_t> permutation(const Attributes& a) { return a.integers("perm"); }

Type infer(const NodeView& v) {
  const auto perm = permutation(v.node.attributes);
  const Shape& x = v.shape(0);
  std::vector<bool> seen(x.size(), false);
  Shape y;
  for (std::int64_t p : perm) {
    if (p < 0 || p >= x.rank() || seen[static_cast<std::size_t>(p)])
      throw Error("perm is no permutation of the axes");
    seen[static_cast<std::size_t>(p)] = true;
    y.push_back(x[static_cast<std::size_t>(p)]);
  }
  if (y.size() != x.size()) throw Error("perm does not name every axis");
  return {v.input(0).dtype, y};
}

std::vector<std::int64_t> inverse(const std::vector<std::int64_t>& perm) {
  std::vector<std::int64_t> result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    result[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return result;
}

Value simplify(Builder& g, const NodeView& v) {
  const auto perm = permutation(v.node.attributes);
  const Value x = input_of(g, v, 0);
  if (x.is(kFill)) return g.fill(v.node.type.shape, *splat(v, 0));
  if (x.is(kTranspose)) {
    const auto before = permutation(x.attributes());
    std::vector<std::int64_t> both;
    for (std::int64_t p : perm) both.push_back(before[static_cast<std::size_t>(p)]);
    return transpose(x.input(0), both);
  }
  // Moving only axes of length 1 does not move elements.
  std::int64_t last = -1;
  for (std::int64_t p : perm) {
    if (x.shape()[static_cast<std::size_t>(p)] == 1) continue;
    if (p < last) return {};
    last = p;
  }
  return reshape(x, v.node.type.shape);
}

StridedCopy copy_of(const Shape& x, const Shape& y, const std::vector<std::int64_t>& perm) {
  StridedCopy copy;
  const auto strides = x.strides();
  copy.lengths.assign(y.begin(), y.end());
  copy.to_strides = y.strides();
  for (std::int64_t p : perm) copy.from_strides.push_back(strides[static_cast<std::size_t>(p)]);
  return copy;
}

}  // namespace

const Operator kTranspose = {
    .name = "Transpose",
    .infer = infer,
    .derivative = [](Value n,
                     Value g) { return std::vector{transpose(g, inverse(permutation(n.attributes())))}; },
    .simplify = simplify,
    .fold =
        [](const NodeView& v) {
          const Tensor& t = v.inputs[0]->constant;
          if (!foldable(t)) return Tensor();
          return copy_tensor(t, v.node.type.shape,
                             copy_of(t.shape(), v.node.type.shape, permutation(v.node.attributes)));
        },
    .sign = keep_sign,
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand x = l.plain(l.input(id, 0));
          const Operand y = l.result(id, Layout{});
          StridedCopy copy = copy_of(x.shape, y.shape, permutation(l.node(id).attributes));
          copy.size = element_size(l.node(id));
          emit_copy(l, "Transpose", x.buffer, y.buffer, copy);
        },
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
