// Operators that move elements, by their definitions.
#include "fuzz/reference.h"
#include "fuzz/support.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

namespace {

Shape shape_of(const Attributes& a) { return Shape(a.integers("shape")); }

Array transposed(const Array& x, const Index& perm) {
  Shape shape;
  for (std::int64_t axis : perm) shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  Array y(shape);
  for_each(shape, [&](const Index& at, std::int64_t i) {
    Index from(at.size());
    for (std::size_t k = 0; k < at.size(); ++k) from[static_cast<std::size_t>(perm[k])] = at[k];
    y.at(i) = x.at(position(x.shape, from));
  });
  return y;
}

Array expanded(const Array& x, const Shape& shape) {
  Array y(shape);
  for_each(shape, [&](const Index& at, std::int64_t i) {
    Index from(at.end() - x.shape.rank(), at.end());
    for (std::size_t k = 0; k < from.size(); ++k) from[k] = x.shape[k] == 1 ? 0 : from[k];
    y.at(i) = x.at(position(x.shape, from));
  });
  return y;
}

Array concatenated(std::span<const Array> in, std::size_t axis) {
  Shape shape = in[0].shape;
  for (std::size_t i = 1; i < in.size(); ++i) shape[axis] += in[i].shape[axis];
  Array y(shape);
  std::int64_t shift = 0;
  for (const Array& part : in) {
    for_each(part.shape, [&](Index at, std::int64_t i) {
      at[axis] += shift;
      y.at(position(shape, at)) = part.at(i);
    });
    shift += part.shape[axis];
  }
  return y;
}

Array sliced(const Array& x, const Attributes& a) {
  const Index starts = a.integers("starts");
  const Index ends = a.integers("ends");
  const Index steps = a.integers("steps");
  Shape shape;
  for (std::size_t i = 0; i < starts.size(); ++i)
    shape.push_back((ends[i] - starts[i] + steps[i] - 1) / steps[i]);
  Array y(shape);
  for_each(shape, [&](Index at, std::int64_t i) {
    for (std::size_t k = 0; k < at.size(); ++k) at[k] = starts[k] + at[k] * steps[k];
    y.at(i) = x.at(position(x.shape, at));
  });
  return y;
}

/// Puts x into `shape`, filled with `value`.
Array placed(const Array& x, const Shape& shape, const Index& starts, const Index& steps, double value) {
  Array y(shape);
  for (Number& n : y.numbers) n = {value, 0};
  for_each(x.shape, [&](Index at, std::int64_t i) {
    for (std::size_t k = 0; k < at.size(); ++k) at[k] = starts[k] + at[k] * steps[k];
    y.at(position(shape, at)) = x.at(i);
  });
  return y;
}

Array padded(const Array& x, const Attributes& a) {
  const Index pads = a.integers("pads");
  Shape shape = x.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] += pads[i] + pads[i + shape.size()];
  return placed(x, shape, pads, Index(shape.size(), 1), a.number("value", 0));
}

Array gathered(const Array& x, const Array& indices, std::size_t axis) {
  Shape shape(x.shape.begin(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape.end());
  Array y(shape);
  const auto rank = static_cast<std::ptrdiff_t>(indices.shape.size());
  for_each(shape, [&](const Index& at, std::int64_t i) {
    const auto begin = at.begin() + static_cast<std::ptrdiff_t>(axis);
    auto picked =
        static_cast<std::int64_t>(indices.at(position(indices.shape, Index(begin, begin + rank))).value);
    if (picked < 0) picked += x.shape[axis];
    Index from(at.begin(), begin);
    from.push_back(picked);
    from.insert(from.end(), begin + rank, at.end());
    y.at(i) = x.at(position(x.shape, from));
  });
  return y;
}

}  // namespace

Array move(const Operator& op, std::span<const Array> in, const Attributes& a) {
  const auto axis = static_cast<std::size_t>(a.has("axis") ? a.integer("axis", 0) : 0);
  if (&op == &kReshape) {
    Array y = in[0];
    y.shape = shape_of(a);
    return y;
  }
  if (&op == &kTranspose) return transposed(in[0], a.integers("perm"));
  if (&op == &kExpand) return expanded(in[0], shape_of(a));
  if (&op == &kConcat) return concatenated(in, axis);
  if (&op == &kSlice) return sliced(in[0], a);
  if (&op == &kUnslice) return placed(in[0], shape_of(a), a.integers("starts"), a.integers("steps"), 0);
  if (&op == &kPad) return padded(in[0], a);
  if (&op == &kGather) return gathered(in[0], in[1], axis);
  fail("no definition of " + std::string(op.name));
}

}  // namespace heatproof::fuzz
