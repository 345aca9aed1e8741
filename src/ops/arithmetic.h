// Arithmetic on Values (and on Operands, all at once), so that rules read like their formulas.
//
//   Value s = R / stabilize(layer.output, 1e-6);
//   return layer.a * layer.transpose(layer.w, s);
#pragma once

#include "graph/builder.h"
#include "graph/linear.h"

namespace heatproof {

Value operator+(Value a, Value b);
Value operator-(Value a, Value b);
Value operator*(Value a, Value b);
Value operator/(Value a, Value b);
Value operator-(Value a);
Value operator+(Value a, double b);
Value operator-(Value a, double b);
Value operator*(Value a, double b);
Value operator*(double a, Value b);
Value operator-(double a, Value b);
Value operator+(double a, Value b);
Value operator/(Value a, double b);

/// a · b and a / b of derivatives and relevance: 0 where a (or b, of a product) is 0, even where the other is
/// infinite.
Value masked(Value a, Value b);
Value masked_quotient(Value a, Value b);
/// a where the condition is not zero, b elsewhere.
Value select(Value condition, Value a, Value b);

/// max(x, 0) and min(x, 0); x itself or zero where the sign is known.
Value positive(Value x);
Value negative(Value x);
Value abs(Value x);
/// 1 where x > 0, else 0.
Value step(Value x);
/// x + epsilon·sign(x), with sign(0) = +1 (zennit's stabilizer).
Value stabilize(Value x, double epsilon);
Value zeros_like(Value x);
Value ones_like(Value x);

Value reshape(Value x, Shape shape);
Value transpose(Value x, std::vector<std::int64_t> perm);
Value expand(Value x, Shape shape);
/// Sum over `axes`.
Value reduce_sum(Value x, std::vector<std::int64_t> axes, bool keepdims);
/// Sum over the axes along which `x` was broadcast, so that the result has `shape`: the adjoint of
/// broadcasting.
Value sum_to(Value x, const Shape& shape);

/// Relevance from inputs and what the transposed operator gives: zero wins (`masked`).
Operands operator*(const Operands& a, const Operands& b);
Operands operator*(const Operands& a, Value b);
Operands operator+(const Operands& a, const Operands& b);
Operands operator-(const Operands& a, const Operands& b);
Operands positive(const Operands& a);
Operands negative(const Operands& a);
Operands zeros_like(const Operands& a);
Operands ones_like(const Operands& a);

}  // namespace heatproof
