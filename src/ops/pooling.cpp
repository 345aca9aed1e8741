#include "ops/pooling.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sizes.h"
#include "base/threads.h"

namespace heatproof {

std::int64_t PoolGeometry::divisor(const std::array<std::int64_t, 3>& at) const {
  std::int64_t n = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t first = at[i] * stride[i] - begin[i];
    std::int64_t inside = 0;
    for (std::int64_t k = 0; k < kernel[i]; ++k) {
      const std::int64_t position = first + k * dilation[i];
      inside += count_include_pad ? position < input[i] + end[i] : position >= 0 && position < input[i];
    }
    n *= std::max<std::int64_t>(inside, 1);
  }
  return n;
}

PoolGeometry pool_geometry(const Attributes& attributes, const Shape& x) {
  const std::vector<std::int64_t> kernel = attributes.integers("kernel_shape");
  const std::size_t n = kernel.size();
  if (n < 1 || n > 3 || x.size() != n + 2) {
    throw UnsupportedError(
        fmt::format("pooling with kernel [{}] over an input of shape {}", sizes::text(kernel), to_string(x)));
  }
  const auto list = [&](std::string_view name, std::size_t count, std::int64_t otherwise,
                        std::int64_t least) {
    auto values = attributes.integers(name, std::vector<std::int64_t>(count, otherwise));
    for (std::int64_t v : values) {
      if (v < least || v > 1'000'000)
        throw Error(fmt::format("attribute {} = [{}] is out of range", name, sizes::text(values)));
    }
    if (values.size() != count) throw Error(fmt::format("attribute {} needs {} values", name, count));
    return values;
  };
  list("kernel_shape", n, 1, 1);
  const auto strides = list("strides", n, 1, 1);
  const auto dilations = list("dilations", n, 1, 1);
  const auto pads = list("pads", 2 * n, 0, 0);
  const auto sizes = attributes.integers("output_shape");
  PoolGeometry g;
  g.count_include_pad = attributes.integer("count_include_pad", 0) != 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t axis = 3 - n + i;
    g.input[axis] = x[i + 2];
    g.kernel[axis] = kernel[i];
    g.stride[axis] = strides[i];
    g.dilation[axis] = dilations[i];
    g.begin[axis] = pads[i];
    g.end[axis] = pads[i + n];
    const std::int64_t extent = sizes::extent(kernel[i], dilations[i]);
    const std::int64_t room = sizes::sum(x[i + 2], pads[i] + pads[i + n]);
    if (extent > room) {
      throw Error(fmt::format(
          "kernel {} is larger than its padded input: it spans {} where there are {}; the input is too "
          "small for this network (use larger images or --size)",
          to_string(Shape(std::span(kernel))), extent, room));
    }
    g.output[axis] = sizes.size() == n ? sizes[i] : (room - extent) / strides[i] + 1;
    if (g.output[axis] < 1) throw Error("the result would be empty");
  }
  return g;
}

Shape pool_shape(const PoolGeometry& g, const Shape& x) {
  Shape y{x[0], x[1]};
  for (std::size_t i = x.size() - 2; i > 0; --i) y.push_back(g.output[3 - i]);
  return y;
}

Windowed pool_windows(const NodeView& v, float outside) {
  const PoolGeometry g = pool_geometry(v.node.attributes, v.shape(0));
  Windowed w{.outside = outside, .attributes = v.node.attributes};
  std::vector<std::int64_t> strides;
  for (std::size_t i = 5 - v.shape(0).size(); i < 3; ++i) {
    w.axes.push_back({g.stride[i], g.dilation[i] * (g.kernel[i] - 1) + 1, g.begin[i]});
    strides.push_back(w.axes.back().extent == 1 ? 1 : g.stride[i]);
  }
  w.attributes.erase("pads");
  w.attributes.erase("output_shape");
  w.attributes.set("strides", strides);
  return w;
}

Planes planes_of(const Shape& shape, Layout layout) {
  if (layout.channels_last) return {shape[0], shape[1]};
  return {shape[0] * ((shape[1] + layout.block - 1) / layout.block), layout.block};
}

PlanePieces::PlanePieces(Planes p) : planes(p), per_plane(1), lanes(p.lanes) {
  constexpr std::int64_t kLeast = 32;  // two cache lines of channels
  const std::int64_t wanted = (2 * threads() + p.planes - 1) / std::max<std::int64_t>(p.planes, 1);
  if (wanted <= 1 || p.lanes <= kLeast) return;
  lanes = std::max(kLeast, (p.lanes / wanted + kLeast - 1) / kLeast * kLeast);
  per_plane = (p.lanes + lanes - 1) / lanes;
}

void emit_pool(Lowering& l, NodeId id, const Operand& x, const Operand& y, const PoolGeometry& g,
               PlaneKernel kernel, bool transpose) {
  const Planes p = planes_of(x.shape, x.layout);
  const std::int64_t in = (transpose ? g.pixels_out() : g.pixels_in()) * p.lanes;
  const std::int64_t out = (transpose ? g.pixels_in() : g.pixels_out()) * p.lanes;
  l.emit({.name = std::string(l.node(id).op->name),
          .reads = {x.buffer},
          .writes = {y.buffer},
          .bind = [=, from = x.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(from);
            float* target = bind.f32(to);
            return [=] {
              const PlanePieces pieces(p);
              parallel_for(pieces.count(), 1, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                  pieces.visit(i, [&](std::int64_t plane, std::int64_t first, std::int64_t lanes) {
                    kernel(source + plane * in + first, target + plane * out + first, g, p.lanes, lanes);
                  });
                }
              });
            };
          }});
}

}  // namespace heatproof
