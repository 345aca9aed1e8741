// Shared by the files of elementwise operators.
#pragma once

#include "base/simd.h"
#include "graph/operator.h"
#include "ops/operators.h"

namespace heatproof {

/// Result of numpy broadcasting; f32.
Type infer_broadcast(const NodeView& v);
/// Same type as the input.
Type infer_same(const NodeView& v);

/// Computes a small f32 node at build time with its own tile; undefined for larger ones, which the engine
/// folds.
Tensor fold_elementwise(const NodeView& v);
/// The value of an input that repeats one number (Fill, or a constant with one element).
std::optional<float> splat(const NodeView& v, std::size_t i);
std::optional<float> splat(const Node& node);
/// GELU, when `product` is the formula written out: 0.5 · x · (1 + erf(x / √2)) or its tanh approximation,
/// factors in any order; an invalid Value otherwise.
Value recognise_gelu(Value product);
/// Repeated values need not be laid out where the other operand of two is as large as the result; invalid
/// where that is not so.
Value without_expand(Builder& g, const NodeView& v);
/// Of products and quotients.
Sign sign_of_product(const NodeView& v);
/// Whether a node is a product: Mul or Masked.
inline bool is_product(Value v) { return v.is(kMul) || v.is(kMasked); }
/// A unary operator on a Fill is a Fill.
Value simplify_unary(Builder& g, const NodeView& v);

inline Value input_of(Builder& g, const NodeView& v, std::size_t i) { return {&g, v.node.inputs[i]}; }

inline bool is_non_negative(Sign s) { return s == Sign::non_negative || s == Sign::zero; }
inline bool is_non_positive(Sign s) { return s == Sign::non_positive || s == Sign::zero; }
inline Sign keep_sign(const NodeView& v) { return v.inputs[0]->sign; }
inline Sign always_non_negative(const NodeView&) { return Sign::non_negative; }

}  // namespace heatproof
