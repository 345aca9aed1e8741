#include "ops/arithmetic.h"

#include "ops/operators.h"

namespace heatproof {

namespace {
Value scalar(Value like, double value) { return like.builder().fill({}, static_cast<float>(value)); }

template <typename F>
Operands each(const Operands& a, F f) {
  Operands result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(f(i));
  return result;
}
}  // namespace

Value operator+(Value a, Value b) { return a.builder().add(kAdd, {a, b}); }
Value operator-(Value a, Value b) { return a.builder().add(kSub, {a, b}); }
Value operator*(Value a, Value b) { return a.builder().add(kMul, {a, b}); }
Value operator/(Value a, Value b) { return a.builder().add(kDiv, {a, b}); }
Value operator-(Value a) { return a.builder().add(kNeg, {a}); }
Value operator+(Value a, double b) { return a + scalar(a, b); }
Value operator-(Value a, double b) { return a - scalar(a, b); }
Value operator*(Value a, double b) { return a * scalar(a, b); }
Value operator*(double a, Value b) { return b * a; }
Value operator-(double a, Value b) { return scalar(b, a) - b; }
Value operator+(double a, Value b) { return b + a; }
Value operator/(Value a, double b) { return a / scalar(a, b); }

Value masked(Value a, Value b) { return a.builder().add(kMasked, {a, b}); }
Value masked_quotient(Value a, Value b) { return a.builder().add(kMaskedDiv, {a, b}); }
Value select(Value condition, Value a, Value b) { return a.builder().add(kSelect, {condition, a, b}); }

Value positive(Value x) { return x.builder().add(kPositive, {x}); }
Value negative(Value x) { return x.builder().add(kNegative, {x}); }
Value abs(Value x) { return x.builder().add(kAbs, {x}); }
Value step(Value x) { return x.builder().add(kStep, {x}); }

Value stabilize(Value x, double epsilon) { return x.builder().add(kStabilize, {x}, {{"epsilon", epsilon}}); }

Value zeros_like(Value x) { return x.builder().fill(x.shape(), 0); }
Value ones_like(Value x) { return x.builder().fill(x.shape(), 1); }

Value reshape(Value x, Shape shape) {
  return x.builder().add(kReshape, {x}, {{"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}});
}
Value transpose(Value x, std::vector<std::int64_t> perm) {
  return x.builder().add(kTranspose, {x}, {{"perm", std::move(perm)}});
}
Value expand(Value x, Shape shape) {
  return x.builder().add(kExpand, {x}, {{"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}});
}
Value reduce_sum(Value x, std::vector<std::int64_t> axes, bool keepdims) {
  return x.builder().add(kReduceSum, {x}, {{"axes", std::move(axes)}, {"keepdims", std::int64_t{keepdims}}});
}

Value sum_to(Value x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const std::size_t extra = x.shape().size() - shape.size();
  std::vector<std::int64_t> axes;
  for (std::size_t i = 0; i < x.shape().size(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1))
      axes.push_back(static_cast<std::int64_t>(i));
  }
  return reshape(axes.empty() ? x : reduce_sum(x, axes, true), shape);
}

Operands operator*(const Operands& a, const Operands& b) {
  return each(a, [&](std::size_t i) { return masked(a[i], b[i]); });
}
Operands operator*(const Operands& a, Value b) {
  return each(a, [&](std::size_t i) { return a[i] * b; });
}
Operands operator+(const Operands& a, const Operands& b) {
  return each(a, [&](std::size_t i) { return a[i] + b[i]; });
}
Operands operator-(const Operands& a, const Operands& b) {
  return each(a, [&](std::size_t i) { return a[i] - b[i]; });
}
Operands positive(const Operands& a) {
  return each(a, [&](std::size_t i) { return positive(a[i]); });
}
Operands negative(const Operands& a) {
  return each(a, [&](std::size_t i) { return negative(a[i]); });
}
Operands zeros_like(const Operands& a) {
  return each(a, [&](std::size_t i) { return zeros_like(a[i]); });
}
Operands ones_like(const Operands& a) {
  return each(a, [&](std::size_t i) { return ones_like(a[i]); });
}

}  // namespace heatproof
