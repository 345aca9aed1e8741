// Operators computed by their definitions, in double and by plain loops: what graphs are compared with.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fuzz/number.h"
#include "graph/operator.h"

namespace heatproof::fuzz {

struct Array {
  Shape shape;
  std::vector<Number> numbers;

  Array() = default;
  explicit Array(Shape s) : shape(std::move(s)), numbers(static_cast<std::size_t>(shape.elements())) {}
  Number& at(std::int64_t i) { return numbers[static_cast<std::size_t>(i)]; }
  const Number& at(std::int64_t i) const { return numbers[static_cast<std::size_t>(i)]; }
  std::int64_t size() const { return static_cast<std::int64_t>(numbers.size()); }
};

using Index = std::vector<std::int64_t>;

/// Calls f(index, position) for every element, row-major.
void for_each(const Shape& shape, const std::function<void(const Index&, std::int64_t)>& f);
/// The position of an index in a row-major array.
std::int64_t position(const Shape& shape, const Index& index);

/// The result of an operator. Inputs that are absent have no numbers.
Array evaluate(const Operator& op, std::span<const Array> inputs, const Attributes& attributes);
/// Operators that `evaluate` knows, of one operand and of two.
std::span<const Operator* const> functions();
std::span<const Operator* const> pairs();

// reference_windows.cpp
Array convolve(std::span<const Array> in, const Attributes& a);
Array convolve_transposed(std::span<const Array> in, const Attributes& a);
Array pool(const Array& x, const Attributes& a, bool maximum);
// reference_movement.cpp; an empty array for other operators.
Array move(const Operator& op, std::span<const Array> in, const Attributes& a);

}  // namespace heatproof::fuzz
