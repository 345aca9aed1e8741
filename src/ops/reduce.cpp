// Reductions over attribute axes (keepdims 0 or 1). Sums accumulate in double: ledgers add up whole tensors.
#include <algorithm>
#include <array>
#include <limits>

#include "base/simd.h"
#include "base/sizes.h"
#include "base/threads.h"
#include "engine/lowering.h"
#include "ops/arithmetic.h"
#include "ops/elementwise.h"
#include "ops/product.h"

namespace heatproof {

namespace {

std::vector<std::int64_t> axes_of(const Attributes& a) { return a.integers("axes"); }

bool reduced(const std::vector<std::int64_t>& axes, int axis) { return std::ranges::count(axes, axis) != 0; }

Type infer(const NodeView& v) {
  const auto axes = axes_of(v.node.attributes);
  const bool keep = v.node.attributes.integer("keepdims", 1) != 0;
  Shape y;
  for (int i = 0; i < v.shape(0).rank(); ++i) {
    if (!reduced(axes, i))
      y.push_back(v.shape(0)[static_cast<std::size_t>(i)]);
    else if (keep)
      y.push_back(1);
  }
  for (std::int64_t axis : axes) {
    if (axis < 0 || axis >= v.shape(0).rank()) throw Error("axes are out of range");
  }
  return {v.input(0).dtype, y};
}

std::int64_t count(const Shape& x, const std::vector<std::int64_t>& axes) {
  std::int64_t n = 1;
  for (std::int64_t axis : axes) n *= x[static_cast<std::size_t>(axis)];
  return n;
}

/// The result in the input's rank.
Value kept(Value n, Value y) {
  Shape shape = n.input(0).shape();
  for (std::int64_t axis : axes_of(n.attributes())) shape[static_cast<std::size_t>(axis)] = 1;
  return reshape(y, shape);
}

enum class Reduction { sum, mean, max, min, prod };

/// Strides to walk the physical array with the kept axes outside and the reduced axes inside.
struct Walk {
  std::vector<std::int64_t> kept, kept_strides, inner, inner_strides;
};

Walk walk_of(const Physical& p, const std::vector<std::int64_t>& axes) {
  const auto strides = Shape(std::span<const std::int64_t>(p.lengths)).strides();
  Walk w;
  for (std::size_t i = 0; i < p.lengths.size(); ++i) {
    const bool inside = reduced(axes, p.axis[i]);
    (inside ? w.inner : w.kept).push_back(p.lengths[i]);
    (inside ? w.inner_strides : w.kept_strides).push_back(strides[i]);
  }
  return w;
}

template <typename F>
void visit(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& strides,
           std::size_t axis, const float* x, F& f) {
  if (axis == lengths.size()) {
    f(x, 1, 0);
    return;
  }
  if (axis + 1 == lengths.size()) {
    f(x, lengths[axis], strides[axis]);
    return;
  }
  for (std::int64_t i = 0; i < lengths[axis]; ++i)
    visit(lengths, strides, axis + 1, x + i * strides[axis], f);
}

double reduce_run(const float* x, std::int64_t n, std::int64_t stride, Reduction r, double value) {
  if (r == Reduction::sum || r == Reduction::mean) {
    double parts[4] = {0, 0, 0, 0};
    std::int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      for (int k = 0; k < 4; ++k) parts[k] += x[(i + k) * stride];
    }
    for (; i < n; ++i) parts[0] += x[i * stride];
    return value + ((parts[0] + parts[1]) + (parts[2] + parts[3]));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = x[i * stride];
    if (r == Reduction::prod)
      value *= v;
    else if (v != v || (r == Reduction::max ? v > value : v < value))  // NaN stays
      value = v;
  }
  return value;
}

std::int64_t product(const std::vector<std::int64_t>& lengths) {
  std::int64_t n = 1;
  for (std::int64_t length : lengths) n *= length;
  return n;
}

/// Where the k-th of the kept elements begins.
std::int64_t offset_of(const Walk& w, std::int64_t k) {
  std::int64_t offset = 0;
  for (std::size_t i = w.kept.size(); i-- > 0;) {
    offset += k % w.kept[i] * w.kept_strides[i];
    k /= w.kept[i];
  }
  return offset;
}

constexpr std::int64_t kLanes = 32;  // neighbours that are added up at once

HEATPROOF_SIMD void add_lanes(const float* x, std::int64_t n, std::int64_t stride, std::int64_t lanes,
                              double* sums) {
  if (lanes == kLanes) {
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < kLanes; ++k) sums[k] += x[i * stride + k];
  } else {
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < lanes; ++k) sums[k] += x[i * stride + k];
  }
}

