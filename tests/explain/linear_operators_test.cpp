// LRP-0 is gradient × input on ReLU networks without biases, through every operator that is linear: sums,
// differences, signs, factors, sums and means over axes, constant matrices on either side, movement.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "data/npy.h"
#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/behaviour.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// Emits an operator on x [N, 4, 6, 6]; the constants are drawn from the seed.
using Block = std::function<Value(Value x, std::uint64_t seed)>;

Value random_constant(Value x, Shape shape, std::uint64_t seed, double low = -1, double high = 1) {
  return x.builder().constant(random_tensor(shape, seed, low, high));
}

Value convolution(Value x, std::int64_t channels, std::uint64_t seed) {
  const Shape w{channels, x.shape()[1], 3, 3};
  return x.builder().add(kConv, {x, random_constant(x, w, seed, -0.6, 0.7)}, {{"pads", Ints{1, 1, 1, 1}}});
}

Value mean(Value x, Ints axes, bool keep) {
  return x.builder().add(kReduceMean, {x}, {{"axes", axes}, {"keepdims", std::int64_t{keep}}});
}

/// A second value of the same size that is no multiple of x.
Value other(Value x, std::uint64_t seed) { return convolution(x, x.shape()[1], seed + 77); }

const std::vector<std::pair<const char*, Block>>& blocks() {
  static const std::vector<std::pair<const char*, Block>> all{
      {"Add", [](Value x, auto s) { return x + other(x, s); }},
      {"Sub", [](Value x, auto s) { return x - other(x, s); }},
      {"SubReversed", [](Value x, auto s) { return other(x, s) - x; }},
      {"SubBroadcastRight",
       [](Value x, auto s) {
         return x - mean(other(x, s), {2, 3}, true);
       }},
      {"SubBroadcastLeft", [](Value x, auto s) { return mean(other(x, s), {2}, true) - x; }},
      {"SubOfItself", [](Value x, auto) { return x - 0.4 * x; }},
      {"Neg", [](Value x, auto) { return -x; }},
      {"Abs", [](Value x, auto s) { return x.builder().add(kAbs, {convolution(x, 5, s)}); }},
      {"AbsOfADifference", [](Value x, auto s) { return x.builder().add(kAbs, {x - other(x, s)}); }},
      {"DoubleNeg", [](Value x, auto) { return -(-x * 2.0); }},
      {"CRelu",
       [](Value x, auto) {
         Builder& g = x.builder();
         return g.add(kConcat, {g.add(kRelu, {x}), g.add(kRelu, {-x})}, {{"axis", std::int64_t{1}}});
       }},
      {"MulScalar", [](Value x, auto) { return x * -0.2; }},
      {"MulChannels",
       [](Value x, auto s) {
         return x * random_constant(x, {4, 1, 1}, s);
       }},
      {"MulWithZeros",
       [](Value x, auto) {
         return x * x.builder().constant(floats({4, 1, 1}, {0, 1.5, -2, 0.3F}));
       }},
      {"MulConstantFirst",
       [](Value x, auto s) {
         return random_constant(x, {1, 4, 6, 6}, s) * x;
       }},
      {"MulBroadcast",
       [](Value x, auto s) {
         return mean(x, {3}, true) * random_constant(x, {1, 4, 1, 6}, s);
       }},
      {"DivScalar", [](Value x, auto) { return x / 255.0; }},
      {"DivChannels",
       [](Value x, auto s) {
         return x / random_constant(x, {1, 4, 1, 1}, s, 0.5, 2);
       }},
      {"DivTensor",
       [](Value x, auto s) {
         return x / random_constant(x, {4, 6, 6}, s, -2, -0.5);
       }},
      {"ScaledSum", [](Value x, auto s) { return 0.1 * x + (0.2 * other(x, s) + x); }},
      {"MeanOfThree", [](Value x, auto s) { return (x + other(x, s) + other(x, s + 1)) / 3.0; }},
      {"ReduceSum",
       [](Value x, auto) {
         return reduce_sum(x, {2, 3}, true);
       }},
      {"ReduceSumChannels", [](Value x, auto) { return reduce_sum(x, {1}, true); }},
      {"ReduceSumWithoutAxes",
       [](Value x, auto) {
         return reshape(reduce_sum(x, {3}, false), {x.shape()[0], 4, 6, 1});
       }},
      {"ReduceMean",
       [](Value x, auto) {
         return mean(x, {1, 2}, true);
       }},
      {"ReduceMeanWithoutAxes",
       [](Value x, auto) {
         return reshape(mean(x, {2, 3}, false), {x.shape()[0], 4, 1, 1});
       }},
      {"AveragePool",
       [](Value x, auto) {
         return x.builder().add(kAveragePool, {x},
                                {{"kernel_shape", Ints{3, 3}},
                                 {"strides", Ints{2, 2}},
                                 {"pads", Ints{1, 1, 1, 1}},
                                 {"count_include_pad", std::int64_t{1}},
                                 {"output_shape", Ints{3, 3}}});
       }},
      {"MatrixLeft",
       [](Value x, auto s) {
         return x.builder().add(kMatMul, {random_constant(x, {5, 6}, s), x});
       }},
      {"MatrixLeftBatched",
       [](Value x, auto s) {
         return x.builder().add(kMatMul, {random_constant(x, {4, 5, 6}, s), x});
       }},
      {"MatrixRight",
       [](Value x, auto s) {
         return x.builder().add(kMatMul, {x, random_constant(x, {6, 5}, s)});
       }},
      {"MatrixRightBatched",
       [](Value x, auto s) {
         return x.builder().add(kMatMul, {x, random_constant(x, {1, 4, 6, 7}, s)});
       }},
      {"MatrixLeftBroadcasts",
       [](Value x, auto s) {
         const Value rows = reshape(x, {x.shape()[0], 24, 6});
         return reshape(x.builder().add(kMatMul, {random_constant(x, {3, 1, 5, 24}, s), rows}),
                        {x.shape()[0], 3, 5, 6});
       }},
      {"Expand", [](Value x, auto) { return expand(mean(x, {3}, true), x.shape()); }},
      {"Tile",
       [](Value x, auto) {
         return x.builder().add(kConcat, {x, x}, {{"axis", std::int64_t{2}}});
       }},
      {"SliceTransposePad",
       [](Value x, auto) {
         Builder& g = x.builder();
         const std::int64_t n = x.shape()[0];
         const Value part =
             g.add(kSlice, {x},
                   {{"starts", Ints{0, 1, 0, 2}}, {"ends", Ints{n, 4, 6, 6}}, {"steps", Ints{1, 1, 2, 1}}});
         return g.add(kPad, {transpose(part, {0, 1, 3, 2})},
                      {{"pads", Ints{0, 0, 1, 0, 0, 0, 0, 2}}, {"value", 0.0}});
       }},
      {"Gather",
       [](Value x, auto) {
         return x.builder().add(kGather, {x, x.builder().integers({3, 0, 0})}, {{"axis", std::int64_t{1}}});
       }},
      {"ConvTranspose",
       [](Value x, auto s) {
         return x.builder().add(kConvTranspose, {x, random_constant(x, {4, 3, 2, 2}, s)},
                                {{"strides", Ints{2, 2}}});
       }},
      {"BatchNormalization",
       [](Value x, auto s) {
         const Value none = x.builder().fill({4}, 0);
         return x.builder().add(kBatchNormalization, {x, random_constant(x, {4}, s, 0.5, 2), none});
       }},
      {"PRelu",
       [](Value x, auto s) {
         return positive(x) + random_constant(x, {4, 1, 1}, s, -0.2, 0.4) * negative(x);
       }},
      {"MaxPool",
       [](Value x, auto) {
         return x.builder().add(
             kMaxPool, {x},
             {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"output_shape", Ints{3, 3}}});
       }},
  };
  return all;
}

