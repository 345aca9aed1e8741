#include <gtest/gtest.h>

#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Build over(std::vector<std::int64_t> axes, std::int64_t keep) {
  return [=](Builder& g, const auto& in) {
    return g.add(kReduceProd, {in[0]}, {{"axes", axes}, {"keepdims", keep}});
  };
}

}  // namespace

TEST(ReduceProd, Derivatives) {
  check_derivative(over({1}, 1), {random_tensor({3, 7}, 1, 0.5, 1.5)});
  check_derivative(over({0, 2}, 0), {random_tensor({3, 2, 3}, 2, 0.5, 1.5)});
  check_derivative(over({1}, 0), {random_tensor({3, 1}, 3)});
}

TEST(ReduceProd, DerivativesWhereFactorsAreZero) {
  const Tensor x = floats({3, 3}, {2, 0, 5, 0, 0, 3, 1, 2, 4});
  expect_close(derivative_of(over({1}, 1), {x}), floats({3, 3}, {0, 10, 0, 0, 0, 0, 8, 4, 2}));
}

}  // namespace heatproof
