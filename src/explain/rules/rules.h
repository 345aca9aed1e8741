// Rules of relevance propagation: relevance R at the output of a linear operator → relevance at each of its
// inputs. Every rule is written once, for all linear operators, through their `Linear` view. Symbols as in
// docs/methods.md: a inputs, w weights, b bias, z = Σ a w + b, s = R / stabilize(z).
#pragma once

#include "graph/linear.h"

namespace heatproof::rules {

/// What a bias does in denominators: `keep` lets it absorb its share of relevance (as zennit does), `ignore`
/// leaves it out, which conserves relevance.
enum class Bias { keep, ignore };

struct Options {
  double epsilon = 1e-6;  // stabilizer
  Bias bias = Bias::keep;
  // Where not null: get the relevance that biases and stabilizers absorb, in z's shape.
  Value* absorbed = nullptr;
  Value* stabilized = nullptr;
};

Operands epsilon(const Linear& layer, Value R, const Options& options);
Operands gamma(const Linear& layer, Value R, double gamma, const Options& options);
Operands alpha_beta(const Linear& layer, Value R, double alpha, double beta, const Options& options);
Operands z_plus(const Linear& layer, Value R, const Options& options);
Operands w_square(const Linear& layer, Value R, const Options& options);
Operands flat(const Linear& layer, Value R, const Options& options);
/// low and high: the box, broadcastable to the input.
Operands z_box(const Linear& layer, Value R, Value low, Value high, const Options& options);
Operands deep_taylor(const Linear& layer, Value R, double gamma, const Options& options);

/// Rules of activations: relevance from the relevance (or gradient) R at the output of `node`.
Value pass(Value node, Value R);
Value guided_backprop(Value node, Value R);
Value deconvnet(Value node, Value R);

}  // namespace heatproof::rules