/// Whether neighbours in memory belong to different results, as channels do where they are innermost.
bool keeps_neighbours(const Walk& w) {
  return !w.inner.empty() && !w.kept.empty() && w.kept_strides.back() == 1 && w.kept.back() >= 8;
}

void sum_neighbours(const Walk& w, double scale, const float* x, float* y) {
  const std::int64_t length = w.kept.back();
  const std::int64_t chunks = (length + kLanes - 1) / kLanes;
  const std::int64_t grain =
      std::max<std::int64_t>(1, 8192 / (kLanes * std::max<std::int64_t>(1, product(w.inner))));
  parallel_for(product(w.kept) / length * chunks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task / chunks * length + task % chunks * kLanes;
      const std::int64_t lanes = std::min(kLanes, length - task % chunks * kLanes);
      std::array<double, kLanes> sums{};
      auto run = [&](const float* at, std::int64_t n, std::int64_t stride) {
        add_lanes(at, n, stride, lanes, sums.data());
      };
      visit(w.inner, w.inner_strides, 0, x + offset_of(w, first), run);
      for (std::int64_t k = 0; k < lanes; ++k)
        y[first + k] = static_cast<float>(sums[static_cast<std::size_t>(k)] * scale);
    }
  });
}

void reduce(const Walk& w, Reduction r, const float* x, float* y) {
  const std::int64_t outputs = product(w.kept);
  const std::int64_t inner = product(w.inner);
  if ((r == Reduction::sum || r == Reduction::mean) && keeps_neighbours(w)) {
    sum_neighbours(w, r == Reduction::mean ? 1.0 / static_cast<double>(inner) : 1.0, x, y);
    return;
  }
  const double start = r == Reduction::max    ? -std::numeric_limits<double>::infinity()
                       : r == Reduction::min  ? std::numeric_limits<double>::infinity()
                       : r == Reduction::prod ? 1.0
                                              : 0.0;
  const std::int64_t grain = std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(inner, 1));
  parallel_for(outputs, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      double value = start;
      auto run = [&](const float* at, std::int64_t n, std::int64_t stride) {
        value = reduce_run(at, n, stride, r, value);
      };
      visit(w.inner, w.inner_strides, 0, x + offset_of(w, k), run);
      y[k] = static_cast<float>(r == Reduction::mean ? value / static_cast<double>(inner) : value);
    }
  });
}

/// Sums and means read blocked layouts directly when channels are kept whole or all reduced (padding is
/// zero).
bool direct(const Operand& x, const std::vector<std::int64_t>& axes, Reduction r) {
  if (x.layout.plain()) return true;
  if (r != Reduction::sum && r != Reduction::mean) return false;
  if (reduced(axes, 1)) return r == Reduction::sum || !padded(x.shape, x.layout);
  bool spatial = !reduced(axes, 0);
  for (int i = 2; i < x.shape.rank(); ++i) spatial &= reduced(axes, i);
  return spatial && !padded(x.shape, x.layout);
}

template <Reduction R>
void lower(Lowering& l, NodeId id) {
  const auto axes = axes_of(l.node(id).attributes);
  Operand x = l.operand(l.input(id, 0));
  if (!direct(x, axes, R)) x = l.plain(l.input(id, 0));
  const Operand y = l.result(id, Layout{});
  const Walk walk = walk_of(physical(x.shape, x.layout), axes);
  l.emit({.name = std::string(l.node(id).op->name),
          .reads = {x.buffer},
          .writes = {y.buffer},
          .bind = [walk, from = x.buffer, to = y.buffer](const Binding& bind) -> Action {
            const float* source = bind.f32(from);
            float* target = bind.f32(to);
            return [=] { reduce(walk, R, source, target); };
          }});
}

/// Σ and mean are linear, with one weight for all.
template <bool Mean>
std::optional<Linear> linear(Value node) {
  const auto axes = axes_of(node.attributes());
  const bool keep = node.attributes().integer("keepdims", 1) != 0;
  const Shape x = node.input(0).shape();
  const double weight = Mean ? 1.0 / static_cast<double>(count(x, axes)) : 1.0;
  Shape wide = x;
  for (std::int64_t axis : axes) wide[static_cast<std::size_t>(axis)] = 1;
  return Linear{.a = {node.input(0)},
                .w = node.builder().fill({}, static_cast<float>(weight)),
                .b = {},
                .output = node,
                .apply =
                    [=](const Operands& a, Value w, Value b) {
                      const Value z = w * reduce_sum(a[0], axes, keep);
                      return b ? z + b : z;
                    },
                .transpose = [=](Value w, Value s) { return Operands{expand(w * reshape(s, wide), x)}; }};
}

