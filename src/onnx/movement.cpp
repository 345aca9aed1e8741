// Operators that move elements: reshaping, slicing, padding, joining.
#include <fmt/format.h>

#include <algorithm>

#include "base/sizes.h"
#include "heatproof/error.h"
#include "onnx/import.h"
#include "ops/reverse.h"

namespace heatproof {

namespace {

using Values = std::vector<Value>;

/// A network that was written for several rows is tried with one: a leading dimension that holds the batch
/// shrinks. Whether that was right is proven afterwards (Model::specialize).
std::vector<std::int64_t> fit_batch(const Importing& i, std::vector<std::int64_t> target) {
  if (i.batch != i.declared && i.declared > 0 && !target.empty() && target[0] % i.declared == 0)
    target[0] = target[0] / i.declared * i.batch;
  return target;
}

Values reshape_to(const Importing& i) {
  const Value x = i.input(0);
  auto target = i.integers_of(1, "shape");
  const bool keep_zeros = i.integer("allowzero", 0) != 0;
  std::ptrdiff_t open = -1;
  for (std::size_t k = 0; k < target.size(); ++k) {
    if (target[k] == 0 && !keep_zeros) {
      if (k >= x.shape().size()) throw InputError("shape 0 copies an axis that does not exist");
      target[k] = x.shape()[k];
    }
    if (target[k] == -1) {
      if (open >= 0) throw InputError("more than one dimension is -1");
      open = static_cast<std::ptrdiff_t>(k);
    } else if (target[k] < 0) {
      throw InputError(fmt::format("dimension {} is negative", target[k]));
    }
  }
  const std::int64_t elements = x.shape().elements();
  if (open >= 0) {
    if (open > 0 && target[0] == i.declared && !x.shape().empty() && x.shape()[0] == i.batch)
      target = fit_batch(i, target);
    std::int64_t known = 1;
    for (std::size_t k = 0; k < target.size(); ++k)
      known = sizes::product(known, static_cast<std::ptrdiff_t>(k) == open ? 1 : target[k]);
    if (known == 0 || elements % known != 0)
      throw InputError(fmt::format("cannot reshape {} elements to {}", elements, sizes::text(target)));
    target[static_cast<std::size_t>(open)] = elements / known;
  }
  if (sizes::product(target) != elements) target = fit_batch(i, target);
  return {i.add(kReshape, {x}, {{"shape", target}})};
}

Value reshaped(const Importing& i, Shape shape) {
  return i.add(kReshape, {i.input(0)}, {{"shape", std::vector<std::int64_t>(shape)}});
}

Values flatten(const Importing& i) {
  const Shape& x = i.shape(0);
  std::int64_t axis = i.integer("axis", 1);
  if (axis < 0) axis += x.rank();
  if (axis < 0 || axis > x.rank()) throw InputError("axis is out of range");
  std::int64_t outer = 1;
  for (std::int64_t k = 0; k < axis; ++k) outer *= x[static_cast<std::size_t>(k)];
  return {reshaped(i, {outer, outer == 0 ? 0 : x.elements() / outer})};
}

Values squeeze(const Importing& i) {
  const Shape& x = i.shape(0);
  const auto axes = i.axes(i.integers_of(1, "axes"), x.rank());
  Shape y;
  for (int k = 0; k < x.rank(); ++k) {
    const std::int64_t d = x[static_cast<std::size_t>(k)];
    const bool named = std::ranges::count(axes, k) != 0;
    if (named && d != 1) throw InputError(fmt::format("axis {} has length {}, not 1", k, d));
    if (!(axes.empty() ? d == 1 : named)) y.push_back(d);
  }
  return {reshaped(i, y)};
}

Values unsqueeze(const Importing& i) {
  const Shape& x = i.shape(0);
  auto axes = i.integers_of(1, "axes");
  if (x.size() + axes.size() > static_cast<std::size_t>(kMostAxes))
    throw UnsupportedError(fmt::format("{} further axes; at most {} are supported", axes.size(), kMostAxes));
  const int rank = x.rank() + static_cast<int>(axes.size());
  axes = i.axes(axes, rank);
  Shape y;
  auto from = x.begin();
  for (int k = 0; k < rank; ++k) {
    if (std::ranges::count(axes, k) != 0)
      y.push_back(1);
    else if (from != x.end())
      y.push_back(*from++);
  }
  if (from != x.end()) throw InputError("axes are repeated");
  return {reshaped(i, y)};
}

Values transposed(const Importing& i) {
  std::vector<std::int64_t> reversed;
  for (int k = i.shape(0).rank(); k-- > 0;) reversed.push_back(k);
  return {i.add(kTranspose, {i.input(0)}, {{"perm", i.integers("perm", reversed)}})};
}

Value sliced(const Importing& i, Value x, std::vector<std::int64_t> starts, std::vector<std::int64_t> ends,
             std::vector<std::int64_t> steps) {
  return x.builder().add(
      kSlice, {x}, {{"starts", std::move(starts)}, {"ends", std::move(ends)}, {"steps", std::move(steps)}},
      i.name());
}

/// One axis of a slice: with a negative step, from the last element that it takes, to be reversed.
struct Cut {
  std::int64_t start, end, step;
  bool reversed;
};

/// first:last:step of an axis of n, as Python reads it; empty where end <= start.
Cut cut_of(std::int64_t first, std::int64_t last, std::int64_t step, std::int64_t n) {
  if (step == 0) throw InputError("Slice with step 0");
  const auto clamp = [n](std::int64_t v, std::int64_t least, std::int64_t most) {
    return std::clamp<std::int64_t>(v < 0 ? v + n : v, least, most);
  };
  // Steps may be as large as the type allows.
  if (step > 0)
    return {clamp(first, 0, n), clamp(last, 0, n), std::min(step, std::max<std::int64_t>(n, 1)), false};
  const std::int64_t back = step < -n ? std::max<std::int64_t>(n, 1) : -step;
  const std::int64_t from = clamp(first, -1, n - 1);
  const std::int64_t to = clamp(last, -1, n - 1);  // not taken
  if (from <= to) return {0, 0, 1, false};
  return {from - (from - to - 1) / back * back, from + 1, back, true};
}

/// An empty slice: shape arithmetic joins it with others; as data it would be no network's.
Value nothing(Value x, const std::vector<std::int64_t>& starts, const std::vector<std::int64_t>& ends,
              const std::vector<std::int64_t>& steps) {
  if (!x.is(kConstant) || x.dtype() != DType::i64) throw UnsupportedError("Slice with an empty result");
  Shape shape;
  for (std::size_t a = 0; a < starts.size(); ++a)
    shape.push_back(std::max<std::int64_t>(0, (ends[a] - starts[a] + steps[a] - 1) / steps[a]));
  return x.builder().constant(Tensor::zeros(DType::i64, shape));
}

Values slice(const Importing& i) {
  const Value x = i.input(0);
  const Shape& shape = x.shape();
  const auto first = i.integers_of(1, "starts");
  const auto last = i.integers_of(2, "ends");
  auto axes = i.integers_of(3, "axes");
  auto strides = i.has(4) ? i.constant_integers(4) : std::vector<std::int64_t>(first.size(), 1);
  if (axes.empty()) {
    for (std::size_t k = 0; k < first.size(); ++k) axes.push_back(static_cast<std::int64_t>(k));
  }
  if (last.size() != first.size() || axes.size() != first.size() || strides.size() != first.size())
    throw InputError("starts, ends, axes and steps differ in length");
  axes = i.axes(axes, shape.rank());
  std::vector<std::int64_t> starts(shape.size(), 0);
  std::vector<std::int64_t> ends(shape.begin(), shape.end());
  std::vector<std::int64_t> steps(shape.size(), 1);
  std::vector<std::int64_t> reversed;
  bool empty = false;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(axes[k]);
    const Cut cut = cut_of(first[k], last[k], strides[k], shape[axis]);
    empty |= cut.start >= cut.end;
    starts[axis] = cut.start;
    ends[axis] = cut.end;
    steps[axis] = cut.step;
    if (cut.reversed && std::ranges::count(reversed, axes[k]) == 0) reversed.push_back(axes[k]);
  }
  if (empty) return {nothing(x, starts, ends, steps)};
  const Value part = sliced(i, x, starts, ends, steps);
  if (reversed.empty()) return {part};
  return {i.add(kReverse, {part}, {{"axes", reversed}})};
}

Values split(const Importing& i) {
  const Value x = i.input(0);
  const auto axis = static_cast<std::size_t>(i.axis(i.integer("axis", 0), x.shape().rank()));
  auto lengths = i.integers_of(1, "split");
  const int parts = i.node.output_size();
  if (parts < 1 || i.integer("num_outputs", parts) != parts)
    throw InputError(fmt::format("num_outputs does not fit {} outputs", parts));
  if (lengths.empty()) {
    const std::int64_t chunk = sizes::quotient_up(x.shape()[axis], parts);
    std::int64_t rest = x.shape()[axis];
    for (int k = 0; k < parts; ++k) {
      lengths.push_back(std::min(chunk, rest));
      rest -= lengths.back();
    }
  }
  if (static_cast<int>(lengths.size()) != parts ||
      std::ranges::any_of(lengths, [](auto n) { return n < 1; }) || sizes::sum(lengths) != x.shape()[axis])
    throw InputError(fmt::format("{} outputs of lengths {} do not make up an axis of {}", parts,
                                 sizes::text(lengths), x.shape()[axis]));
  Values results;
  std::vector<std::int64_t> starts(x.shape().size(), 0);
  std::vector<std::int64_t> ends(x.shape().begin(), x.shape().end());
  const std::vector<std::int64_t> steps(x.shape().size(), 1);
  for (std::int64_t length : lengths) {
    ends[axis] = starts[axis] + length;
    results.push_back(sliced(i, x, starts, ends, steps));
    starts[axis] = ends[axis];
  }
  return results;
}

/// `before` and `after` further positions along an axis, which repeat what is there: mirrored without the
/// border itself (reflect), the border (edge), or from the other end (wrap).
Value repeated(const Importing& i, Value x, std::size_t axis, std::int64_t before, std::int64_t after,
               const std::string& mode) {
  const std::int64_t n = x.shape()[axis];
  const std::int64_t most = mode == "reflect" ? n - 1 : mode == "wrap" ? n : INT64_MAX;
  if (before < 0 || after < 0)
    throw UnsupportedError(fmt::format("Pad with mode '{}' and negative pads", mode));
  if (before > most || after > most || (n < 1 && (before > 0 || after > 0)))
    throw InputError(
        fmt::format("cannot pad an axis of {} by {} and {} with mode '{}'", n, before, after, mode));
  const auto part = [&](std::int64_t start, std::int64_t size) {
    std::vector<std::int64_t> starts(x.shape().size(), 0);
    std::vector<std::int64_t> ends(x.shape().begin(), x.shape().end());
    starts[axis] = start;
    ends[axis] = start + size;
    return sliced(i, x, starts, ends, std::vector<std::int64_t>(starts.size(), 1));
  };
  const auto side = [&](std::int64_t size, bool first) -> Value {
    if (mode == "wrap") return part(first ? n - size : 0, size);
    if (mode == "edge") {
      Shape wide = x.shape();
      wide[axis] = size;
      return expand(part(first ? 0 : n - 1, 1), wide);
    }
    return x.builder().add(kReverse, {part(first ? 1 : n - 1 - size, size)},
                           {{"axes", std::vector<std::int64_t>{static_cast<std::int64_t>(axis)}}});
  };
  Values parts;
  if (before > 0) parts.push_back(side(before, true));
  parts.push_back(x);
  if (after > 0) parts.push_back(side(after, false));
  return parts.size() == 1 ? x : i.add(kConcat, parts, {{"axis", static_cast<std::int64_t>(axis)}});
}

Values pad(const Importing& i) {
  const Value x = i.input(0);
  const std::string mode = i.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    throw UnsupportedError(fmt::format("Pad with mode '{}'", mode));
  auto pads = i.integers_of(1, "pads");
  const double value = i.has(2) ? i.constant_number(2) : i.number("value", 0);
  const auto rank = x.shape().size();
  if (i.has(3)) {
    const auto axes = i.axes(i.constant_integers(3), x.shape().rank());
    if (pads.size() != 2 * axes.size()) throw InputError("pads does not have two numbers per axis");
    std::vector<std::int64_t> full(2 * rank, 0);
    for (std::size_t k = 0; k < axes.size(); ++k) {
      full[static_cast<std::size_t>(axes[k])] = pads.at(k);
      full[static_cast<std::size_t>(axes[k]) + rank] = pads.at(k + axes.size());
    }
    pads = full;
  }
  if (pads.size() != 2 * rank) throw InputError("pads needs two numbers per axis");
  if (std::ranges::any_of(pads, [](auto n) { return n < 0; }))
    throw UnsupportedError("Pad with negative sizes; crop with Slice instead");
  if (mode == "constant") return {i.add(kPad, {x}, {{"pads", pads}, {"value", value}})};
  Value wide = x;
  for (std::size_t a = 0; a < rank; ++a) wide = repeated(i, wide, a, pads[a], pads[a + rank], mode);
  return {wide};
}

Values concat(const Importing& i) {
  Values parts;
  for (std::size_t k = 0; k < i.inputs.size(); ++k) {
    if (i.shape(k).elements() != 0 || i.inputs.size() == 1) parts.push_back(i.input(k));
  }
  if (parts.empty()) throw InputError("nothing to join");
  const std::int64_t axis = i.axis(i.required_integer("axis"), parts[0].shape().rank());
  return {i.add(kConcat, parts, {{"axis", axis}})};
}

Values expand_to(const Importing& i) {
  auto wanted = i.constant_integers(1);
  if (!wanted.empty() && wanted[0] == i.declared) wanted = fit_batch(i, wanted);
  const Shape target = broadcast(i.shape(0), Shape(std::span<const std::int64_t>(wanted)));
  return {i.add(kExpand, {i.input(0)}, {{"shape", std::vector<std::int64_t>(target)}})};
}

Values gather(const Importing& i) {
  const std::int64_t axis = i.axis(i.integer("axis", 0), i.shape(0).rank());
  return {i.add(kGather, {i.input(0), i.input(1)}, {{"axis", axis}})};
}

Values depth_to_space(const Importing& i) {
  const Shape& x = i.shape(0);
  const std::int64_t b = i.required_integer("blocksize");
  if (x.rank() != 4 || b < 1 || x[1] % sizes::product(b, b) != 0)
    throw InputError(fmt::format("blocksize {} does not fit an input of shape {}", b, to_string(x)));
  const std::int64_t c = x[1] / (b * b);
  const bool crd = i.word("mode", {"DCR", "CRD"}) == "CRD";
  const Value split_axes =
      reshape(i.input(0), crd ? Shape{x[0], c, b, b, x[2], x[3]} : Shape{x[0], b, b, c, x[2], x[3]});
  const Value moved = transpose(split_axes, crd ? std::vector<std::int64_t>{0, 1, 4, 2, 5, 3}
                                                : std::vector<std::int64_t>{0, 3, 4, 1, 5, 2});
  return {i.add(
      kReshape, {moved},
      {{"shape", std::vector<std::int64_t>{x[0], c, sizes::product(x[2], b), sizes::product(x[3], b)}}})};
}

Values space_to_depth(const Importing& i) {
  const Shape x = i.shape(0);
  const std::int64_t b = i.required_integer("blocksize");
  i.word("mode", {"DCR"});
  if (x.rank() != 4 || b < 1 || x[2] % b != 0 || x[3] % b != 0)
    throw InputError(fmt::format("blocksize {} does not fit an input of shape {}", b, to_string(x)));
  const Value parts = reshape(i.input(0), {x[0], x[1], x[2] / b, b, x[3] / b, b});
  const Value moved = transpose(parts, {0, 3, 5, 1, 2, 4});
  return {i.add(kReshape, {moved},
                {{"shape", std::vector<std::int64_t>{x[0], sizes::product(x[1], sizes::product(b, b)),
                                                     x[2] / b, x[3] / b}}})};
}

/// `n` copies along an axis, joined, or, where that would be a node of very many operands, broadcast.
Value copies(const Importing& i, Value x, std::size_t axis, std::int64_t n) {
  constexpr std::int64_t kMostJoined = 1024;
  const Shape shape = x.shape();
  if (n <= kMostJoined || (x.is(kConstant) && x.dtype() != DType::f32)) {
    const std::vector<Value> all(static_cast<std::size_t>(n), x);
    return i.add(kConcat, all, {{"axis", static_cast<std::int64_t>(axis)}});
  }
  Shape apart = shape;
  apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  Shape repeated = apart;
  repeated[axis] = n;
  Shape joined = shape;
  joined[axis] = sizes::product(joined[axis], n);
  return i.add(kReshape, {expand(reshape(x, apart), repeated)},
               {{"shape", std::vector<std::int64_t>(joined)}});
}

Values tile(const Importing& i) {
  Value x = i.input(0);
  const auto repeats = i.constant_integers(1);
  if (static_cast<int>(repeats.size()) != x.shape().rank())
    throw InputError("repeats needs one number per axis");
  for (std::size_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis] < 1 || repeats[axis] > 100'000)
      throw UnsupportedError(fmt::format("{} repetitions", repeats[axis]));
    if (repeats[axis] == 1) continue;
    x = copies(i, x, axis, repeats[axis]);
  }
  return {x};
}

}  // namespace

void add_movement_importers(ImporterTable& t) {
  t["Reshape"] = reshape_to;
  t["Flatten"] = flatten;
  t["Squeeze"] = squeeze;
  t["Unsqueeze"] = unsqueeze;
  t["Transpose"] = transposed;
  t["Slice"] = slice;
  t["Split"] = split;
  t["Pad"] = pad;
  t["Concat"] = concat;
  t["Expand"] = expand_to;
  t["Gather"] = gather;
  t["DepthToSpace"] = depth_to_space;
  t["SpaceToDepth"] = space_to_depth;
  t["Tile"] = tile;
}

}  // namespace heatproof
