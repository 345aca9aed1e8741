#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

double value_of(const Operator& op, double x) {
  if (&op == &kSigmoid) return 1 / (1 + std::exp(-x));
  if (&op == &kSilu) return x / (1 + std::exp(-x));
  if (&op == &kGelu) return x / 2 * (1 + std::erf(x / std::sqrt(2)));
  return std::max(x, 0.0);
}

/// Whether op(layer(x)) is what op says of layer(x), when it is fused.
void expect_fused(const Operator& op, const Build& layer, const Tensor& x, Convolutions how) {
  Builder plain;
  plain.output("y", layer(plain, {plain.input("x", {DType::f32, x.shape()})}));
  Builder both;
  both.output("y", both.add(op, {layer(both, {both.input("x", {DType::f32, x.shape()})})}));
  const Tensor before = Workspace(compile(plain.build(), how)).run({x})[0];
  Workspace fused(compile(both.build(), how));
  const Tensor after = fused.run({x})[0];
  for (std::size_t i = 0; i < before.data<float>().size(); ++i) {
    const double v = before.data<float>()[i];
    // Both layers may round differently; the activations' slopes are at most 1.13.
    ASSERT_NEAR(after.data<float>()[i], value_of(op, v), 1e-6 * std::max(1.0, std::fabs(v))) << "of " << v;
  }
}

const std::vector<const Operator*>& activations() {
  static const std::vector<const Operator*> all = {&kRelu, &kSilu, &kSigmoid, &kGelu};
  return all;
}

}  // namespace

TEST(FusedActivation, OfConvolutions) {
  struct Case {
    std::int64_t channels, outputs, kernel, stride, group;
  };
  for (const auto& [channels, outputs, kernel, stride, group] :
       {Case{3, 16, 3, 2, 1}, Case{32, 32, 3, 1, 32}, Case{32, 40, 1, 1, 1}, Case{64, 64, 3, 1, 1},
        Case{7, 5, 3, 1, 1}, Case{32, 32, 5, 1, 4}}) {
    for (const bool add : {false, true}) {
      for (const auto how : {Convolutions::direct, Convolutions::fastest}) {
        for (const Operator* op : activations()) {
          SCOPED_TRACE(fmt::format("{} {} {} {}", op->name, channels, kernel, add));
          const auto layer = [&](Builder& g, const std::vector<Value>& in) {
            const auto conv = [&](std::uint64_t seed) {
              const Value w =
                  g.constant(random_tensor({outputs, channels / group, kernel, kernel}, seed, -0.3, 0.3));
              const std::int64_t pad = kernel / 2;
              return g.add(kConv, {in[0], w, g.constant(random_tensor({outputs}, 3))},
                           {{"kernel_shape", Ints{kernel, kernel}},
                            {"strides", Ints{stride, stride}},
                            {"pads", Ints{pad, pad, pad, pad}},
                            {"group", group}});
            };
            return add ? conv(1) + conv(2) : conv(1);
          };
          // Values of some tens, where exponentials are out of range.
          expect_fused(*op, layer, random_tensor({2, channels, 15, 15}, 5, -20, 20), how);
        }
      }
    }
  }
}

TEST(FusedActivation, OfMatrices) {
  for (const std::int64_t rows : {1, 6}) {
    for (const Operator* op : activations()) {
      SCOPED_TRACE(op->name);
      const auto layer = [&](Builder& g, const std::vector<Value>& in) {
        return g.add(kLinear,
                     {in[0], g.constant(random_tensor({37, 50}, 1)), g.constant(random_tensor({37}, 2))});
      };
      expect_fused(*op, layer, random_tensor({rows, 50}, 5, -20, 20), Convolutions::fastest);
    }
  }
}

// Explanations compute smooth activations in steps of their own.
TEST(FusedActivation, SmoothOnesForScoresOnly) {
  for (const Operator* op : activations()) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {1, 32, 9, 9}});
    const Value w = g.constant(random_tensor({32, 32, 1, 1}, 1));
    const Value mean = g.add(kReduceMean, {g.add(*op, {g.add(kConv, {x, w})})},
                             {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}});
    g.output("y", g.add(*op, {g.add(kLinear, {mean, g.constant(random_tensor({5, 32}, 2))})}));
    const Graph graph = g.build();
    for (const auto how : {Convolutions::direct, Convolutions::fastest}) {
      Workspace workspace(compile(graph, how));
      std::vector<StepTime> steps;
      workspace.run(std::vector{random_tensor({1, 32, 9, 9}, 3)}, steps);
      const auto own = std::ranges::count_if(steps, [&](const StepTime& step) {
        return step.name.find("+") == std::string::npos && step.name.find(op->name) != std::string::npos;
      });
      EXPECT_EQ(own, how == Convolutions::direct && op != &kRelu ? 2 : 0) << op->name;
    }
  }
}

TEST(FusedActivation, OfManyInfinities) {
  // Far beyond the range of e^x, in both directions.
  const auto layer = [](Builder& g, const std::vector<Value>& in) {
    return g.add(kLinear, {in[0], g.constant(floats({4, 1}, {1, -1, 1e4F, -1e4F}))});
  };
  for (const Operator* op : activations())
    expect_fused(*op, layer, floats({2, 1}, {300, 1e30F}), Convolutions::fastest);
}

}  // namespace heatproof
