#include <array>

#include "ops/operators.h"
#include "ops/reverse.h"

namespace heatproof {

namespace {

/// One line per operator.
constexpr std::array kOperators = {
    &kInput,         &kConstant,
    &kFill,          &kAdd,
    &kSub,           &kMul,
    &kDiv,           &kPow,
    &kMax,           &kMin,
    &kMasked,        &kMaskedDiv,
    &kSelect,        &kRelu,
    &kLeakyRelu,     &kElu,
    &kSelu,          &kCelu,
    &kSigmoid,       &kHardSigmoid,
    &kHardSwish,     &kTanh,
    &kSoftplus,      &kSoftsign,
    &kGelu,          &kSilu,
    &kMish,          &kClip,
    &kNeg,           &kAbs,
    &kSign,          &kExp,
    &kLog,           &kSqrt,
    &kReciprocal,    &kErf,
    &kFloor,         &kCeil,
    &kRound,         &kSin,
    &kCos,           &kStep,
    &kPositive,      &kNegative,
    &kStabilize,     &kConv,
    &kConvTranspose, &kLinear,
    &kMatMul,        &kBatchNormalization,
    &kAveragePool,   &kAveragePoolTranspose,
    &kMaxPool,       &kMaxPoolGradient,
    &kReduceSum,     &kReduceMean,
    &kReduceMax,     &kReduceMin,
    &kReduceProd,    &kSoftmax,
    &kLogSoftmax,    &kLogSumExp,
    &kOneHot,        &kReshape,
    &kTranspose,     &kExpand,
    &kConcat,        &kSlice,
    &kUnslice,       &kReverse,
    &kPad,           &kGather,
    &kState,         &kGatherWindow,
    &kScatterWindow,
};

}  // namespace

const Operator* find_operator(std::string_view name) {
  for (const Operator* op : kOperators) {
    if (op->name == name) return op;
  }
  return nullptr;
}

std::span<const Operator* const> all_operators() { return kOperators; }

}  // namespace heatproof
