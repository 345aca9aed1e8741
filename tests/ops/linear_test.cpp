#include <gtest/gtest.h>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

TEST(Linear, ByHand) {
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kLinear, {in[0], g.constant(floats({2, 3}, {1, 2, 3, -1, 0, 1})),
                               g.constant(floats({2}, {10, 20}))});
      },
      {floats({1, 3}, {1, 1, 2})});
  expect_close(y, floats({1, 2}, {19, 21}));
}

TEST(Linear, Adjoint) {
  for (const std::int64_t batch : {1, 5}) {
    check_adjoint(
        [](Builder& g, const auto& in) {
          return g.add(kLinear,
                       {in[0], g.constant(random_tensor({7, 33}, 2)), g.constant(random_tensor({7}, 3))});
        },
        {{batch, 33}});
  }
}

TEST(Linear, WeightsAndTheirTransposeAreNotMixedUp) {
  // Square, so that only the values tell them apart.
  for (const std::int64_t n : {5, 64}) {
    const Tensor w = random_tensor({n, n}, 1);
    Tensor turned = Tensor::empty(DType::f32, {n, n});
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t k = 0; k < n; ++k)
        turned.data<float>()[static_cast<std::size_t>(i * n + k)] =
            w.data<float>()[static_cast<std::size_t>(k * n + i)];
    }
    const Tensor x = random_tensor({3, n}, 2);
    const auto apply = [&](const std::vector<std::pair<Tensor, bool>>& layers) {
      return run_graph(
          [&](Builder& g, const auto& in) {
            Value sum;
            for (const auto& [weights, turn] : layers) {
              const Value c = g.constant(weights);
              const Value y = g.add(kLinear, {in[0], turn ? transpose(c, {1, 0}) : c});
              sum = sum ? sum + y * 2.0 : y;
            }
            return sum;
          },
          {x});
    };
    const Tensor expected = apply({{w, false}, {turned, false}});
    for (int again = 0; again < 2; ++again)
      expect_close(apply({{w, false}, {w, true}}), expected, 1e-4, 1e-4);
    expect_close(apply({{turned, true}, {turned, false}}), expected, 1e-4, 1e-4);
  }
}

TEST(Linear, ShapesThatDoNotFitAreAnError) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {2, 3}});
  EXPECT_THROW(g.add(kLinear, {x, g.constant(random_tensor({4, 5}, 1))}), Error);
}

TEST(MatMul, ByHandAndBroadcast) {
  const Tensor a = floats({2, 2}, {1, 2, 3, 4});
  const Build product = [](Builder& g, const auto& in) { return g.add(kMatMul, {in[0], in[1]}); };
  expect_close(run_graph(product, {a, floats({2, 1}, {1, -1})}), floats({2, 1}, {-1, -1}));
  const Tensor y = run_graph(product, {random_tensor({3, 1, 4, 5}, 1), random_tensor({2, 5, 6}, 2)});
  EXPECT_EQ(y.shape(), (Shape{3, 2, 4, 6}));
}

TEST(MatMul, DerivativeOfBothOperands) {
  const Build product = [](Builder& g, const auto& in) { return g.add(kMatMul, {in[0], in[1]}); };
  check_derivative(product, {random_tensor({3, 4}, 1), random_tensor({4, 5}, 2)});
  check_derivative(product, {random_tensor({2, 3, 4}, 1), random_tensor({4, 5}, 2)});
  check_derivative(product, {random_tensor({1, 3, 4}, 1), random_tensor({6, 4, 5}, 2)});
}

TEST(BatchNormalization, AdjointAndValue) {
  const Build norm = [](Builder& g, const auto& in) {
    const auto c = [&](std::initializer_list<float> v) {
      return g.constant(floats({2}, std::vector<float>(v)));
    };
    return g.add(kBatchNormalization, {in[0], c({2, 3}), c({1, -1})});
  };
  // Mean and variance are part of scale and shift since import: x · scale + shift.
  expect_close(run_graph(norm, {floats({1, 2, 1}, {2.5, 1})}), floats({1, 2, 1}, {6, 2}));
  check_adjoint(norm, {{2, 2, 3, 3}});
}

}  // namespace heatproof
