// The vocabulary of graphs: every operator, one declaration each; the file that defines it is named in the
// comment. Attributes are ONNX's unless a comment says otherwise; what ONNX passes as a constant input
// (shapes, axes, pads) is an attribute here, normalised: axes are non-negative, shapes complete.
#pragma once

#include <span>
#include <string_view>

#include "graph/operator.h"

namespace heatproof {

// binary.cpp: elementwise with numpy broadcasting. f32; Add, Sub, Mul, Div, Max, Min also fold i64.
extern const Operator kAdd, kSub, kMul, kDiv, kPow, kMax, kMin;
// masked.cpp: Masked(a, b) = a · b, but 0 where a or b is 0; MaskedDiv(a, b) = a / b, but 0 where a is 0,
// whatever the other is: products and quotients of derivatives and relevance.
extern const Operator kMasked, kMaskedDiv;
// select.cpp: Select(c, a, b) = a where c is not 0, b elsewhere; c is f32, as comparisons give it.
extern const Operator kSelect;
// activations.cpp: Clip has attributes min, max (doubles); HardSigmoid, Elu, LeakyRelu, Celu, Selu,
// ThresholdedRelu ONNX's attributes; Gelu has attribute approximate ("none", "tanh").
extern const Operator kRelu, kLeakyRelu, kElu, kSelu, kCelu, kSigmoid, kHardSigmoid, kHardSwish, kTanh,
    kSoftplus, kSoftsign, kGelu, kSilu, kMish, kClip;
// unary.cpp: Step(x) = 1 where x > 0, else 0. Positive and Negative are max(x, 0) and min(x, 0) for rules (no
// activation). Stabilize(x; epsilon) = x + epsilon where x >= 0, x - epsilon elsewhere.
extern const Operator kNeg, kAbs, kSign, kExp, kLog, kSqrt, kReciprocal, kErf, kFloor, kCeil, kRound, kSin,
    kCos, kStep, kPositive, kNegative, kStabilize;

// conv.cpp: inputs x, w, b?; attributes strides, dilations, pads (begin..., end...), group; auto_pad is
// resolved by the importer. ConvTranspose also has output_padding. Same weight layout for both: the transpose
// of Conv(x, w) is ConvTranspose(s, w).
extern const Operator kConv, kConvTranspose;
// linear.cpp: Linear(x, w, b?): y[..., m] = Σ_k x[..., k] w[m, k] + b[m].
extern const Operator kLinear;
// matmul.cpp: numpy's matmul of two variable (or any) operands of rank >= 2 (equal leading axes or
// broadcast).
extern const Operator kMatMul;
// batch_normalization.cpp: BatchNormalization(x, scale, shift): x * scale[c] + shift[c], statistics already
// folded in.
extern const Operator kBatchNormalization;
// average_pool.cpp: kernel_shape, strides, pads, dilations?, count_include_pad, and output_shape (i64 list:
// the spatial size, which settles ceil_mode). AveragePoolTranspose(s) has the same attributes and input_shape
// (spatial).
extern const Operator kAveragePool, kAveragePoolTranspose;
// max_pool.cpp: kernel_shape, strides, pads, dilations, output_shape as above. MaxPoolGradient(x, gradient)
// routes each value to the first maximum of its window.
extern const Operator kMaxPool, kMaxPoolGradient;

// reduce.cpp: attributes axes, keepdims (0 or 1).
extern const Operator kReduceSum, kReduceMean, kReduceMax, kReduceMin, kReduceProd;
// softmax.cpp: axis. (ONNX opset < 13 flattens; the importer resolves it.)
extern const Operator kSoftmax, kLogSoftmax;
// log_sum_exp.cpp: LogSumExp(x; axis), which is kept with length 1.
extern const Operator kLogSumExp;
// one_hot.cpp: OneHot(indices i64 [N]; attribute depth) : f32 [N, depth].
extern const Operator kOneHot;

// Movement of data: reshape.cpp (attribute shape), transpose.cpp (perm), expand.cpp (shape), concat.cpp
// (axis), slice.cpp: Slice has starts, ends, steps for every axis (0 <= start < end <= size, step >= 1;
// negative steps: attribute reversed axes are the importer's to refuse). Unslice(x; shape, starts, steps)
// puts x into zeros: Slice's adjoint.
extern const Operator kReshape, kTranspose, kExpand, kConcat, kSlice, kUnslice;
// pad.cpp: Pad has pads (begin..., end... for every axis; >= 0) and value.
extern const Operator kPad;
// gather.cpp: Gather(x, constant indices i64; axis).
extern const Operator kGather;
// window.cpp: GatherWindow(x [S, C, ...], places i64 [R, P]; at, size, steps?, outside?) : [R, C, size...].
// Row r of places: slot along axis 0 (ignored when S = 1), and from column `at` the first position along each
// spatial axis; positions outside of x read as `outside`. ScatterWindow(x, windows [R, C, ...], places; at,
// own?): x with the windows put in (own = 1: window r into slot r); into a State in place, for good.
extern const Operator kGatherWindow, kScatterWindow;

/// Every operator, by name; nullptr where there is none.
const Operator* find_operator(std::string_view name);
std::span<const Operator* const> all_operators();

}  // namespace heatproof