/// Blocks one after the other, between layers; without biases.
Network network_of_blocks(const std::vector<std::size_t>& chosen, std::uint64_t seed) {
  return Network([=](std::int64_t batch) {
    Builder g;
    Value x = g.add(kRelu, {convolution(g.input("x", {DType::f32, {batch, 3, 6, 6}}), 4, seed)});
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      x = blocks()[chosen[i]].second(x, seed + 10 * i);
      // Back to the size that blocks take.
      const std::int64_t n = x.shape().elements() / batch;
      const Value w = random_constant(x, {144, n}, seed + 5 * i, -0.3, 0.35);
      x = reshape(g.add(kRelu, {g.add(kLinear, {reshape(x, {batch, n}), w})}), {batch, 4, 6, 6});
    }
    g.output("y", g.add(kLinear, {reshape(x, {batch, 144}), random_constant(x, {3, 144}, seed + 3)}));
    return g.build();
  });
}

double deviation_from_gradient(const Network& network, const std::string& recipe, const Tensor& x) {
  return deviation(explain_with(network, recipe, x, 1), explain_with(network, "gradient_x_input", x, 1));
}

constexpr const char* kRecipes[] = {"lrp_0:stabilizer=0.000000001",
                                    "lrp_epsilon:epsilon=0.000000001,stabilizer=0.000000001",
                                    "deep_taylor:gamma=1,input=same,stabilizer=0.000000001"};

