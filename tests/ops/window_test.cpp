#include <gtest/gtest.h>

#include "engine/program.h"
#include "engine/states.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// A convolution before brings a value into the layout that convolutions like.
Value in_conv_layout(Builder& g, Value x) {
  const std::int64_t c = x.shape()[1];
  Tensor identity = Tensor::zeros(DType::f32, {c, c, 1, 1});
  for (std::int64_t i = 0; i < c; ++i) identity.data<float>()[static_cast<std::size_t>(i * c + i)] = 1;
  return g.add(kConv, {x, g.constant(identity)}, {{"kernel_shape", Ints{1, 1}}});
}

float at(const Tensor& t, std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) {
  const Shape& s = t.shape();
  return t.data<float>()[static_cast<std::size_t>(((n * s[1] + c) * s[2] + y) * s[3] + x)];
}

}  // namespace

TEST(GatherWindow, AgreesWithItsDefinitionInEveryLayout) {
  const Tensor places = integers({3, 4}, {1, 9, -1, 2, 0, 9, 4, 5, 1, 9, 6, -2});
  for (const std::int64_t channels : {1, 3, 16, 20, 32}) {
    const Tensor x = random_tensor({2, channels, 7, 6}, 3);
    for (const bool conv : {false, true}) {
      for (const std::int64_t step : {1, 2}) {
        const Tensor y = run_graph(
            [&](Builder& g, const auto& in) {
              return g.add(kGatherWindow, {conv ? in_conv_layout(g, in[0]) : in[0], in[1]},
                           {{"at", std::int64_t{2}},
                            {"size", Ints{3, 4}},
                            {"steps", Ints{step, 1}},
                            {"outside", 7.0}});
            },
            {x, places});
        Tensor expected = Tensor::filled({3, channels, 3, 4}, 7);
        auto to = expected.data<float>().begin();
        for (std::int64_t r = 0; r < 3; ++r) {
          const auto row = places.data<std::int64_t>().subspan(static_cast<std::size_t>(4 * r));
          for (std::int64_t c = 0; c < channels; ++c) {
            for (std::int64_t i = 0; i < 3; ++i) {
              for (std::int64_t j = 0; j < 4; ++j, ++to) {
                const std::int64_t h = row[2] + i * step;
                const std::int64_t w = row[3] + j;
                if (h >= 0 && h < 7 && w >= 0 && w < 6) *to = at(x, row[0], c, h, w);
              }
            }
          }
        }
        expect_close(y, expected, 1e-6);
      }
    }
  }
}