/// The sum over an axis of values that were stacked along it is their sum (zennit's `Sum` is exported so).
Value sum_of_stack(Value node, const std::vector<bool>&) {
  const auto axes = axes_of(node.attributes());
  const Value stack = node.input(0);
  if (axes.size() != 1 || !stack.is(kConcat) || stack.attributes().integer("axis", 0) != axes[0]) return {};
  Value sum;
  for (std::size_t i = 0; i < stack.inputs(); ++i) {
    const Value part = stack.input(i);
    if (part.shape()[static_cast<std::size_t>(axes[0])] != 1) return {};
    const Value flat = reshape(part, node.shape());
    sum = sum ? node.builder().add(kAdd, {sum, flat}, {}, node.node().name) : flat;
  }
  return sum;
}

Tensor fold_integers(const NodeView& v) {
  const Tensor& t = v.inputs[0]->constant;
  if (t.dtype() != DType::i64 || v.node.type.shape.elements() != 1) return {};
  const bool extreme = v.node.op == &kReduceMax || v.node.op == &kReduceMin;
  if (extreme && t.elements() == 0) throw Error("nothing has no largest or smallest number");
  std::int64_t value = v.node.op == &kReduceProd ? 1 : 0;
  bool first = true;
  for (std::int64_t e : t.data<std::int64_t>()) {
    if (v.node.op == &kReduceProd)
      value = sizes::product(value, e);
    else if (v.node.op == &kReduceMax)
      value = first ? e : std::max(value, e);
    else if (v.node.op == &kReduceMin)
      value = first ? e : std::min(value, e);
    else
      value = sizes::sum(value, e);
    first = false;
  }
  return Tensor::of(v.node.type.shape, std::span<const std::int64_t>(&value, 1));
}

Value simplify_mean(Builder& g, const NodeView& v) {
  if (v.inputs[0]->op == &kFill) return g.fill(v.node.type.shape, *splat(v, 0));
  if (axes_of(v.node.attributes).empty()) return input_of(g, v, 0);
  return {};
}

Value simplify_sum(Builder& g, const NodeView& v) {
  const auto axes = axes_of(v.node.attributes);
  if (v.inputs[0]->op == &kFill) {
    return g.fill(v.node.type.shape, *splat(v, 0) * static_cast<float>(count(v.shape(0), axes)));
  }
  return axes.empty() ? input_of(g, v, 0) : Value{};
}

/// The gradient goes to the elements that attain the extreme, in equal parts (torch.amax).
std::vector<Value> extreme_derivative(Value n, Value g) {
  const Value x = n.input(0);
  const Value best = kept(n, n);
  const Value below = n.is(kReduceMax) ? step(best - x) : step(x - best);
  const Value hit = 1.0 - below;
  return {masked(hit, kept(n, g) / reduce_sum(hit, axes_of(n.attributes()), true))};
}

}  // namespace

const Operator kReduceSum = {
    .name = "ReduceSum",
    .infer = infer,
    .derivative = [](Value n, Value g) { return std::vector{expand(kept(n, g), n.input(0).shape())}; },
    .linear = linear<false>,
    .simplify = simplify_sum,
    .canonicalize = sum_of_stack,
    .fold = fold_integers,
    .sign = keep_sign,
    .lower = lower<Reduction::sum>,
    .traits = {.kind = Kind::sum, .behaviour = Behaviour::linear}};
const Operator kReduceMean = {
    .name = "ReduceMean",
    .infer = infer,
    .derivative =
        [](Value n, Value g) {
          const double n_in = static_cast<double>(count(n.input(0).shape(), axes_of(n.attributes())));
          return std::vector{expand(kept(n, g) / n_in, n.input(0).shape())};
        },
    .linear = linear<true>,
    .simplify = simplify_mean,
    .sign = keep_sign,
    .lower = lower<Reduction::mean>,
    .traits = {.kind = Kind::average_pool, .behaviour = Behaviour::linear}};
const Operator kReduceMax = {.name = "ReduceMax",
                             .infer = infer,
                             .derivative = extreme_derivative,
                             .fold = fold_integers,
                             .sign = keep_sign,
                             .lower = lower<Reduction::max>,
                             .traits = {.kind = Kind::max_pool, .behaviour = Behaviour::selection}};
const Operator kReduceMin = {.name = "ReduceMin",
                             .infer = infer,
                             .derivative = extreme_derivative,
                             .fold = fold_integers,
                             .sign = keep_sign,
                             .lower = lower<Reduction::min>,
                             .traits = {.behaviour = Behaviour::selection}};
const Operator kReduceProd = {
    .name = "ReduceProd",
    .infer = infer,
    .derivative =
        [](Value n, Value g) {
          const Value x = n.input(0);
          return std::vector{product_shares(x, x, axes_of(n.attributes()), kept(n, g))};
        },
    .fold = fold_integers,
    .lower = lower<Reduction::prod>,
    .traits = {.behaviour = Behaviour::derivative}};

}  // namespace heatproof
