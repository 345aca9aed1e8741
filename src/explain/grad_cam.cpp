#include "explain/grad_cam.h"

#include <fmt/format.h>

#include "base/text.h"
#include "explain/resample.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

bool has_positions(const Value& v) {
  if (v.dtype() != DType::f32 || v.shape().rank() < 3) return false;
  std::int64_t positions = 1;
  for (int i = 2; i < v.shape().rank(); ++i) positions *= v.shape()[static_cast<std::size_t>(i)];
  return positions > 1;
}

bool is_wanted(const Value& v, const std::string& layer) {
  if (layer == "last_map") return true;
  if (layer == "last_convolution") return v.node().op->traits.kind == Kind::convolution;
  return matches_glob(layer, v.node().name);
}

/// Nodes that lead from the input to the logits.
std::vector<bool> on_the_way(const ForwardView& forward) {
  Builder& g = forward.logits.builder();
  const auto size = static_cast<std::size_t>(forward.logits.id()) + 1;
  std::vector<bool> after(size, false);  // hangs on the input
  std::vector<bool> way(size, false);
  after[static_cast<std::size_t>(forward.input.id())] = true;
  for (std::size_t id = 0; id < size; ++id) {
    for (NodeId input : g.node(static_cast<NodeId>(id)).inputs)
      if (input != kNone && after[static_cast<std::size_t>(input)]) after[id] = true;
  }
  way.back() = true;
  for (std::size_t id = size; id-- > 0;) {
    if (!way[id]) continue;
    for (NodeId input : g.node(static_cast<NodeId>(id)).inputs)
      if (input != kNone && after[static_cast<std::size_t>(input)])
        way[static_cast<std::size_t>(input)] = true;
  }
  return way;
}

Value find_layer(const ForwardView& forward, const std::string& layer) {
  const std::vector<bool> way = on_the_way(forward);
  for (NodeId id = forward.logits.id(); id > forward.input.id(); --id) {
    const Value v(&forward.logits.builder(), id);
    if (way[static_cast<std::size_t>(id)] && has_positions(v) && is_wanted(v, layer)) return v;
  }
  throw UsageError(
      fmt::format("grad_cam: the network has no layer '{}' whose channels have more than one position; "
                  "choose layer=last_map, "
                  "layer=last_convolution, or a name that `heatproof inspect` shows",
                  layer));
}

}  // namespace

Value grad_cam(const MethodInputs& in, const Parameters& p) {
  const Value layer = find_layer(in.forward, p.text("layer"));
  const Value gradient = propagate({layer, explained(in.forward, p), in.one_hot, {}, {}}, gradients());
  std::vector<std::int64_t> positions;
  double count = 1;
  for (int i = 2; i < layer.shape().rank(); ++i) {
    positions.push_back(i);
    count *= static_cast<double>(layer.shape()[static_cast<std::size_t>(i)]);
  }
  const Value weights = reduce_sum(gradient, positions, true) / count;
  Value map = reduce_sum(weights * layer, {1}, true);
  if (p.flag("relu")) map = positive(map);
  const Shape& x = in.forward.input.shape();
  if (x.rank() != layer.shape().rank()) {
    throw UsageError(fmt::format("grad_cam: layer '{}' of shape {} has other axes than the input, {}",
                                 layer.node().name, to_string(layer.shape()), to_string(x)));
  }
  for (int axis = 2; axis < x.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    map = along(map, axis, interpolation(layer.shape()[i], x[i]));
  }
  return expand(map, x);
}

}  // namespace heatproof
