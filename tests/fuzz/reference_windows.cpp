// Convolutions and pooling by their definitions.
#include <limits>
#include <optional>

#include "fuzz/reference.h"

namespace heatproof::fuzz {

namespace {

struct Window {
  Index kernel, strides, dilations, pads;
};

Window window_of(const Attributes& a, Index kernel) {
  const std::size_t n = kernel.size();
  return {std::move(kernel), a.integers("strides", Index(n, 1)), a.integers("dilations", Index(n, 1)),
          a.integers("pads", Index(2 * n, 0))};
}

Shape spatial(const Shape& s) { return {s.begin() + 2, s.end()}; }

/// Where tap k of the window at `at` lies, without regard to edges.
Index tap(const Window& w, const Index& at, const Index& k) {
  Index p(k.size());
  for (std::size_t i = 0; i < k.size(); ++i) p[i] = at[i] * w.strides[i] - w.pads[i] + k[i] * w.dilations[i];
  return p;
}

bool inside(const Index& p, const Shape& s) {
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] < 0 || p[i] >= s[i]) return false;
  }
  return true;
}

Index joined(std::int64_t a, std::int64_t b, const Index& rest) {
  Index all{a, b};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

Index tail(const Index& at) { return {at.begin() + 2, at.end()}; }

Number bias_of(std::span<const Array> in, std::int64_t channel) {
  return in.size() > 2 && in[2].size() > 0 ? in[2].at(channel) : Number{};
}

}  // namespace

Array convolve(std::span<const Array> in, const Attributes& a) {
  const Array& x = in[0];
  const Array& w = in[1];
  const Shape kernel = spatial(w.shape);
  const Window window = window_of(a, kernel);
  const std::int64_t group = a.integer("group", 1);
  Shape shape{x.shape[0], w.shape[0]};
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t room = x.shape[i + 2] + window.pads[i] + window.pads[i + kernel.size()];
    shape.push_back((room - window.dilations[i] * (kernel[i] - 1) - 1) / window.strides[i] + 1);
  }
  Array y(shape);
  const std::int64_t inner = w.shape[1];
  const std::int64_t pixels = spatial(x.shape).elements();  // from a channel to the next
  const std::int64_t taps = kernel.elements();
  for_each(shape, [&](const Index& at, std::int64_t i) {
    const std::int64_t first = at[1] / (w.shape[0] / group) * inner;
    Number sum;
    for_each(kernel, [&](const Index& k, std::int64_t t) {
      const Index p = tap(window, tail(at), k);
      if (!inside(p, spatial(x.shape))) return;
      const std::int64_t from = position(x.shape, joined(at[0], first, p));
      for (std::int64_t c = 0; c < inner; ++c)
        sum += x.at(from + c * pixels) * w.at((at[1] * inner + c) * taps + t);
    });
    y.at(i) = sum + bias_of(in, at[1]);
  });
  return y;
}

Array convolve_transposed(std::span<const Array> in, const Attributes& a) {
  const Array& x = in[0];
  const Array& w = in[1];
  const Shape kernel = spatial(w.shape);
  const Window window = window_of(a, kernel);
  const std::int64_t group = a.integer("group", 1);
  const Index more = a.integers("output_padding", Index(kernel.size(), 0));
  Shape shape{x.shape[0], w.shape[1] * group};
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    shape.push_back((x.shape[i + 2] - 1) * window.strides[i] - window.pads[i] -
                    window.pads[i + kernel.size()] + window.dilations[i] * (kernel[i] - 1) + 1 + more[i]);
  }
  Array y(shape);
  const std::int64_t per_group = w.shape[0] / group;
  const std::int64_t outputs = w.shape[1];
  const std::int64_t pixels = spatial(shape).elements();
  const std::int64_t taps = kernel.elements();
  for_each(x.shape, [&](const Index& at, std::int64_t i) {
    const std::int64_t first = at[1] / per_group * outputs;
    for_each(kernel, [&](const Index& k, std::int64_t t) {
      const Index p = tap(window, tail(at), k);
      if (!inside(p, spatial(shape))) return;
      const std::int64_t to = position(shape, joined(at[0], first, p));
      for (std::int64_t c = 0; c < outputs; ++c)
        y.at(to + c * pixels) += x.at(i) * w.at((at[1] * outputs + c) * taps + t);
    });
  });
  for_each(shape, [&](const Index& at, std::int64_t i) { y.at(i) += bias_of(in, at[1]); });
  return y;
}

Array pool(const Array& x, const Attributes& a, bool maximum) {
  const Window window = window_of(a, a.integers("kernel_shape"));
  const Shape kernel{std::span<const std::int64_t>(window.kernel)};
  const Shape room = spatial(x.shape);
  const bool count_pads = a.integer("count_include_pad", 0) != 0;
  const Index sizes = a.integers("output_shape");
  Shape shape{x.shape[0], x.shape[1]};
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t padded = room[i] + window.pads[i] + window.pads[i + kernel.size()];
    shape.push_back(sizes.empty()
                        ? (padded - window.dilations[i] * (kernel[i] - 1) - 1) / window.strides[i] + 1
                        : sizes[i]);
  }
  Array y(shape);
  for_each(shape, [&](const Index& at, std::int64_t i) {
    std::optional<Number> best;
    Number sum;
    double count = 0;
    for_each(kernel, [&](const Index& k, std::int64_t) {
      const Index p = tap(window, tail(at), k);
      const bool real = inside(p, room);
      bool padded = true;
      for (std::size_t axis = 0; axis < p.size(); ++axis)
        padded &= p[axis] < room[axis] + window.pads[axis + p.size()];
      count += real || (count_pads && padded) ? 1 : 0;
      if (!real) return;
      const Number v = x.at(position(x.shape, joined(at[0], at[1], p)));
      best = best ? larger(*best, v) : v;
      sum += v;
    });
    if (maximum)
      y.at(i) = best ? *best : Number{-std::numeric_limits<double>::infinity(), 0};
    else
      y.at(i) = sum / std::max(count, 1.0);
  });
  return y;
}

}  // namespace heatproof::fuzz
