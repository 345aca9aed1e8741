#include <gtest/gtest.h>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using Ints = std::vector<std::int64_t>;

TEST(Movement, AdjointsOfWhatOnlyMovesElements) {
  const Shape x{2, 4, 6};
  const std::vector<std::pair<const char*, Build>> builds = {
      {"reshape",
       [](Builder&, const auto& in) {
         return reshape(in[0], {8, 6});
       }},
      {"transpose",
       [](Builder&, const auto& in) {
         return transpose(in[0], {2, 0, 1});
       }},
      {"expand",
       [](Builder&, const auto& in) {
         return expand(reshape(in[0], {2, 1, 4, 6}), {2, 3, 4, 6});
       }},
      {"slice",
       [](Builder& g, const auto& in) {
         return g.add(kSlice, {in[0]},
                      {{"starts", Ints{0, 1, 0}}, {"ends", Ints{2, 4, 6}}, {"steps", Ints{1, 2, 3}}});
       }},
      {"pad",
       [](Builder& g, const auto& in) {
         return g.add(kPad, {in[0]}, {{"pads", Ints{0, 1, 2, 0, 0, 3}}, {"value", 7.0}});
       }},
      {"gather",
       [](Builder& g, const auto& in) {
         return g.add(kGather, {in[0], g.integers({3, 0, 0})}, {{"axis", std::int64_t{1}}});
       }},
      {"sum",
       [](Builder&, const auto& in) {
         return reduce_sum(in[0], {0, 2}, true);
       }},
      {"mean", [](Builder& g, const auto& in) {
         return g.add(kReduceMean, {in[0]}, {{"axes", Ints{1}}, {"keepdims", std::int64_t{0}}});
       }}};
  for (const auto& [name, build] : builds) {
    SCOPED_TRACE(name);
    check_adjoint(build, {x});
  }
}

TEST(Concat, AdjointAlongEveryAxis) {
  for (const std::int64_t axis : {0, 1, 2}) {
    Shape other{2, 3, 4};
    other[static_cast<std::size_t>(axis)] = 5;
    check_adjoint(
        [&](Builder& g, const auto& in) {
          return g.add(kConcat, {in[0], in[1]}, {{"axis", axis}});
        },
        {{2, 3, 4}, other});
  }
}

TEST(Concat, KeepsChannelsTogetherInTheLayoutOfConvolutions) {
  // Two convolutions, joined and convolved: the sum of both halves.
  const Attributes one{{"kernel_shape", Ints{1, 1}}};
  const auto weights = [](Builder& g, std::uint64_t seed, std::int64_t out, std::int64_t in) {
    return g.constant(random_tensor({out, in, 1, 1}, seed));
  };
  for (const std::int64_t width : {16, 24}) {
    const Tensor x = random_tensor({2, 16, 5, 5}, 1);
    const Build joined = [&](Builder& g, const auto& in) {
      const Value a = g.add(kConv, {in[0], weights(g, 2, width, 16)}, one);
      const Value b = g.add(kConv, {in[0], weights(g, 3, 16, 16)}, one);
      return g.add(kConcat, {a, b}, {{"axis", std::int64_t{1}}});
    };
    const Tensor whole = run_graph(joined, {x});
    const Tensor second = run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kConv, {in[0], weights(g, 3, 16, 16)}, one);
        },
        {x});
    const Tensor part = run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kSlice, {joined(g, in)},
                       {{"starts", Ints{0, width, 0, 0}},
                        {"ends", Ints{2, width + 16, 5, 5}},
                        {"steps", Ints{1, 1, 1, 1}}});
        },
        {x});
    EXPECT_EQ(whole.shape(), (Shape{2, width + 16, 5, 5}));
    expect_close(part, second, 1e-4, 1e-4);
  }
}

