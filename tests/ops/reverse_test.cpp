#include "ops/reverse.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Value reverse(Value x, std::vector<std::int64_t> axes) {
  return x.builder().add(kReverse, {x}, {{"axes", std::move(axes)}});
}

}  // namespace

TEST(Reverse, TurnsTheOrderAlongAxes) {
  const Tensor x = random_tensor({2, 3, 4, 5}, 1);
  for (const auto& axes :
       std::vector<std::vector<std::int64_t>>{{0}, {1}, {3}, {2, 3}, {0, 1, 2, 3}, {1, 3}}) {
    const Tensor y = run_graph([&](Builder&, const auto& in) { return reverse(in[0], axes); }, {x});
    const auto strides = x.shape().strides();
    for (std::int64_t k = 0; k < x.elements(); ++k) {
      std::int64_t from = 0;
      for (std::size_t a = 0; a < 4; ++a) {
        const std::int64_t i = k / strides[a] % x.shape()[a];
        const bool turned = std::ranges::count(axes, static_cast<std::int64_t>(a)) != 0;
        from += (turned ? x.shape()[a] - 1 - i : i) * strides[a];
      }
      ASSERT_EQ(y.data<float>()[static_cast<std::size_t>(k)],
                x.data<float>()[static_cast<std::size_t>(from)]);
    }
    check_adjoint([&](Builder&, const auto& in) { return reverse(in[0], axes); }, {x.shape()});
  }
}

TEST(Reverse, OfMapsInTheLayoutOfAConvolution) {
  const Tensor x = random_tensor({1, 3, 6, 6}, 1);
  const Tensor w = random_tensor({16, 3, 3, 3}, 2);
  const auto conv = [&](Builder& g, Value v) { return g.add(kConv, {v, g.constant(w)}); };
  const Tensor plain = run_graph([&](Builder& g, const auto& in) { return conv(g, in[0]); }, {x});
  const Tensor turned = run_graph(
      [&](Builder& g, const auto& in) {
        return reverse(conv(g, in[0]), {1, 2, 3});
      },
      {x});
  for (std::size_t k = 0; k < plain.data<float>().size(); ++k)
    ASSERT_EQ(turned.data<float>()[k], plain.data<float>()[plain.data<float>().size() - 1 - k]);
}

TEST(Reverse, TwiceIsNothing) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {2, 3}});
  EXPECT_EQ(reverse(reverse(x, {1}), {1}).id(), x.id());
  const Value one = g.input("one", {DType::f32, {1, 3}});
  EXPECT_EQ(reverse(one, {0}).id(), one.id());
}

TEST(Reverse, FoldsConstantsOfAnyType) {
  Builder g;
  const Value y = reverse(g.integers({1, 2, 3}), {0});
  ASSERT_TRUE(y.is(kConstant));
  expect_equal(y.node().constant, integers({3}, {3, 2, 1}));
}

}  // namespace heatproof