std::size_t index_of(const std::string& name) {
  for (std::size_t i = 0; i < blocks().size(); ++i)
    if (blocks()[i].first == name) return i;
  ADD_FAILURE() << name;
  return 0;
}

class EachLinearOperator : public ::testing::TestWithParam<std::size_t> {};

}  // namespace

TEST_P(EachLinearOperator, PassesLrp0AsGradientTimesInput) {
  const Network network = network_of_blocks({GetParam()}, 11);
  const Tensor x = random_tensor({2, 3, 6, 6}, 5);
  const Tensor r = explain_with(network, "gradient_x_input", x, 1);
  double most = 0;
  for (float v : r.data<float>()) most = std::max(most, std::fabs(static_cast<double>(v)));
  ASSERT_GT(most, 1e-6);
  for (const char* recipe : kRecipes) EXPECT_LT(deviation_from_gradient(network, recipe, x), 1e-4) << recipe;
}

TEST_P(EachLinearOperator, ConservesRelevance) {
  const Network network = network_of_blocks({GetParam()}, 11);
  const Tensor x = random_tensor({1, 3, 6, 6}, 5);
  const double score = network.predict(x).data<float>()[1];
  std::vector<std::string> recipes(std::begin(kRecipes), std::end(kRecipes));
  recipes.emplace_back("lrp_gamma:stabilizer=0.000000001,bias=ignore");
  for (const std::string& recipe : recipes) {
    const Tensor r = explain_with(network, recipe, x, 1);
    EXPECT_NEAR(sum_of_row(r, 0) / score, 1, 1e-3) << recipe;
  }
}

TEST_P(EachLinearOperator, LeavesNothingToTheDerivative) {
  const Network network = network_of_blocks({GetParam()}, 11);
  for (const char* recipe :
       {"lrp_0", "lrp_zplus", "deep_taylor", "lrp_epsilon_plus", "excitation_backprop"}) {
    for (const NodeRule& rule : rules_of(network, parse_recipe(recipe)))
      EXPECT_FALSE(rule.by_default) << recipe << " " << rule.op << " " << rule.node;
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, EachLinearOperator, ::testing::Range<std::size_t>(0, blocks().size()),
                         [](const auto& block) { return std::string(blocks()[block.param].first); });

TEST(LinearOperators, ComposedAtRandomPassLrp0AsGradientTimesInput) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    std::vector<std::size_t> chosen;
    const Tensor draws = random_tensor({3}, seed, 0, static_cast<double>(blocks().size()));
    for (float v : draws.data<float>()) chosen.push_back(static_cast<std::size_t>(v));
    const Network network = network_of_blocks(chosen, seed);
    const Tensor x = random_tensor({2, 3, 6, 6}, seed + 50);
    for (const char* recipe : kRecipes) {
      EXPECT_LT(deviation_from_gradient(network, recipe, x), 1e-3)
          << recipe << " seed " << seed << ": " << blocks()[chosen[0]].first << " "
          << blocks()[chosen[1]].first << " " << blocks()[chosen[2]].first;
    }
  }
}

TEST(LinearOperators, ADifferenceSharesContributionsWithTheirSigns) {
  // z = x1 − x2 at (3, 1): contributions 3 and −1.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 2}});
    const Value a = g.add(kLinear, {x, g.constant(floats({1, 2}, {1, 0}))});
    const Value b = g.add(kLinear, {x, g.constant(floats({1, 2}, {0, 1}))});
    g.output("y", g.add(kSub, {a, b}, {}, "difference"));
    return g.build();
  });
  const auto shares = [&](const std::string& rule) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {1, 2}});
    const ForwardView view = forward_view(g, network.graph(1), x, "");
    g.output("r",
             propagate({x, view.logits, view.logits, {}, {}}, {{"op:Sub", rule}, {"linear", "epsilon"}}));
    const Tensor r = Workspace(compile(g.build())).run({floats({1, 2}, {3, 1})})[0];
    return std::pair{r.data<float>()[0], r.data<float>()[1]};
  };
  const auto expect = [&](const std::string& rule, double first, double second) {
    const auto [a, b] = shares(rule);
    EXPECT_NEAR(a, first, 1e-4) << rule;
    EXPECT_NEAR(b, second, 1e-4) << rule;
  };
  expect("norm", 3, -1);
  expect("epsilon", 3, -1);
  expect("zplus", 2, 0);                       // all of R = 2 to what excites
  expect("alpha_beta:alpha=2,beta=1", 4, -2);  // 2 R · 3/3 and −R · (−1)/(−1)
  expect("gamma:gamma=1", 2.0 * 6 / 5, -2.0 / 5);
  expect("deep_taylor:gamma=0.5", 2.0 * 3 / 2.5, -2.0 * 0.5 / 2.5);
  expect("w2", 1, 1);
  expect("flat", 1, 1);
}

