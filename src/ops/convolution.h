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

/// Attribute of a convolution or an adjoint, 1 where rounding may spread over neighbours
/// (Convolutions::bounded_fastest): what it gives is a gradient, or relevance per activation where relevance
/// is a multiple of the activation, or a denominator that is at least the activation. Nobody compares it with
/// zero, and where it is too small to be seen beside its neighbours, so is what it is multiplied by.
inline constexpr const char* kBounded = "bounded";

/// Whether Winograd's transforms serve a node.
bool is_transformed(const Graph& graph, NodeId id, Convolutions convolutions);
/// The convolution that computes an adjoint of windows without strides.
ConvGeometry turned(ConvGeometry g);

/// Elements of weights, and multiply-adds of a run.
struct Work {
  double weights = 0, products = 0;
};
/// Of the transformed convolutions of a graph.
Work transformable(const Graph& graph, Convolutions convolutions = Convolutions::fastest);
/// What their weights take once they are transformed.
std::size_t transformed_bytes(const Work& work);
/// After how many runs that pays: packing transformed weights takes long.
double runs_for_transforms(const Work& work);
inline double runs_for_transforms(const Graph& graph, Convolutions convolutions = Convolutions::fastest) {
  return runs_for_transforms(transformable(graph, convolutions));
}

/// Whether an implementation is one of oneDNN's fast ones: not the reference, and not im2col with a gemm.
bool is_direct(const std::string& implementation);

}  // namespace heatproof::convolution
