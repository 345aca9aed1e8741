#include "explain/equivalents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/random.h"
#include "base/spec.h"
#include "explain/equivalents_layers.h"
#include "explain/graph_copy.h"
#include "graph/builder.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/operators.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

bool grouped(const Node& node) { return node.op == &kConv && node.attributes.integer("group", 1) != 1; }

/// Two layers with nothing but ReLU and pooling between them.
struct Pair {
  NodeId first, second;
};

std::vector<Pair> hidden_pairs(const Graph& graph) {
  const auto users = graph.users();
  const auto sole = [&](NodeId id) {
    const auto& list = users[static_cast<std::size_t>(id)];
    const bool output = std::ranges::any_of(graph.outputs(), [&](const Output& o) { return o.id == id; });
    return list.size() == 1 && !output ? list[0] : kNone;
  };
  std::vector<Pair> pairs;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!is_layer(graph, id) || grouped(graph.node(id))) continue;
    NodeId next = sole(id);
    bool relu = false;
    while (next != kNone &&
           (graph.node(next).op == &kRelu ||
            (relu && (graph.node(next).op == &kMaxPool || graph.node(next).op == &kAveragePool)))) {
      relu = true;
      next = sole(next);
    }
    if (relu && next != kNone && is_layer(graph, next) && !grouped(graph.node(next)))
      pairs.push_back({id, next});
  }
  return pairs;
}

/// A weight tensor whose axis 0 (outgoing) or 1 (incoming) is rebuilt: entry k of the result is entry from[k]
/// times scale[k].
Tensor pick(const Tensor& w, int axis, const std::vector<std::int64_t>& from,
            const std::vector<float>& scale) {
  Shape shape = w.shape();
  const std::int64_t outer = axis == 0 ? 1 : shape[0];
  const std::int64_t length = shape[static_cast<std::size_t>(axis)];
  const std::int64_t inner = w.elements() / (outer * length);
  shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(from.size());
  Tensor result = Tensor::empty(DType::f32, shape);
  float* to = result.data<float>().data();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t k = 0; k < from.size(); ++k) {
      const float* source = w.data<float>().data() + (o * length + from[k]) * inner;
      for (std::int64_t i = 0; i < inner; ++i) *to++ = source[i] * scale[k];
    }
  }
  return result;
}

/// Rebuilds the hidden channels between every pair of layers: channel k becomes old channel from[k] times
/// scale[k], and counts `share` of it in the next layer.
Rewritten rebuild_channels(
    const Graph& canonical,
    const std::function<void(std::int64_t channels, RandomStream&, std::vector<std::int64_t>& from,
                             std::vector<float>& scale, float& share)>& plan) {
  const Graph graph = materialize(canonical);
  NewConstants constants;
  // A layer may be the second of one pair and the first of the next.
  const auto current = [&](NodeId layer, std::size_t input) {
    const auto it = constants.find({layer, input});
    return it != constants.end() ? it->second : graph.node(graph.node(layer).inputs[input]).constant;
  };
  const std::vector<Pair> pairs = hidden_pairs(graph);
  for (const Pair& pair : pairs) {
    RandomStream random(0, {"equivalent"}, static_cast<std::uint64_t>(pair.first));
    std::vector<std::int64_t> from;
    std::vector<float> scale;
    float share = 1;
    plan(weights_of(graph, pair.first).shape()[0], random, from, scale, share);
    const Node& first = graph.node(pair.first);
    constants[{pair.first, 1}] = pick(current(pair.first, 1), 0, from, scale);
    if (first.inputs.size() > 2 && first.inputs[2] != kNone)
      constants[{pair.first, 2}] = pick(current(pair.first, 2), 0, from, scale);
    std::vector<float> back;
    for (float s : scale) back.push_back(share / s);
    constants[{pair.second, 1}] = pick(current(pair.second, 1), 1, from, back);
  }
  return {copy_graph(graph, constants, {}), pairs.size()};
}

Rewritten split_neurons(const Graph& graph) {
  return rebuild_channels(graph, [](std::int64_t n, RandomStream&, auto& from, auto& scale, float& share) {
    for (std::int64_t k = 0; k < 2 * n; ++k) from.push_back(k % n);
    scale.assign(from.size(), 1);
    share = 0.5F;
  });
}

