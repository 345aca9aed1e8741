#include "explain/equivalents_layers.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "graph/builder.h"
#include "graph/operator.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// x [N, C, H, W], padded → the values under each tap of the kernel, [N, positions, taps · C].
Value patches_of(Builder& g, Value x, const ConvGeometry& c, const Shape& y) {
  const Value padded = g.add(kPad, {x},
                             {{"pads", std::vector<std::int64_t>{0, 0, c.pads_begin[0], c.pads_begin[1], 0, 0,
                                                                 c.pads_end[0], c.pads_end[1]}},
                              {"value", 0.0}});
  const std::int64_t positions = y[2] * y[3];
  std::vector<Value> taps;
  for (std::int64_t i = 0; i < c.kernel[0]; ++i) {
    for (std::int64_t j = 0; j < c.kernel[1]; ++j) {
      const std::int64_t top = i * c.dilations[0];
      const std::int64_t left = j * c.dilations[1];
      const Value tap = g.add(
          kSlice, {padded},
          {{"starts", std::vector<std::int64_t>{0, 0, top, left}},
           {"ends", std::vector<std::int64_t>{x.shape()[0], x.shape()[1], top + (y[2] - 1) * c.strides[0] + 1,
                                              left + (y[3] - 1) * c.strides[1] + 1}},
           {"steps", std::vector<std::int64_t>{1, 1, c.strides[0], c.strides[1]}}});
      taps.push_back(reshape(tap, {x.shape()[0], x.shape()[1], positions}));
    }
  }
  const Value all = taps.size() == 1 ? taps[0] : g.add(kConcat, taps, {{"axis", std::int64_t{1}}});
  return transpose(all, {0, 2, 1});
}

/// Whether nothing but reshapes lies between a value and the network's input.
bool sees_input(Value v) {
  while (v.is(kReshape) || v.is(kTranspose) || v.is(kPad)) v = v.input(0);
  return v.is(kInput);
}

}  // namespace

Rewritten rewrite_nodes(const Graph& graph, std::initializer_list<const Operator*> ops, const Emit& emit) {
  std::size_t places = 0;
  std::size_t candidates = 0;
  Graph copy =
      copy_graph(graph, {}, [&](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
        if (std::ranges::find(ops, node.op) == ops.end()) return {};
        ++candidates;
        const Value other = emit(g, node, inputs);
        places += static_cast<bool>(other);
        return other;
      });
  return {std::move(copy), places, candidates};
}

Rewritten insert_identities(const Graph& graph) {
  return rewrite_nodes(graph, {&kConv, &kLinear},
                       [](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
                         const Value y = g.add(*node.op, inputs, node.attributes, node.name);
                         return g.add(kRelu, {y}) - g.add(kRelu, {-y});
                       });
}

Rewritten enlarge_kernels(const Graph& graph) {
  return rewrite_nodes(graph, {&kConv},
                       [](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
                         if (!inputs[1].constant()) return {};
                         const ConvGeometry c = conv_geometry(node.attributes, inputs[1].shape());
                         const auto spatial = static_cast<std::size_t>(c.spatial());
                         std::vector<std::int64_t> frame(2 * (spatial + 2), 0);
                         std::vector<std::int64_t> pads;
                         std::vector<std::int64_t> kernel;
                         for (std::size_t i = 0; i < spatial; ++i) {
                           frame[2 + i] = frame[spatial + 4 + i] = 1;
                           pads.push_back(c.pads_begin[i] + c.dilations[i]);
                           kernel.push_back(c.kernel[i] + 2);
                         }
                         for (std::size_t i = 0; i < spatial; ++i)
                           pads.push_back(c.pads_end[i] + c.dilations[i]);
                         Attributes attributes = node.attributes;
                         attributes.set("pads", pads);
                         attributes.set("kernel_shape", kernel);
                         std::vector<Value> other = inputs;
                         other[1] = g.add(kPad, {inputs[1]}, {{"pads", frame}, {"value", 0.0}});
                         return g.add(kConv, other, attributes, node.name);
                       });
}

Rewritten unfold_batch_norm(const Graph& graph) {
  return rewrite_nodes(
      graph, {&kConv}, [](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
        if (!inputs[1].constant()) return {};
        const std::int64_t channels = inputs[1].shape()[0];
        RandomStream random(0, {"unfold"}, static_cast<std::uint64_t>(channels));
        std::vector<float> up;
        std::vector<float> down;
        for (std::int64_t k = 0; k < channels; ++k) {
          up.push_back(static_cast<float>(std::exp2(random.uniform(-1, 1))));
          down.push_back(1 / up.back());
        }
        Shape along(inputs[1].shape().size(), 1);
        along[0] = channels;
        const Value factor = g.constant(Tensor::of({channels}, std::span<const float>(down)));
        std::vector<Value> other = inputs;
        other[1] = inputs[1] * reshape(factor, along);
        if (other.size() > 2 && other[2]) other[2] = inputs[2] * factor;
        const Value y = g.add(kConv, other, node.attributes, node.name);
        return g.add(kBatchNormalization, {y, g.constant(Tensor::of({channels}, std::span<const float>(up))),
                                           g.constant(Tensor::zeros(DType::f32, {channels}))});
      });
}

Rewritten as_matrix_products(const Graph& graph) {
  return rewrite_nodes(
      graph, {&kConv}, [](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
        if (!inputs[1].constant() || sees_input(inputs[0])) return {};
        const ConvGeometry c = conv_geometry(node.attributes, inputs[1].shape());
        if (c.spatial() != 2 || c.group != 1) return {};
        const Shape& y = node.type.shape;
        const Shape& w = inputs[1].shape();
        const Value weights = reshape(transpose(inputs[1], {0, 2, 3, 1}), {w[0], w.elements() / w[0]});
        const Value bias = inputs.size() > 2 ? inputs[2] : Value{};
        const Value product = g.add(kLinear, {patches_of(g, inputs[0], c, y), weights, bias}, {}, node.name);
        return reshape(transpose(product, {0, 2, 1}), y);
      });
}

}  // namespace heatproof
