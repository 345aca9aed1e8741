// Tests of operators: build a small graph, run it, compare it with a reference, and check its derivative.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "graph/builder.h"
#include "heatproof/tensor.h"

namespace heatproof::testing {

/// Emits the value under test from the inputs of a graph.
using Build = std::function<Value(Builder&, const std::vector<Value>&)>;

/// Uniform numbers in [low, high); equal seeds give equal tensors.
Tensor random_tensor(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1);
Tensor integers(const Shape& shape, const std::vector<std::int64_t>& values);
Tensor floats(const Shape& shape, const std::vector<float>& values);

/// Compiles and runs build(inputs).
Tensor run_graph(const Build& build, const std::vector<Tensor>& inputs);

/// Every element within `relative`·|expected| + `absolute`; equal shapes, equal infinities; NaN fails.
void expect_close(const Tensor& actual, const Tensor& expected, double relative = 1e-5,
                  double absolute = 1e-6);
/// Equal shapes, types and bytes.
void expect_equal(const Tensor& actual, const Tensor& expected);

/// Sum of elementwise products, in double.
double dot(const Tensor& a, const Tensor& b);

/// For affine values: ⟨f(v) − f(0), u⟩ = ⟨v, Jᵀu⟩ for random v, u of the inputs' shapes.
void check_adjoint(const Build& build, const std::vector<Shape>& shapes, double tolerance = 1e-4);
/// Compares the derivative at `inputs` with central differences along random directions.
void check_derivative(const Build& build, const std::vector<Tensor>& inputs, double tolerance = 2e-3,
                      double width = 1e-2);
/// The derivative itself: Jᵀu for the first input, with u = 1.
Tensor derivative_of(const Build& build, const std::vector<Tensor>& inputs);

/// A graph input of its own builder, with a known sign where `sign` is given: |x|, −|x| or x.
Value with_sign(Builder& g, const Shape& shape, Sign sign);

}  // namespace heatproof::testing
