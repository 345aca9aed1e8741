// Small networks of tests whose explanations are known in closed form.
#pragma once

#include "explain/network.h"

namespace heatproof::testing {

/// y = W x + b for inputs of shape [N, shape...]; weights [classes, elements].
Network linear_network(const Shape& shape, const Tensor& weights, const Tensor& bias);
/// relu(W x + b) → v: one hidden layer over inputs [N, shape...].
Network relu_network(const Shape& shape, const Tensor& weights, const Tensor& bias, const Tensor& second);

/// Relevance of one recipe for class `target` of every input.
Tensor explain_with(const Network& network, const std::string& recipe, const Tensor& inputs,
                    std::int64_t target = 0);
/// Σ of relevance of sample n, in double.
double sum_of_row(const Tensor& t, std::int64_t n);

}  // namespace heatproof::testing
