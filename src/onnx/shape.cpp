// Shape arithmetic and constants: known once the input size is fixed, so that nothing of it reaches the
// graph.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "heatproof/error.h"
#include "onnx/import.h"
#include "onnx/weights.h"
#include "ops/broadcast_offset.h"

namespace heatproof {

namespace {

using Values = std::vector<Value>;

Values shape(const Importing& i) {
  const Shape& x = i.shape(0);
  const auto clamp = [&](std::int64_t v) {
    return std::clamp<std::int64_t>(v < 0 ? v + x.rank() : v, 0, x.rank());
  };
  const std::int64_t start = clamp(i.integer("start", 0));
  const std::int64_t end = clamp(i.integer("end", x.rank()));
  return {i.g.integers({x.begin() + start, x.begin() + std::max(start, end)})};
}

Values constant(const Importing& i) {
  const auto scalar = [&](auto value) { return Tensor::of(Shape{}, std::span(&value, 1)); };
  for (const auto& each : i.node.attribute()) {
    const auto& a = *i.attribute(each.name());
    if (a.name() == "value") return {i.g.constant(read_tensor(a.t()), i.name())};
    if (a.name() == "value_float") return {i.g.constant(Tensor::scalar(a.f()))};
    if (a.name() == "value_int") return {i.g.constant(scalar(std::int64_t{a.i()}))};
    if (a.name() == "value_ints") return {i.g.integers({a.ints().begin(), a.ints().end()})};
    if (a.name() == "value_floats") {
      const std::vector<float> values(a.floats().begin(), a.floats().end());
      return {i.g.constant(
          Tensor::of({static_cast<std::int64_t>(values.size())}, std::span<const float>(values)))};
    }
  }
  throw UnsupportedError("a constant that is neither numbers nor integers");
}

Values constant_of_shape(const Importing& i) {
  const Shape shape(std::span<const std::int64_t>(i.constant_integers(0)));
  const auto* a = i.attribute("value");
  const Tensor value = a != nullptr ? read_tensor(a->t()) : Tensor::scalar(0);
  if (value.elements() != 1) throw InputError("attribute value must hold one element");
  if (value.dtype() == DType::f32) return {i.g.fill(shape, value.data<float>()[0])};
  Tensor t = i.g.computed(value.dtype(), shape);
  for (std::int64_t k = 0; k < t.elements(); ++k) {
    if (value.dtype() == DType::i64)
      t.data<std::int64_t>()[static_cast<std::size_t>(k)] = value.data<std::int64_t>()[0];
    else
      static_cast<std::uint8_t*>(t.raw())[k] = *static_cast<const std::uint8_t*>(value.raw());
  }
  return {i.g.constant(t)};
}

Values range(const Importing& i) {
  constexpr double kLongest = 1e7;
  if (i.input(0).dtype() == DType::f32) {
    const double a = i.constant_number(0);
    const double step = i.constant_number(2);
    const double n = std::ceil((i.constant_number(1) - a) / step);
    if (!(n >= 0 && n < kLongest)) throw InputError("range is empty or too long");
    Tensor t = i.g.computed(DType::f32, {static_cast<std::int64_t>(n)});
    for (std::size_t k = 0; k < t.data<float>().size(); ++k)
      t.data<float>()[k] = static_cast<float>(a + step * static_cast<double>(k));
    return {i.g.constant(t)};
  }
  const std::int64_t a = i.constant_integer(0);
  const std::int64_t b = i.constant_integer(1);
  const std::int64_t step = i.constant_integer(2);
  if (step == 0) throw InputError("range with step 0");
  const double n = std::ceil((static_cast<double>(b) - static_cast<double>(a)) / static_cast<double>(step));
  if (n > kLongest) throw InputError("range is too long");
  // Numbers that are too large for a double are not: they are counted.
  std::vector<std::int64_t> values;
  for (std::int64_t v = a; step > 0 ? v < b : v > b;) {
    values.push_back(v);
    if (__builtin_add_overflow(v, step, &v)) break;
  }
  Tensor t = i.g.computed(DType::i64, {static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, t.data<std::int64_t>().begin());
  return {i.g.constant(t)};
}

/// The elements of a constant that is broadcast to a shape.
class Elements {
 public:
  Elements(Tensor t, const Shape& shape) : t_(std::move(t)), at_(t_.shape(), shape) {}
  /// Element k of the shape, as a number.
  double operator()(std::int64_t k) const {
    const std::size_t n = at_(k);
    if (t_.dtype() == DType::f32) return static_cast<double>(t_.data<float>()[n]);
    if (t_.dtype() == DType::i64) return static_cast<double>(t_.data<std::int64_t>()[n]);
    return static_cast<const std::uint8_t*>(t_.raw())[n];
  }

 private:
  Tensor t_;
  BroadcastOffset at_;
};

/// Comparisons and logic on constants only.
Importer logic(bool (*f)(double, double)) {
  return [f](const Importing& i) {
    const Tensor a = i.constant(0);
    const Tensor b = i.has(1) ? i.constant(1) : a;
    const Shape shape = broadcast(a.shape(), b.shape());
    const Elements left(a, shape);
    const Elements right(b, shape);
    Tensor y = i.g.computed(DType::boolean, shape);
    for (std::int64_t k = 0; k < y.elements(); ++k)
      static_cast<std::uint8_t*>(y.raw())[k] = f(left(k), right(k));
    return Values{i.g.constant(y)};
  };
}

/// A function of numbers that is also one of integers, if these are constants.
Importer of_integers_too(const Importer& of_numbers, std::int64_t (*f)(std::int64_t)) {
  return [of_numbers, f](const Importing& i) -> Values {
    if (i.input(0).dtype() != DType::i64) return of_numbers(i);
    const Tensor x = i.constant(0);
    Tensor y = i.g.computed(DType::i64, x.shape());
    std::ranges::transform(x.data<std::int64_t>(), y.data<std::int64_t>().begin(), f);
    return {i.g.constant(y)};
  };
}

/// Remainders of constants: with the sign of the divisor, or with fmod = 1 of the dividend.
Values mod(const Importing& i) {
  const Tensor a = i.constant(0);
  const Tensor b = i.constant(1);
  const bool of_dividend = i.integer("fmod", 0) != 0;
  if (a.dtype() != b.dtype() || a.dtype() == DType::boolean)
    throw InputError("needs two numbers of one type");
  const Shape shape = broadcast(a.shape(), b.shape());
  const BroadcastOffset from_a(a.shape(), shape);
  const BroadcastOffset from_b(b.shape(), shape);
  Tensor y = i.g.computed(a.dtype(), shape);
  for (std::int64_t k = 0; k < shape.elements(); ++k) {
    const auto n = static_cast<std::size_t>(k);
    if (a.dtype() == DType::f32) {
      const double q = b.data<float>()[from_b(k)];
      double r = std::fmod(static_cast<double>(a.data<float>()[from_a(k)]), q);
      if (!of_dividend && r != 0 && (r < 0) != (q < 0)) r += q;
      y.data<float>()[n] = static_cast<float>(r);
      continue;
    }
    const std::int64_t q = b.data<std::int64_t>()[from_b(k)];
    if (q == 0) throw InputError("divides by zero");
    std::int64_t r =
        q == -1 ? 0 : a.data<std::int64_t>()[from_a(k)] % q;  // the smallest number by -1 overflows
    if (!of_dividend && r != 0 && (r < 0) != (q < 0)) r += q;
    y.data<std::int64_t>()[n] = r;
  }
  return {i.g.constant(y)};
}

/// A choice: all of one side, between constants, or, element by element, by a mask. The condition is known at
/// import, unless it has been computed as a mask of zeros and ones.
Values where(const Importing& i) {
  const Value computed = i.input(0);
  if (computed.dtype() == DType::f32 && !computed.constant() && i.input(1).dtype() == DType::f32 &&
      i.input(2).dtype() == DType::f32)
    return {i.add(kSelect, {computed, i.input(1), i.input(2)})};
  const Tensor condition = i.constant(0);
  if (condition.dtype() != DType::boolean) throw InputError("the condition must be truth values");
  const Shape shape = broadcast(condition.shape(), broadcast(i.shape(1), i.shape(2)));
  const auto* bits = static_cast<const std::uint8_t*>(condition.raw());
  const bool all = std::all_of(bits, bits + condition.elements(), [](std::uint8_t b) { return b != 0; });
  const bool none = std::none_of(bits, bits + condition.elements(), [](std::uint8_t b) { return b != 0; });
  if (all || none) return {expand(i.input(all ? 1 : 2), shape)};
  if (i.input(1).dtype() != i.input(2).dtype()) throw InputError("a choice between values of two types");
  if (i.input(1).dtype() == DType::f32) {
    Tensor mask = i.g.computed(DType::f32, condition.shape());
    for (std::int64_t k = 0; k < mask.elements(); ++k)
      mask.data<float>()[static_cast<std::size_t>(k)] = bits[k] != 0;
    return {i.add(kSelect, {i.g.constant(mask), i.input(1), i.input(2)})};
  }
  const Tensor a = i.constant(1);
  const Tensor b = i.constant(2);
  const std::size_t size = size_of(a.dtype());
  const Elements chosen(condition, shape);
  const BroadcastOffset from_a(a.shape(), shape);
  const BroadcastOffset from_b(b.shape(), shape);
  Tensor y = i.g.computed(a.dtype(), shape);
  for (std::int64_t k = 0; k < y.elements(); ++k) {
    const bool first = chosen(k) != 0;
    const auto* from = static_cast<const char*>((first ? a : b).raw());
    const std::size_t at = first ? from_a(k) : from_b(k);
    std::memcpy(static_cast<char*>(y.raw()) + static_cast<std::size_t>(k) * size, from + at * size, size);
  }
  return {i.g.constant(y)};
}

}  // namespace

void add_shape_importers(ImporterTable& t) {
  t["Shape"] = shape;
  t["Size"] = [](const Importing& i) {
    const std::int64_t n = i.shape(0).elements();
    return Values{i.g.constant(Tensor::of(Shape{}, std::span(&n, 1)))};
  };
  t["Constant"] = constant;
  t["ConstantOfShape"] = constant_of_shape;
  t["Range"] = range;
  t["Equal"] = logic([](double a, double b) { return a == b; });
  t["Greater"] = logic([](double a, double b) { return a > b; });
  t["GreaterOrEqual"] = logic([](double a, double b) { return a >= b; });
  t["Less"] = logic([](double a, double b) { return a < b; });
  t["LessOrEqual"] = logic([](double a, double b) { return a <= b; });
  t["And"] = logic([](double a, double b) { return a != 0 && b != 0; });
  t["Or"] = logic([](double a, double b) { return a != 0 || b != 0; });
  t["Not"] = logic([](double a, double) { return a == 0; });
  // The smallest integer has no opposite.
  t["Neg"] = of_integers_too(t["Neg"], [](std::int64_t v) { return v == INT64_MIN ? v : -v; });
  t["Abs"] = of_integers_too(t["Abs"], [](std::int64_t v) { return v < 0 && v != INT64_MIN ? -v : v; });
  t["Sign"] = of_integers_too(t["Sign"], [](std::int64_t v) -> std::int64_t { return (v > 0) - (v < 0); });
  t["Mod"] = mod;
  t["Where"] = where;
}

}  // namespace heatproof
