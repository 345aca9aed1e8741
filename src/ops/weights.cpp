#include "ops/weights.h"

#include "ops/operators.h"

namespace heatproof {

Packed pack_weights(Lowering& l, NodeId weights, const Shape& view, const dnnl::memory::desc& desc) {
  const Node& node = l.node(weights);
  if (node.op != &kTranspose || view != node.type.shape || l.has_result(weights) ||
      l.node(node.inputs[0]).op != &kConstant)
    return l.pack(weights, view, desc);
  const auto own = l.shape(node.inputs[0]).strides();
  dnnl::memory::dims strides;
  for (std::int64_t axis : node.attributes.integers("perm"))
    strides.push_back(own[static_cast<std::size_t>(axis)]);
  const dnnl::memory::desc source({view.begin(), view.end()}, dnnl::memory::data_type::f32, strides);
  return l.pack(node.inputs[0], source, desc);
}

}  // namespace heatproof
