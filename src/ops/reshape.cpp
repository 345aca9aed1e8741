// Reshape: the same elements in the same row-major order under another shape (attribute shape, complete).
#include <fmt/format.h>

#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"

namespace heatproof {

const Operator kReshape = {
    .name = "Reshape",
    .infer =
        [](const NodeView& v) {
          const Shape shape(v.node.attributes.integers("shape"));
          if (shape.elements() != v.shape(0).elements()) {
            throw Error(fmt::format("cannot reshape {} to {}", to_string(v.shape(0)), to_string(shape)));
          }
          return Type{v.input(0).dtype, shape};
        },
    .derivative = [](Value n, Value g) { return std::vector{reshape(g, n.input(0).shape())}; },
    .simplify =
        [](Builder& g, const NodeView& v) {
          const Value x = input_of(g, v, 0);
          if (x.shape() == v.node.type.shape) return x;
          if (x.is(kReshape)) return reshape(x.input(0), v.node.type.shape);
          if (x.is(kFill)) return g.fill(v.node.type.shape, *splat(v, 0));
          return Value{};
        },
    .fold = [](const NodeView& v) { return v.inputs[0]->constant.reshaped(v.node.type.shape); },
    .sign = keep_sign,
    .lower = [](Lowering& l, NodeId id) { l.alias(id, l.plain(l.input(id, 0))); },
    .traits = {.behaviour = Behaviour::selection, .selects = true},
};

}  // namespace heatproof