TEST(LinearOperators, AMatrixOnTheLeftIsALayer) {
  // z = A h of h = relu(x) = (1, 2), A = [[2, −1], [1, 1]]: z = (0, 3); explained is the sum of v = (1, 1).
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 2, 1}});
    const Value z = g.add(kMatMul, {g.constant(floats({2, 2}, {3, -1, 1, 1})), g.add(kRelu, {x})});
    g.output("y", reduce_sum(z, {1, 2}, false) * g.fill({batch}, 1));
    return g.build();
  });
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 2, 1}});
  const ForwardView view = forward_view(g, network.graph(1), x, "");
  // z = (1, 3), R = z; z⁺: row 1 gives all of 1 to the first, row 2 shares 3 as 1 : 2.
  g.output("r",
           propagate({x, view.logits, view.logits, {}, {}}, {{"activation", "pass"}, {"dense", "zplus"}}));
  const Tensor r = Workspace(compile(g.build())).run({floats({1, 2, 1}, {1, 2})})[0];
  EXPECT_NEAR(r.data<float>()[0], 2, 1e-5);
  EXPECT_NEAR(r.data<float>()[1], 2, 1e-5);
}

TEST(LinearOperators, FunctionsPassTheDerivativeWhenTold) {
  for (const char* name : {"Sub", "Neg", "MulScalar", "DivChannels", "ReduceSum", "MatrixLeft"}) {
    const Network network = network_of_blocks({index_of(name)}, 11);
    for (const NodeRule& rule : rules_of(network, parse_recipe("lrp_0:sums=gradient,averages=gradient"))) {
      const bool function = rule.op == "Sub" || rule.op == "Neg" || rule.op == "Mul" || rule.op == "Div" ||
                            rule.op == "ReduceSum" || rule.op == "MatMul";
      if (function) {
        EXPECT_EQ(rule.rule, "gradient") << rule.op;
      }
      EXPECT_FALSE(rule.by_default) << rule.op;
    }
  }
}

TEST(LinearOperators, ADifferenceWithItsOwnActivationKeepsRelevance) {
  // x − tanh(x): the derivative would give nearly nothing.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 3}});
    g.output("y", g.add(kLinear, {x - g.add(kTanh, {x}), g.constant(floats({1, 3}, {1, 2, 3}))}));
    return g.build();
  });
  const Tensor x = floats({1, 3}, {0.5F, -1, 2});
  const Tensor r = explain_with(network, "lrp_0", x);
  for (std::size_t i = 0; i < 3; ++i) {
    const double v = x.data<float>()[i];
    EXPECT_NEAR(r.data<float>()[i], static_cast<double>(i + 1) * (v - std::tanh(v)), 1e-3);
  }
}

TEST(LinearOperators, AConstantTermTakesNothing) {
  for (const bool reversed : {false, true}) {
    const Network network([=](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 2}});
      const Value h = g.add(kRelu, {x});
      const Value c = g.constant(floats({2}, {5, 7}));
      const Value z = reversed ? g.add(kSub, {c, h}) : g.add(kSub, {h, c});
      g.output("y", reduce_sum(z, {1}, true));
      return g.build();
    });
    const Tensor r = explain_with(network, "lrp_0", floats({1, 2}, {1, 2}));
    EXPECT_NEAR(r.data<float>()[0], reversed ? 4 : -4, 1e-4);
    EXPECT_NEAR(r.data<float>()[1], reversed ? 5 : -5, 1e-4);
  }
}

/// Networks of torch, explained by torch and zennit in double precision
/// (tests/goldens/make_linear_goldens.py).
class LinearGoldens : public ::testing::TestWithParam<const char*> {};

TEST_P(LinearGoldens, AgreeWithThePeers) {
  const std::string name = GetParam();
  const auto arrays = read_npz(golden(name + ".npz"));
  const Network network = network_of(golden(name + ".onnx"));
  const auto targets = arrays.at("target").data<std::int64_t>();
  EXPECT_LT(deviation(network.predict(arrays.at("input")), arrays.at("output")), 1e-5);
  for (const auto& [text, expected] : arrays) {
    if (text == "input" || text == "output" || text == "target") continue;
    Explainer explainer(network, {parse_recipe(text)}, {});
    EXPECT_LT(deviation(explainer.explain(arrays.at("input"), targets).relevance[0], expected), 1e-4) << text;
    for (const NodeRule& rule : rules_of(network, parse_recipe(text)))
      EXPECT_FALSE(rule.by_default) << rule.op << " " << rule.node;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, LinearGoldens,
                         ::testing::Values("functions", "normalized", "preprocessed"),
                         [](const auto& network) { return std::string(network.param); });

}  // namespace heatproof
