#include "ops/weights.h"

#include <algorithm>
#include <optional>

#include "ops/operators.h"

namespace heatproof {

namespace {

/// A constant as it lies in memory, seen through transpositions and slices.
struct View {
  NodeId constant;
  dnnl::memory::desc desc;
};

std::optional<View> view_of(const Lowering& l, NodeId id) {
  const Node& node = l.node(id);
  if (node.op == &kConstant) return View{id, descriptor(node.type.shape, {})};
  if ((node.op != &kTranspose && node.op != &kSlice) || l.has_result(id)) return std::nullopt;
  auto view = view_of(l, node.inputs[0]);
  if (!view) return std::nullopt;
  if (node.op == &kTranspose) {
    const auto perm = node.attributes.integers("perm");
    std::vector<int> to(perm.size());
    for (std::size_t i = 0; i < perm.size(); ++i) to[static_cast<std::size_t>(perm[i])] = static_cast<int>(i);
    view->desc = view->desc.permute_axes(to);
    return view;
  }
  const auto steps = node.attributes.integers("steps");
  if (std::ranges::any_of(steps, [](std::int64_t step) { return step != 1; })) return std::nullopt;
  const Shape& shape = node.type.shape;
  view->desc = view->desc.submemory_desc({shape.begin(), shape.end()}, node.attributes.integers("starts"));
  return view;
}

}  // namespace

Packed pack_weights(Lowering& l, NodeId weights, const Shape& view, const dnnl::memory::desc& desc,
                    const Lowering::Packing& packing) {
  if (l.node(weights).op != &kConstant && view == l.shape(weights)) {
    if (const auto seen = view_of(l, weights)) return l.pack(seen->constant, seen->desc, desc, packing);
  }
  return l.pack(weights, descriptor(view, {}), desc, packing);
}

dnnl::memory::desc unpacked(const Lowering& l, NodeId matrix) {
  const Shape& shape = l.shape(matrix);
  const dnnl::memory::desc columns({shape[0], shape[1]}, dnnl::memory::data_type::f32,
                                   dnnl::memory::format_tag::ba);
  const auto seen = view_of(l, matrix);
  return seen && seen->desc == columns ? columns : descriptor(shape, {});
}

}  // namespace heatproof
