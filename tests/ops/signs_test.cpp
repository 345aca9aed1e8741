// What the builder takes for granted of signs must hold, whatever slopes and bounds a network has.
#include <gtest/gtest.h>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof::testing {

namespace {

/// max(op(−|x|), 0): zero by construction if op(−|x|) was said to be non-positive.
Tensor positive_part(const Operator& op, const Attributes& attributes, const Tensor& x) {
  return run_graph(
      [&](Builder& g, const std::vector<Value>& in) {
        return positive(g.add(op, {-abs(in[0])}, attributes, "the user's"));
      },
      {x});
}

}  // namespace

TEST(Signs, OfNegativeSlopes) {
  const Tensor x = floats({3}, {1, -2, 0.5F});
  expect_close(positive_part(kLeakyRelu, {{"alpha", -0.5}}, x), floats({3}, {0.5F, 1, 0.25F}));
  expect_close(positive_part(kElu, {{"alpha", -1.0}}, x), floats({3}, {0.6321206F, 0.8646647F, 0.3934693F}));
  expect_close(positive_part(kSelu, {{"alpha", 1.0}, {"gamma", -2.0}}, x),
               floats({3}, {1.2642411F, 1.7293294F, 0.7869387F}));
}

TEST(Signs, OfPositiveSlopesAreStillKnown) {
  Builder g;
  const Value x = with_sign(g, {3}, Sign::non_positive);
  EXPECT_EQ(g.add(kLeakyRelu, {x}).sign(), Sign::non_positive);
  EXPECT_EQ(g.add(kElu, {x}).sign(), Sign::non_positive);
  EXPECT_EQ(g.add(kSelu, {x}).sign(), Sign::non_positive);
  EXPECT_EQ(g.add(kClip, {x}, {{"min", 0.0}, {"max", 6.0}}).sign(), Sign::non_negative);
}

TEST(Signs, OfBoundsThatCross) {
  const Tensor y = run_graph(
      [](Builder& g, const std::vector<Value>& in) {
        return abs(g.add(kClip, {in[0]}, {{"min", 0.0}, {"max", -0.5}}));
      },
      {floats({2}, {3, -3})});
  expect_close(y, floats({2}, {0.5F, 0.5F}));
}

TEST(Signs, OfPaddedZeros) {
  const Tensor y = run_graph(
      [](Builder& g, const std::vector<Value>& in) {
        const Attributes pads{{"pads", std::vector<std::int64_t>{1, 0}}, {"value", 2.0}};
        return in[0] * g.add(kPad, {g.fill({1}, 0)}, pads);
      },
      {floats({2}, {3, 5})});
  expect_close(y, floats({2}, {6, 0}));
}

}  // namespace heatproof::testing