TEST(Slice, OfTheLayoutOfConvolutionsIsThatOfThePlainOne) {
  const Tensor x = random_tensor({3, 16, 6, 7}, 1);
  const Tensor w = random_tensor({48, 16, 1, 1}, 2);
  const Build convolved = [&](Builder& g, const auto& in) {
    return g.add(kConv, {in[0], g.constant(w)}, {{"kernel_shape", Ints{1, 1}}});
  };
  const Tensor plain = run_graph(convolved, {x});
  struct Case {
    Ints starts, ends, steps;
  };
  for (const auto& [starts, ends, steps] :
       {Case{{0, 16, 0, 0}, {3, 32, 6, 7}, {1, 1, 1, 1}}, Case{{0, 5, 0, 0}, {3, 40, 6, 7}, {1, 1, 1, 1}},
        Case{{1, 0, 2, 1}, {3, 48, 6, 7}, {1, 1, 2, 3}}, Case{{0, 32, 1, 0}, {2, 48, 5, 7}, {1, 1, 1, 2}},
        Case{{0, 1, 0, 0}, {3, 48, 6, 7}, {2, 3, 1, 1}}}) {
    const auto slice = [&](Builder& g, Value v) {
      return g.add(kSlice, {v}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
    };
    expect_close(run_graph([&](Builder& g, const auto& in) { return slice(g, convolved(g, in)); }, {x}),
                 run_graph([&](Builder& g, const auto& in) { return slice(g, in[0]); }, {plain}), 1e-6);
    check_adjoint(
        [&](Builder& g, const auto& in) {
          const Value part = slice(g, convolved(g, in));
          const Tensor back = random_tensor({16, part.shape()[1], 1, 1}, 3);
          return g.add(kConv, {part, g.constant(back)}, {{"kernel_shape", Ints{1, 1}}});
        },
        {x.shape()});
  }
}

TEST(Concat, OfConstantsAndInputs) {
  const Tensor a = random_tensor({2, 40, 3}, 1);
  const Tensor b = random_tensor({2, 50, 3}, 2);
  const auto joined = [&](bool constant_a, bool constant_b) {
    return run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kConcat, {constant_a ? g.constant(a) : in[0], constant_b ? g.constant(b) : in[1]},
                       {{"axis", std::int64_t{1}}}) *
                 1.0000001;
        },
        {a, b});
  };
  const Tensor expected = joined(false, false);
  for (const auto& [first, second] : {std::pair{true, false}, {false, true}, {true, true}})
    expect_close(joined(first, second), expected);
}

TEST(Gather, OfALargeConstant) {
  const Tensor table = random_tensor({30, 20}, 1);
  const Tensor y = run_graph(
      [&](Builder& g, const auto& in) {
        return g.add(kGather, {g.constant(table), g.integers({29, 3})}, {{"axis", std::int64_t{0}}}) + in[0];
      },
      {Tensor::zeros(DType::f32, {2, 20})});
  expect_close(y.rows(0, 1), table.rows(29, 30));
  expect_close(y.rows(1, 2), table.rows(3, 4));
}

TEST(Gather, TakesRowsByIndexAndRefusesThoseThatDoNotExist) {
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kGather, {in[0], g.integers({2, 0})}, {{"axis", std::int64_t{0}}});
      },
      {floats({3, 2}, {1, 2, 3, 4, 5, 6})});
  expect_close(y, floats({2, 2}, {5, 6, 1, 2}));
  Builder g;
  const Value x = g.input("x", {DType::f32, {3, 2}});
  EXPECT_THROW(g.add(kGather, {x, g.integers({3})}, {{"axis", std::int64_t{0}}}), Error);
}

TEST(OneHot, PutsOneAtTheTarget) {
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kOneHot, {in[0]}, {{"depth", std::int64_t{3}}});
      },
      {integers({2}, {2, 0})});
  expect_close(y, floats({2, 3}, {0, 0, 1, 1, 0, 0}));
}

TEST(Softmax, RowsSumToOneAndTheDerivativeIsRight) {
  const Build softmax = [](Builder& g, const auto& in) {
    return g.add(kSoftmax, {in[0]}, {{"axis", std::int64_t{1}}});
  };
  const Tensor y = run_graph(softmax, {floats({1, 3}, {1000, 1000, -1000})});  // no overflow
  expect_close(y, floats({1, 3}, {0.5, 0.5, 0}));
  check_derivative(softmax, {random_tensor({3, 5}, 1)});
  check_derivative(
      [](Builder& g, const auto& in) {
        return g.add(kLogSoftmax, {in[0]}, {{"axis", std::int64_t{1}}});
      },
      {random_tensor({3, 5}, 1)});
}

}  // namespace heatproof
