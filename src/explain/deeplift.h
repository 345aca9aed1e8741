// DeepLIFT as a graph.
#pragma once

#include "explain/recipe.h"

namespace heatproof {

/// (x − x₀) times multipliers that are the derivative but for what is not linear: there they are the change
/// of the output over the change of the input, from the baseline x₀ to x (Shrikumar et al. 2017, the rescale
/// rule; Ancona et al. 2018). Sums to f(x) − f(x₀): products and quotients of two values share by the mean of
/// both orders, and a maximum hands on its own change. Where an input does not change, the derivative at x
/// serves, as in captum.
Value deeplift(const MethodInputs& in, const Parameters& p);

}  // namespace heatproof
