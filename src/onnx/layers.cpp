// Convolutions, matrix products and pooling.
#include <fmt/format.h>

#include <algorithm>

#include "base/sizes.h"
#include "heatproof/error.h"
#include "onnx/import.h"

namespace heatproof {

namespace {

using Values = std::vector<Value>;

std::string auto_pad_of(const Importing& i) {
  return i.word("auto_pad", {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"});
}

/// Kernel, strides, dilations and pads of a window over the spatial axes of x, auto_pad resolved.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, pads;
};

Window window_of(const Importing& i, const Shape& x, std::vector<std::int64_t> kernel) {
  const std::size_t n = kernel.size();
  if (x.size() != n + 2 || n == 0)
    throw InputError(fmt::format("kernel of {} axes over an input of shape {}", n, to_string(x)));
  Window w{kernel, i.integers("strides", std::vector<std::int64_t>(n, 1)),
           i.integers("dilations", std::vector<std::int64_t>(n, 1)),
           i.integers("pads", std::vector<std::int64_t>(2 * n, 0))};
  if (w.strides.size() != n || w.dilations.size() != n || w.pads.size() != 2 * n) {
    throw InputError("strides, dilations or pads do not have one entry per spatial axis");
  }
  const std::string mode = auto_pad_of(i);
  if (mode == "VALID") w.pads.assign(2 * n, 0);
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    for (std::size_t k = 0; k < n; ++k) {
      if (w.strides[k] < 1) throw InputError("strides must be at least 1");
      const std::int64_t extent = sizes::extent(kernel[k], w.dilations[k]);
      const std::int64_t output = sizes::quotient_up(x[k + 2], w.strides[k]);
      const std::int64_t seen = sizes::sum(sizes::product(output - 1, w.strides[k]), extent);
      const std::int64_t total = std::max<std::int64_t>(0, sizes::sum(seen, -x[k + 2]));
      w.pads[k] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pads[k + n] = total - w.pads[k];
    }
  }
  return w;
}

Values conv(const Importing& i) {
  const Shape& w = i.shape(1);
  if (w.rank() < 3) throw InputError(fmt::format("weights of shape {} have no kernel", to_string(w)));
  const Window window = window_of(i, i.shape(0), i.integers("kernel_shape", {w.begin() + 2, w.end()}));
  if (window.kernel != std::vector<std::int64_t>(w.begin() + 2, w.end()))
    throw InputError("kernel_shape does not fit the weights");
  return {i.add(kConv, {i.input(0), i.input(1), i.has(2) ? i.input(2) : Value{}},
                {{"strides", window.strides},
                 {"dilations", window.dilations},
                 {"pads", window.pads},
                 {"group", i.integer("group", 1)}})};
}

Values conv_transpose(const Importing& i) {
  const Shape& w = i.shape(1);
  if (w.rank() < 3) throw InputError(fmt::format("weights of shape {} have no kernel", to_string(w)));
  const std::size_t n = w.size() - 2;
  if (i.shape(0).size() != w.size()) throw InputError("input and weights have different ranks");
  const std::vector<std::int64_t> kernel(w.begin() + 2, w.end());
  if (i.integers("kernel_shape", kernel) != kernel) throw InputError("kernel_shape does not fit the weights");
  auto strides = i.integers("strides", std::vector<std::int64_t>(n, 1));
  auto dilations = i.integers("dilations", std::vector<std::int64_t>(n, 1));
  auto pads = i.integers("pads", std::vector<std::int64_t>(2 * n, 0));
  auto padding = i.integers("output_padding", std::vector<std::int64_t>(n, 0));
  const auto wanted = i.integers("output_shape");
  const std::string mode = auto_pad_of(i);
  if (mode == "VALID") pads.assign(2 * n, 0);
  if (!wanted.empty() && wanted.size() < n)
    throw InputError("output_shape does not have one entry per spatial axis");
  if (strides.size() != n || dilations.size() != n || pads.size() != 2 * n || padding.size() != n)
    throw InputError("attributes do not have one entry per spatial axis");
  for (std::size_t k = 0; k < n && (!wanted.empty() || mode.starts_with("SAME")); ++k) {
    const std::int64_t spread = sizes::product(strides[k], i.shape(0)[k + 2] - 1);
    const std::int64_t natural =
        sizes::sum(sizes::sum(spread, padding[k]), sizes::extent(kernel[k], dilations[k]));
    const std::int64_t size =
        wanted.empty() ? sizes::product(i.shape(0)[k + 2], strides[k]) : wanted.at(wanted.size() - n + k);
    if (size < 1) throw InputError(fmt::format("an output of length {}", size));
    const std::int64_t total = sizes::sum(natural, -size);
    if (total < 0) throw UnsupportedError("ConvTranspose with an output_shape beyond its natural size");
    pads[k] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[k + n] = total - pads[k];
  }
  return {i.add(kConvTranspose, {i.input(0), i.input(1), i.has(2) ? i.input(2) : Value{}},
                {{"strides", strides},
                 {"dilations", dilations},
                 {"pads", pads},
                 {"output_padding", padding},
                 {"group", i.integer("group", 1)}})};
}

Values gemm(const Importing& i) {
  Value a = i.input(0);
  Value b = i.input(1);
  if (a.shape().rank() != 2 || b.shape().rank() != 2) throw InputError("Gemm multiplies matrices");
  if (i.integer("transA", 0) != 0) a = transpose(a, {1, 0});
  const double alpha = i.number("alpha", 1);
  const double beta = i.number("beta", 1);
  Value y;
  if (b.constant()) {
    if (i.integer("transB", 0) == 0) b = transpose(b, {1, 0});
    y = i.add(kLinear, {a, alpha == 1 ? b : b * alpha});
  } else {
    if (i.integer("transB", 0) != 0) b = transpose(b, {1, 0});
    y = i.add(kMatMul, {alpha == 1 ? a : a * alpha, b});
  }
  if (!i.has(2)) return {y};
  const Value c = beta == 1 ? i.input(2) : i.input(2) * beta;
  return {i.add(kAdd, {y, c})};
}

Values matmul(const Importing& i) {
  Value a = i.input(0);
  Value b = i.input(1);
  if (a.shape().rank() >= 2 && b.shape().rank() >= 2) return {i.add(kMatMul, {a, b})};
  // numpy: vectors become matrices for the product.
  const Shape sa = a.shape();
  const Shape sb = b.shape();
  if (sa.rank() == 1) a = reshape(a, {1, sa[0]});
  if (sb.rank() == 1) b = reshape(b, {sb[0], 1});
  const Value y = i.add(kMatMul, {a, b});
  Shape shape = y.shape();
  if (sb.rank() == 1) shape.pop_back();
  if (sa.rank() == 1) shape.erase(shape.end() - (sb.rank() == 1 ? 1 : 2));
  return {reshape(y, shape)};
}

/// Output sizes of pooling; ceil_mode keeps a last window that starts inside of the input or its left
/// padding.
std::vector<std::int64_t> pooled_sizes(const Importing& i, const Shape& x, const Window& w) {
  std::vector<std::int64_t> sizes;
  const std::size_t n = w.kernel.size();
  for (std::size_t k = 0; k < n; ++k) {
    if (w.strides[k] < 1) throw InputError("strides must be at least 1");
    const std::int64_t extent = sizes::extent(w.kernel[k], w.dilations[k]);
    const std::int64_t left = sizes::sum(x[k + 2], w.pads[k]);
    const std::int64_t room = sizes::sum(sizes::sum(left, w.pads[k + n]), -extent);
    if (extent < 1) throw InputError("kernel_shape and dilations must be at least 1");
    if (room < 0) {
      throw InputError(
          fmt::format("the kernel spans {} where the padded input has {}; the input is too small for this "
                      "network (use larger images or --size)",
                      extent, room + extent));
    }
    const bool ceil = i.integer("ceil_mode", 0) != 0;
    std::int64_t size = (ceil ? sizes::quotient_up(room, w.strides[k]) : room / w.strides[k]) + 1;
    if (ceil && sizes::product(size - 1, w.strides[k]) >= left) --size;
    sizes.push_back(size);
  }
  return sizes;
}

Importer pool(const Operator& op) {
  return [&op](const Importing& i) {
    const Shape& x = i.shape(0);
    const Window w = window_of(i, x, i.integers("kernel_shape"));
    i.harmless({"storage_order"});  // of the indices
    Attributes a{{"kernel_shape", w.kernel},
                 {"strides", w.strides},
                 {"pads", w.pads},
                 {"dilations", w.dilations},
                 {"output_shape", pooled_sizes(i, x, w)}};
    if (&op == &kAveragePool) a.set("count_include_pad", i.integer("count_include_pad", 0));
    if (i.node.output_size() > 1 && !i.node.output(1).empty())
      throw UnsupportedError("the indices of MaxPool");
    return Values{i.add(op, {i.input(0)}, a)};
  };
}

Importer global_pool(const Operator& op) {
  return [&op](const Importing& i) {
    std::vector<std::int64_t> axes;
    for (int k = 2; k < i.shape(0).rank(); ++k) axes.push_back(k);
    return Values{i.add(op, {i.input(0)}, {{"axes", axes}, {"keepdims", std::int64_t{1}}})};
  };
}

Importer reduce(const Operator& op) {
  return [&op](const Importing& i) {
    const int rank = i.shape(0).rank();
    auto axes = i.axes(i.integers_of(1, "axes"), rank);
    const std::int64_t keep = i.integer("keepdims", 1);
    const bool nothing = i.integer("noop_with_empty_axes", 0) != 0;
    if (axes.empty()) {
      if (nothing) return Values{i.input(0)};
      for (int k = 0; k < rank; ++k) axes.push_back(k);
    }
    return Values{i.add(op, {i.input(0)}, {{"axes", axes}, {"keepdims", keep}})};
  };
}

/// log Σ exp(x): the axes are joined, as the operator wants one.
Values reduce_log_sum_exp(const Importing& i) {
  const Value x = i.input(0);
  const int rank = x.shape().rank();
  auto axes = i.axes(i.integers_of(1, "axes"), rank);
  if (axes.empty() && i.integer("noop_with_empty_axes", 0) != 0) return {x};
  std::vector<std::int64_t> order;
  Shape joined;
  Shape result;
  std::int64_t n = 1;
  for (int k = 0; k < rank; ++k) {
    const std::int64_t length = x.shape()[static_cast<std::size_t>(k)];
    if (axes.empty() || std::ranges::count(axes, k) != 0) {
      n *= length;
      if (i.integer("keepdims", 1) != 0) result.push_back(1);
      continue;
    }
    order.push_back(k);
    joined.push_back(length);
    result.push_back(length);
  }
  const auto axis = static_cast<std::int64_t>(order.size());
  for (int k = 0; k < rank; ++k)
    if (std::ranges::count(order, k) == 0) order.push_back(k);
  joined.push_back(n);
  const Value rows = reshape(transpose(x, order), joined);
  return {reshape(i.add(kLogSumExp, {rows}, {{"axis", axis}}), result)};
}

/// ReduceSum of something made from the input.
Values sum_of(const Importing& i, Value x) {
  Importing other = i;
  other.inputs[0] = x;
  return reduce(kReduceSum)(other);
}

}  // namespace

void add_layer_importers(ImporterTable& t) {
  t["Conv"] = conv;
  t["ConvTranspose"] = conv_transpose;
  t["Gemm"] = gemm;
  t["MatMul"] = matmul;
  t["MaxPool"] = pool(kMaxPool);
  t["AveragePool"] = pool(kAveragePool);
  t["GlobalAveragePool"] = global_pool(kReduceMean);
  t["GlobalMaxPool"] = global_pool(kReduceMax);
  t["ReduceSum"] = reduce(kReduceSum);
  t["ReduceMean"] = reduce(kReduceMean);
  t["ReduceMax"] = reduce(kReduceMax);
  t["ReduceMin"] = reduce(kReduceMin);
  t["ReduceProd"] = reduce(kReduceProd);
  t["ReduceSumSquare"] = [](const Importing& i) { return sum_of(i, i.input(0) * i.input(0)); };
  t["ReduceL1"] = [](const Importing& i) { return sum_of(i, abs(i.input(0))); };
  t["ReduceL2"] = [](const Importing& i) { return Values{i.add(kSqrt, sum_of(i, i.input(0) * i.input(0)))}; };
  t["ReduceLogSumExp"] = reduce_log_sum_exp;
  t["ReduceLogSum"] = [](const Importing& i) { return Values{i.add(kLog, sum_of(i, i.input(0)))}; };
}

}  // namespace heatproof
