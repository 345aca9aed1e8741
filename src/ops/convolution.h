// What Conv and its adjoint ConvTranspose share: checks, algebra, and how they settle on a layout with
// oneDNN.
#pragma once

#include <string>

#include "engine/lowering.h"
#include "graph/operator.h"
#include "ops/conv_geometry.h"

namespace heatproof::convolution {

/// Throw Error when the bias is not one number per output channel, or the axes of input and weights differ.
void check_bias(const NodeView& v, std::int64_t channels);
void check_ranks(const NodeView& v);

/// Zero input or zero weights leave only the bias.
Value simplify(Builder& g, const NodeView& v);
Sign sign(const NodeView& v);
/// Throws UnsupportedError when a derivative with respect to the weights would be needed.
void require_constant_weights(Value node);

/// oneDNN keeps groups as an axis of their own: (group, output / group, input / group, kernel...).
Shape grouped(const Shape& weights, std::int64_t group);
/// y: the result of the convolution (for its adjoint: the operand).
double multiply_adds(const Shape& y, const Shape& weights);

/// Elements of weights, and multiply-adds of a run.
struct Work {
  double weights = 0, products = 0;
};
/// Of the convolutions of a graph that `Convolutions::fastest` computes otherwise.
Work transformable(const Graph& graph);
/// What their weights take once they are transformed.
std::size_t transformed_bytes(const Work& work);
/// After how many runs that pays: packing transformed weights takes long.
double runs_for_transforms(const Work& work);
inline double runs_for_transforms(const Graph& graph) { return runs_for_transforms(transformable(graph)); }

/// Whether an implementation is one of oneDNN's fast ones: not the reference, and not im2col with a gemm.
bool is_direct(const std::string& implementation);

}  // namespace heatproof::convolution