Rewritten permute_channels(const Graph& graph) {
  return rebuild_channels(graph, [](std::int64_t n, RandomStream& random, auto& from, auto& scale, float&) {
    from = random.permutation(n);
    scale.assign(from.size(), 1);
  });
}

Rewritten rescale(const Graph& graph) {
  return rebuild_channels(graph, [](std::int64_t n, RandomStream& random, auto& from, auto& scale, float&) {
    for (std::int64_t k = 0; k < n; ++k) {
      from.push_back(k);
      scale.push_back(static_cast<float>(std::exp2(random.uniform(-2, 2))));
    }
  });
}

/// Max pooling over values that are not negative, as maxima of two made from ReLUs.
template <typename Maximum>
Rewritten expand_max_pools(const Graph& graph, Maximum maximum) {
  return rewrite_nodes(graph, [&](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
    if (node.op != &kMaxPool || inputs[0].shape().rank() != 4 || inputs[0].sign() != Sign::non_negative)
      return {};
    const Shape& x = inputs[0].shape();
    const PoolGeometry p = pool_geometry(node.attributes, x);
    if (p.dilation != std::array<std::int64_t, 3>{1, 1, 1}) return {};
    const auto reach = [&](std::size_t i) { return (p.output[i] - 1) * p.stride[i] + p.kernel[i]; };
    const auto end = [&](std::size_t i) {
      return std::max<std::int64_t>(0, reach(i) - p.input[i] - p.begin[i]);
    };
    const Value padded =
        g.add(kPad, {inputs[0]},
              {{"pads", std::vector<std::int64_t>{0, 0, p.begin[1], p.begin[2], 0, 0, end(1), end(2)}},
               {"value", 0.0}});
    Value most;
    for (std::int64_t i = 0; i < p.kernel[1]; ++i) {
      for (std::int64_t j = 0; j < p.kernel[2]; ++j) {
        const Value part =
            g.add(kSlice, {padded},
                  {{"starts", std::vector<std::int64_t>{0, 0, i, j}},
                   {"ends", std::vector<std::int64_t>{x[0], x[1], i + (p.output[1] - 1) * p.stride[1] + 1,
                                                      j + (p.output[2] - 1) * p.stride[2] + 1}},
                   {"steps", std::vector<std::int64_t>{1, 1, p.stride[1], p.stride[2]}}});
        most = most ? maximum(g, most, part) : part;
      }
    }
    return most;
  });
}

Rewritten max_by_difference(const Graph& graph) {
  return expand_max_pools(graph, [](Builder& g, Value a, Value b) { return a + g.add(kRelu, {b - a}); });
}

Rewritten max_by_halves(const Graph& graph) {
  return expand_max_pools(graph, [](Builder& g, Value a, Value b) {
    return 0.5 * g.add(kRelu, {a - b}) + 0.5 * g.add(kRelu, {b - a}) + 0.5 * g.add(kRelu, {a + b});
  });
}

}  // namespace

const std::vector<Equivalent>& equivalents() {
  static const std::vector<Equivalent> all = {
      {"split", "every hidden neuron as two with half of its outgoing weight", split_neurons},
      {"rescale", "every hidden neuron times c > 0, its outgoing weights divided by c", rescale},
      {"permute", "hidden channels in another order", permute_channels},
      {"identity", "relu(y) - relu(-y) after every layer", insert_identities},
      {"matrix_product",
       "convolutions behind the first as products of a matrix of patches and one of weights",
       as_matrix_products},
      {"zero_taps", "convolutions with a frame of zeros around their kernel", enlarge_kernels},
      {"unfold_batch_norm", "a BatchNormalization taken out of every convolution, and not folded back",
       unfold_batch_norm},
      {"max_difference", "max pooling as a + relu(b - a)", max_by_difference, true},
      {"max_halves", "max pooling as (relu(a - b) + relu(b - a) + relu(a + b)) / 2", max_by_halves, true},
  };
  return all;
}

const Equivalent& find_equivalent(const std::string& name) {
  std::vector<std::string> known;
  for (const Equivalent& e : equivalents()) {
    if (e.name == name) return e;
    known.push_back(e.name);
  }
  throw UsageError(fmt::format("unknown rewrite '{}'; did you mean '{}'?", name, nearest(name, known)));
}

}  // namespace heatproof
