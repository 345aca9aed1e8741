#include "ops/conv_geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/sizes.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

onednn::Window ConvGeometry::window() const {
  onednn::Window w;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    w.strides.push_back(strides[i]);
    w.dilations.push_back(dilations[i] - 1);
    w.pads_begin.push_back(pads_begin[i]);
    w.pads_end.push_back(pads_end[i]);
  }
  return w;
}

ConvGeometry conv_geometry(const Attributes& attributes, const Shape& weights) {
  if (weights.rank() < 3 || weights.rank() > 5) {
    throw UnsupportedError(
        fmt::format("weights of shape {}; one to three spatial axes are supported", to_string(weights)));
  }
  const std::size_t n = weights.size() - 2;
  const auto list = [&](std::string_view name, std::size_t count, std::int64_t otherwise,
                        std::int64_t least) {
    auto values = attributes.integers(name, std::vector<std::int64_t>(count, otherwise));
    if (values.size() != count)
      throw Error(fmt::format("attribute {} needs {} values, it has {}", name, count, values.size()));
    for (std::int64_t v : values) {
      if (v < least || v > 1'000'000)
        throw Error(fmt::format("attribute {} = [{}] is out of range", name, sizes::text(values)));
    }
    return values;
  };
  ConvGeometry g;
  g.kernel.assign(weights.begin() + 2, weights.end());
  g.strides = list("strides", n, 1, 1);
  g.dilations = list("dilations", n, 1, 1);
  g.output_padding = list("output_padding", n, 0, 0);
  const auto pads = list("pads", 2 * n, 0, 0);
  g.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(n));
  g.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(n), pads.end());
  g.group = attributes.integer("group", 1);
  if (g.group < 1) throw Error(fmt::format("attribute group = {} must be at least 1", g.group));
  return g;
}

std::int64_t conv_size(const ConvGeometry& g, std::size_t i, std::int64_t size) {
  const std::int64_t extent = sizes::extent(g.kernel[i], g.dilations[i]);
  const std::int64_t room = sizes::sum(size, g.pads_begin[i] + g.pads_end[i]);
  if (room < extent) {
    throw Error(fmt::format(
        "kernel {} is larger than its padded input: it spans {} where there are {}; the input is too "
        "small for this network (use larger images or --size)",
        to_string(Shape(std::span(g.kernel))), extent, room));
  }
  return (room - extent) / g.strides[i] + 1;
}

std::int64_t conv_transpose_size(const ConvGeometry& g, std::size_t i, std::int64_t size) {
  const std::int64_t spread = sizes::sum(sizes::product(size - 1, g.strides[i]), g.output_padding[i]);
  return sizes::sum(spread, sizes::extent(g.kernel[i], g.dilations[i]) - g.pads_begin[i] - g.pads_end[i]);
}

namespace {

/// A matrix at every pixel (or every other): its adjoint is the convolution with the transposed matrix, which
/// oneDNN computes faster than the adjoint, and with what follows fused.
bool is_pointwise(const ConvGeometry& g, const Shape& x) {
  const auto all = [](const std::vector<std::int64_t>& v, std::int64_t value) {
    return std::ranges::all_of(v, [=](std::int64_t i) { return i == value; });
  };
  return g.group == 1 && all(g.kernel, 1) && all(g.pads_begin, 0) && all(g.pads_end, 0) && x.rank() > 2;
}

}  // namespace

Value conv_adjoint(Value s, Value weights, Attributes attributes, const Shape& x) {
  attributes.erase("output_padding");
  const ConvGeometry g = conv_geometry(attributes, weights.shape());
  if (is_pointwise(g, x) && weights.constant()) {
    std::vector<std::int64_t> swapped(weights.shape().size());
    std::iota(swapped.begin(), swapped.end(), 0);
    std::swap(swapped[0], swapped[1]);
    const Value pixels =
        s.builder().add(kConv, {s, transpose(weights, swapped)}, {{"kernel_shape", g.kernel}});
    if (pixels.shape() == x) return pixels;
    std::vector<std::int64_t> steps{1, 1};
    steps.insert(steps.end(), g.strides.begin(), g.strides.end());
    return s.builder().add(kUnslice, {pixels},
                           {{"shape", std::vector<std::int64_t>(x.begin(), x.end())},
                            {"starts", std::vector<std::int64_t>(x.size(), 0)},
                            {"steps", steps}});
  }
  std::vector<std::int64_t> padding;
  bool any = false;
  for (std::size_t i = 0; i < g.kernel.size(); ++i) {
    padding.push_back(x[i + 2] - conv_transpose_size(g, i, s.shape()[i + 2]));
    any |= padding.back() != 0;
  }
  if (any) attributes.set("output_padding", padding);
  return s.builder().add(kConvTranspose, {s, weights}, std::move(attributes));
}

}  // namespace heatproof