TEST(GatherWindow, TakesSignalsAndVolumes) {
  const Tensor signal = floats({1, 1, 5}, {1, 2, 3, 4, 5});
  const auto cut = [](Ints size) {
    return [=](Builder& g, const std::vector<Value>& in) {
      return g.add(kGatherWindow, {in[0], in[1]}, {{"size", size}});
    };
  };
  expect_equal(run_graph(cut({3}), {signal, integers({2, 2}, {0, -1, 0, 3})}),
               floats({2, 1, 3}, {0, 1, 2, 4, 5, 0}));
  const Tensor volume = floats({1, 1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  expect_equal(run_graph(cut({1, 2, 1}), {volume, integers({1, 4}, {0, 1, 0, 1})}),
               floats({1, 1, 1, 2, 1}, {6, 8}));
}

TEST(ScatterWindow, PutsWindowsInAndDropsWhatLiesOutside) {
  for (const std::int64_t channels : {1, 16, 20}) {
    const Tensor x = random_tensor({2, channels, 5, 5}, 1);
    const Tensor windows = random_tensor({2, channels, 2, 3}, 2);
    const Tensor places = integers({2, 3}, {1, 4, -1, 0, 1, 3});
    for (const bool conv : {false, true}) {
      const Tensor y = run_graph(
          [&](Builder& g, const auto& in) {
            return g.add(kScatterWindow, {conv ? in_conv_layout(g, in[0]) : in[0], in[1], in[2]});
          },
          {x, windows, places});
      Tensor expected = x.clone();
      for (std::int64_t r = 0; r < 2; ++r) {
        const auto row = places.data<std::int64_t>().subspan(static_cast<std::size_t>(3 * r));
        for (std::int64_t c = 0; c < channels; ++c) {
          for (std::int64_t i = 0; i < 2; ++i) {
            for (std::int64_t j = 0; j < 3; ++j) {
              const std::int64_t h = row[1] + i;
              const std::int64_t w = row[2] + j;
              if (h < 0 || h >= 5 || w < 0 || w >= 5) continue;
              expected.data<float>()[static_cast<std::size_t>(((row[0] * channels + c) * 5 + h) * 5 + w)] =
                  at(windows, r, c, i, j);
            }
          }
        }
      }
      expect_close(y, expected, 1e-6);
    }
  }
}

TEST(ScatterWindow, LeavesOtherUsersOfTheValueAlone) {
  const Tensor x = random_tensor({1, 2, 3, 3}, 1);
  const auto difference = [](Builder& g, const std::vector<Value>& in) {
    const Value base = in[0] * 2.0;
    return g.add(kScatterWindow, {base, in[1], in[2]}) - base;
  };
  const Tensor y = run_graph(difference, {x, Tensor::filled({1, 2, 1, 1}, 0), integers({1, 3}, {0, 1, 1})});
  Tensor expected = Tensor::zeros(DType::f32, x.shape());
  for (const std::size_t i : {4U, 13U}) expected.data<float>()[i] = -2 * x.data<float>()[i];
  expect_close(y, expected);
}

TEST(ScatterWindow, StatesOutliveTheRunAndAreShared) {
  const auto program = [](bool writes) {
    Builder g;
    const Value places = g.input("places", {DType::i64, {1, 2}});
    Value kept = g.state("kept", {3, 1, 4});
    if (writes) kept = g.add(kScatterWindow, {kept, g.input("window", {DType::f32, {1, 1, 2}}), places});
    g.output("all", g.add(kGatherWindow, {kept, places}, {{"size", Ints{4}}}));
    return g.build();
  };
  const Program writer = compile(program(true));
  const auto states = std::make_shared<States>(writer.states());
  Workspace write(writer, states);
  Workspace read(compile(program(false), writer.states()), states);
  write.run({integers({1, 2}, {1, 0}), floats({1, 1, 2}, {1, 2})});
  write.run({integers({1, 2}, {1, 2}), floats({1, 1, 2}, {3, 4})});
  expect_equal(read.run({integers({1, 2}, {1, 0})}).at(0), floats({1, 1, 4}, {1, 2, 3, 4}));
  expect_equal(read.run({integers({1, 2}, {0, 0})}).at(0), floats({1, 1, 4}, {0, 0, 0, 0}));
  states->copy_slot(1, 2);
  expect_equal(read.run({integers({1, 2}, {2, 1})}).at(0), floats({1, 1, 4}, {2, 3, 4, 0}));
}

TEST(States, RefuseOtherShapes) {
  Builder g;
  const Value places = g.input("places", {DType::i64, {1, 2}});
  g.output("y", g.add(kGatherWindow, {g.state("kept", {1, 1, 4}), places}, {{"size", Ints{4}}}));
  const Program program = compile(g.build());
  const StatePort other{"kept", {1, 1, 5}, {}};
  EXPECT_THROW(compile(g.build(), {other}), Error);
  EXPECT_THROW(Workspace(program, std::make_shared<States>(std::vector{other})), Error);
  EXPECT_THROW(Workspace(program, std::make_shared<States>(std::vector<StatePort>{})), Error);
}

TEST(GatherWindow, RefusesPlacesThatDoNotFit) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 2, 4, 4}});
  const Value narrow = g.input("places", {DType::i64, {1, 2}});
  EXPECT_THROW(g.add(kGatherWindow, {x, narrow}, {{"size", Ints{2, 2}}}), Error);
  EXPECT_THROW(g.add(kScatterWindow, {x, x, narrow}), Error);
  const Value table = g.input("table", {DType::i64, {1, 2}});
  EXPECT_THROW(g.add(kGatherWindow, {g.input("dense", {DType::f32, {3, 4}}), table}, {{"size", Ints{2, 2}}}),
               UnsupportedError);
}

}  // namespace heatproof
