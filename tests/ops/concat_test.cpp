// Concatenations whose parts are read where they are: by normalization, and after rewriting by convolutions
// and pooling.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
const Attributes kAxis{{"axis", std::int64_t{1}}};

Value pointwise(Builder& g, Value x, std::int64_t channels, std::uint64_t seed) {
  return g.add(kConv, {x, g.constant(random_tensor({channels, x.shape()[1], 1, 1}, seed))},
               {{"kernel_shape", Ints{1, 1}}});
}

struct Ran {
  Tensor y;
  std::int64_t copies = 0;  // steps that only join or cut
};

Ran run(const std::vector<Tensor>& inputs, const Build& build) {
  Builder g;
  std::vector<Value> values;
  for (const Tensor& t : inputs) values.push_back(g.input("", {t.dtype(), t.shape()}));
  g.output("y", build(g, values));
  std::vector<StepTime> steps;
  Ran ran{Workspace(compile(g.build())).run(inputs, steps)[0]};
  ran.copies =
      std::ranges::count_if(steps, [](const StepTime& s) { return s.name == "Concat" || s.name == "Slice"; });
  return ran;
}

/// The same on a concatenation that is an input.
Tensor of_joined(const std::vector<Tensor>& parts, const Build& build) {
  const Tensor joined = run(parts, [](Builder& g, const auto& in) { return g.add(kConcat, in, kAxis); }).y;
  return run({joined}, build).y;
}

}  // namespace

TEST(Concat, NormalizationReadsThePartsInEveryLayout) {
  const auto normalized = [](Builder& g, Value x, bool relu) {
    const std::int64_t c = x.shape()[1];
    const Value y =
        g.add(kBatchNormalization, {x, g.constant(random_tensor({c}, 3)), g.constant(random_tensor({c}, 4))});
    return relu ? g.add(kRelu, {y}) : y;
  };
  for (const std::int64_t channels : {16, 24, 5}) {
    const std::vector<Tensor> parts{random_tensor({2, 16, 6, 7}, 1), random_tensor({2, channels, 6, 7}, 2)};
    for (const bool relu : {false, true}) {
      // Plain, and in the layout of convolutions.
      for (const bool conv : {false, true}) {
        const auto part = [&](Builder& g, Value x, std::uint64_t seed) {
          return conv ? pointwise(g, x, x.shape()[1], seed) : x;
        };
        const Ran joined = run(parts, [&](Builder& g, const auto& in) {
          return normalized(g, g.add(kConcat, {part(g, in[0], 5), part(g, in[1], 6)}, kAxis), relu);
        });
        std::vector<Tensor> separate;
        for (std::size_t i = 0; i < 2; ++i)
          separate.push_back(
              run({parts[i]}, [&](Builder& g, const auto& in) { return part(g, in[0], 5 + i); }).y);
        const Tensor expected = of_joined(separate, [&](Builder& g, const auto& in) {
          // Written out, so that it is another kernel.
          const std::int64_t c = in[0].shape()[1];
          const Value y = in[0] * g.constant(random_tensor({c}, 3).reshaped({1, c, 1, 1})) +
                          g.constant(random_tensor({c}, 4).reshaped({1, c, 1, 1}));
          return relu ? g.add(kRelu, {y}) : y;
        });
        expect_close(joined.y, expected, 1e-5, 1e-5);
        EXPECT_EQ(joined.copies, 0);
      }
    }
  }
}

TEST(Concat, ConvolutionsAddTheirParts) {
  const std::vector<Tensor> parts{random_tensor({2, 64, 9, 9}, 1), random_tensor({2, 32, 9, 9}, 2)};
  for (const bool pooled : {false, true}) {
    for (const std::int64_t kernel : {1, 3}) {
      const auto layers = [&](Builder& g, Value x) {
        if (pooled)
          x = g.add(kMaxPool, {x},
                    {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{0, 0, 1, 1}}});
        return g.add(kRelu, {g.add(kConv,
                                   {x, g.constant(random_tensor({16, 96, kernel, kernel}, 3)),
                                    g.constant(random_tensor({16}, 4))},
                                   {{"kernel_shape", Ints{kernel, kernel}}, {"strides", Ints{2, 2}}})});
      };
      const Ran joined =
          run(parts, [&](Builder& g, const auto& in) { return layers(g, g.add(kConcat, in, kAxis)); });
      expect_close(joined.y, of_joined(parts, [&](Builder& g, const auto& in) { return layers(g, in[0]); }),
                   1e-4, 1e-4);
      EXPECT_EQ(joined.copies, 0);
    }
  }
}

TEST(Concat, SlicesThatTheUserNamedStay) {
  Builder g;
  const Value a = g.input("a", {DType::f32, {1, 4, 2, 2}});
  const Value joined = g.add(kConcat, {a, a * 2.0}, kAxis, "joined");
  const Attributes slice{
      {"starts", Ints{0, 0, 0, 0}}, {"ends", Ints{1, 4, 2, 2}}, {"steps", Ints{1, 1, 1, 1}}};
  EXPECT_TRUE(g.add(kSlice, {joined}, slice, "mine").is(kSlice));
  EXPECT_EQ(g.add(kSlice, {g.add(kConcat, {a, a * 3.0}, kAxis)}, slice), a);
}

TEST(Concat, IsCopiedWhereThatIsLessWorkOrAnotherReadsIt) {
  const std::vector<Tensor> parts{random_tensor({1, 64, 6, 6}, 1), random_tensor({1, 64, 6, 6}, 2)};
  const Ran wide =
      run(parts, [](Builder& g, const auto& in) { return pointwise(g, g.add(kConcat, in, kAxis), 256, 3); });
  EXPECT_EQ(wide.copies, 1);
  const Ran twice = run(parts, [](Builder& g, const auto& in) {
    const Value joined = g.add(kConcat, in, kAxis);
    const Attributes window{{"kernel_shape", Ints{1, 1}}};
    return g.add(kMaxPool, {joined}, window) + g.add(kAveragePool, {joined}, window);
  });
  EXPECT_EQ(twice.copies, 1);
}

TEST(Concat, WhatIsTakenApartAgainIsDoneWithTheParts) {
  const std::vector<Tensor> inputs{random_tensor({2, 16, 6, 6}, 1), random_tensor({2, 48, 6, 6}, 2),
                                   random_tensor({2, 8, 6, 6}, 3)};
  const auto product = [](Builder& g, const std::vector<Value>& in) {
    return g.add(kConcat, {in[0], in[1]}, kAxis) * pointwise(g, in[2], 64, 4);
  };
  const Tensor whole = run(inputs, product).y;
  for (const bool second : {false, true}) {
    const Attributes slice{{"starts", Ints{0, second ? 16 : 0, 0, 0}},
                           {"ends", Ints{2, second ? 64 : 16, 6, 6}},
                           {"steps", Ints{1, 1, 1, 1}}};
    const Ran part =
        run(inputs, [&](Builder& g, const auto& in) { return g.add(kSlice, {product(g, in)}, slice); });
    EXPECT_EQ(part.copies, 0);
    expect_close(part.y,
                 run({whole}, [&](Builder& g, const auto& in) { return g.add(kSlice, {in[0]}, slice); }).y,
                 1e-5, 1e-5);
  }
}

}  // namespace heatproof
