// OneHot: indices i64 [N] → f32 [N, depth]; rows of indices outside of the range are zero.
#include <algorithm>

#include "engine/lowering.h"
#include "ops/operators.h"

namespace heatproof {

const Operator kOneHot = {
    .name = "OneHot",
    .infer =
        [](const NodeView& v) {
          if (v.input(0).dtype != DType::i64 || v.shape(0).rank() != 1)
            throw Error("indices must be i64 with one axis");
          return Type{DType::f32, Shape{v.shape(0)[0], v.node.attributes.integer("depth", 1)}};
        },
    .sign = [](const NodeView&) { return Sign::non_negative; },
    .lower =
        [](Lowering& l, NodeId id) {
          const Operand indices = l.plain(l.input(id, 0));
          const Operand y = l.result(id, Layout{});
          l.emit({.name = "OneHot",
                  .reads = {indices.buffer},
                  .writes = {y.buffer},
                  .bind = [rows = y.shape[0], depth = y.shape[1], from = indices.buffer,
                           to = y.buffer](const Binding& bind) -> Action {
                    const std::int64_t* index = bind.i64(from);
                    float* out = bind.f32(to);
                    return [=] {
                      std::fill_n(out, rows * depth, 0.0F);
                      for (std::int64_t i = 0; i < rows; ++i) {
                        if (index[i] >= 0 && index[i] < depth) out[i * depth + index[i]] = 1.0F;
                      }
                    };
                  }});
        },
    .traits = {.behaviour = Behaviour::derivative},
};

}  // namespace heatproof
