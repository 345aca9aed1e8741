#include "engine/layout.h"

#include <fmt/format.h>

#include "heatproof/error.h"

namespace heatproof {

std::string to_string(Layout layout) {
  if (layout.channels_last) return "channels_last";
  return layout.block == 1 ? "plain" : fmt::format("blocked{}", layout.block);
}

std::int64_t Physical::elements() const {
  std::int64_t n = 1;
  for (std::int64_t length : lengths) n *= length;
  return n;
}

Physical physical(const Shape& shape, Layout layout) {
  Physical p;
  const auto axis = [&](int logical, std::int64_t length, std::int64_t step) {
    p.axis.push_back(logical);
    p.lengths.push_back(length);
    p.step.push_back(step);
  };
  if (layout.plain()) {
    for (int i = 0; i < shape.rank(); ++i) axis(i, shape[static_cast<std::size_t>(i)], 1);
    return p;
  }
  axis(0, shape[0], 1);
  if (!layout.channels_last) axis(1, (shape[1] + layout.block - 1) / layout.block, layout.block);
  for (int i = 2; i < shape.rank(); ++i) axis(i, shape[static_cast<std::size_t>(i)], 1);
  axis(1, layout.channels_last ? shape[1] : layout.block, 1);
  return p;
}

std::int64_t stored_elements(const Shape& shape, Layout layout) { return physical(shape, layout).elements(); }

bool padded(const Shape& shape, Layout layout) { return layout.block > 1 && shape[1] % layout.block != 0; }

namespace {

dnnl::memory::format_tag plain_tag(int rank) {
  using Tag = dnnl::memory::format_tag;
  static constexpr Tag kTags[] = {Tag::a, Tag::a, Tag::ab, Tag::abc, Tag::abcd, Tag::abcde, Tag::abcdef};
  if (rank > 6)
    throw UnsupportedError(fmt::format("a value with {} axes; at most 6 are supported here", rank));
  return kTags[rank];
}

dnnl::memory::format_tag tag_of(int rank, Layout layout) {
  using Tag = dnnl::memory::format_tag;
  if (layout.plain()) return plain_tag(rank);
  if (rank < 3 || rank > 5) throw Error("blocked layouts need one to three spatial axes");
  const int spatial = rank - 3;
  if (layout.channels_last)
    return std::array{Tag::acb, Tag::acdb, Tag::acdeb}[static_cast<std::size_t>(spatial)];
  if (layout.block == 8)
    return std::array{Tag::aBc8b, Tag::aBcd8b, Tag::aBcde8b}[static_cast<std::size_t>(spatial)];
  if (layout.block == 16)
    return std::array{Tag::aBc16b, Tag::aBcd16b, Tag::aBcde16b}[static_cast<std::size_t>(spatial)];
  throw Error(fmt::format("no oneDNN layout has channel blocks of {}", layout.block));
}

dnnl::memory::dims dims_of(const Shape& shape) {
  if (shape.empty()) return {1};
  return {shape.begin(), shape.end()};
}

}  // namespace

dnnl::memory::desc descriptor(const Shape& shape, Layout layout) {
  return {dims_of(shape), dnnl::memory::data_type::f32, tag_of(shape.rank(), layout)};
}

dnnl::memory::desc any_descriptor(const Shape& shape) {
  return {dims_of(shape), dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
}

std::optional<Layout> layout_of(const dnnl::memory::desc& desc, const Shape& shape) {
  const auto matches = [&](Layout layout) { return desc == descriptor(shape, layout); };
  if (matches(Layout{})) return Layout{};
  if (shape.rank() < 3 || shape.rank() > 5) return std::nullopt;
  for (Layout layout : {Layout{16}, Layout{8}, Layout{1, true}}) {
    if (matches(layout)) return layout;
  }
  return std::nullopt;
}

}  // namespace heatproof
