// Closed forms of docs/methods.md: the max networks, conservation, relations between rules.
#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

/// x [N, 2] → relu(W x) → v: max(x1, x2) in two ways.
Network max_network(const std::vector<float>& first, const std::vector<float>& second) {
  return Network([=](std::int64_t batch) {
    Builder g;
    const auto hidden = static_cast<std::int64_t>(second.size());
    const Value x = g.input("x", {DType::f32, {batch, 2}});
    const Value h = g.add(kRelu, {g.add(kLinear, {x, g.constant(floats({hidden, 2}, first))})});
    g.output("y", g.add(kLinear, {h, g.constant(floats({1, hidden}, second))}));
    return g.build();
  });
}
Network network_a() { return max_network({1, -1, -1, 1, 1, 1}, {0.5, 0.5, 0.5}); }
Network network_b() { return max_network({1, 0, -1, 1}, {1, 1}); }

std::vector<float> explain(const Network& network, const std::string& recipe, const Tensor& x) {
  const std::vector<std::int64_t> targets(static_cast<std::size_t>(x.shape()[0]), 0);
  const Tensor r = Explainer(network, {parse_recipe(recipe)}, {}).explain(x, targets).relevance[0];
  return {r.data<float>().begin(), r.data<float>().end()};
}

void expect_relevance(const Network& network, const std::string& recipe, double first, double second) {
  const auto r = explain(network, recipe, floats({1, 2}, {1, 2}));
  EXPECT_NEAR(r[0], first, 1e-5) << recipe;
  EXPECT_NEAR(r[1], second, 1e-5) << recipe;
}

double sum(std::span<const float> values) {
  double total = 0;
  for (float v : values) total += v;
  return total;
}

Network golden_network(const std::string& name) {
  return Network([model = Model::load(golden(name + ".onnx"))](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    return model.specialize(s);
  });
}

}  // namespace

TEST(MaxNetworks, GradientDoesNotSeeHowTheMaximumIsMade) {
  for (const char* recipe : {"gradient_x_input", "lrp_0", "deep_taylor:gamma=1,input=same"}) {
    expect_relevance(network_a(), recipe, 0, 2);
    expect_relevance(network_b(), recipe, 0, 2);
  }
}

TEST(MaxNetworks, ZPlusDoes) {
  for (const char* recipe : {"lrp_zplus", "deep_taylor:gamma=0,input=same"}) {
    expect_relevance(network_a(), recipe, 0.5, 1.5);
    expect_relevance(network_b(), recipe, 1, 1);
  }
}

TEST(MaxNetworks, GeneralizedDeepTaylorLiesBetween) {
  expect_relevance(network_a(), "deep_taylor:gamma=0.5,input=same", 1.0 / 3, 5.0 / 3);
  expect_relevance(network_b(), "deep_taylor:gamma=0.5,input=same", 2.0 / 3, 4.0 / 3);
  // The closed forms for other γ and x.
  for (const double gamma : {0.1, 0.3, 0.8}) {
    const double x1 = 0.7;
    const double x2 = 1.9;
    const auto r = explain(network_b(), "deep_taylor:input=same,gamma=" + std::to_string(gamma),
                           floats({1, 2}, {static_cast<float>(x1), static_cast<float>(x2)}));
    EXPECT_NEAR(r[0], x1 - gamma * x1 * (x2 - x1) / (x2 - gamma * x1), 1e-5);
    EXPECT_NEAR(r[1], x2 * (x2 - x1) / (x2 - gamma * x1), 1e-5);
  }
}

TEST(MaxNetworks, GeneralizedDeepTaylorIsLrpGammaOf2019) {
  // γ = 1 / (1 + γ')
  for (const auto& network : {network_a(), network_b()}) {
    const Tensor x = floats({1, 2}, {0.6F, 1.3F});
    const auto a = explain(network, "deep_taylor:gamma=0.8,input=same", x);
    const auto b = explain(network, "lrp_gamma:gamma=0.25", x);
    EXPECT_NEAR(a[0], b[0], 1e-5);
    EXPECT_NEAR(a[1], b[1], 1e-5);
  }
}

TEST(DeepTaylor, GammaOneIsGradientTimesInputWithoutBiases) {
  const auto arrays = read_npz(golden("cnn.npz"));
  const Network network([model = Model::load(golden("cnn.onnx"))](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    const Graph graph = model.specialize(s);
    Builder g;  // the same network without its biases
    std::vector<Value> values;
    for (const Node& node : graph.nodes()) {
      if (node.op == &kInput) {
        values.push_back(g.input(node.name, node.type));
        continue;
      }
      if (node.op == &kConstant) {
        values.push_back(g.constant(node.constant));
        continue;
      }
      std::vector<Value> inputs;
      for (NodeId id : node.inputs)
        inputs.push_back(id == kNone ? Value{} : values[static_cast<std::size_t>(id)]);
      if ((node.op == &kConv || node.op == &kLinear) && inputs.size() > 2) inputs.resize(2);
      values.push_back(g.add(*node.op, inputs, node.attributes, node.name));
    }
    g.output("y", values[static_cast<std::size_t>(graph.outputs()[0].id)]);
    return g.build();
  });
  const auto a = explain(network, "deep_taylor:gamma=1,input=same", arrays.at("input"));
  const auto b = explain(network, "gradient_x_input", arrays.at("input"));
  double most = 0;
  for (float v : b) most = std::max(most, std::fabs(static_cast<double>(v)));
  ASSERT_GT(most, 0);
  ASSERT_TRUE(std::isfinite(most));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4 * most);
}

TEST(Rules, ConserveWithoutTheBias) {
  // w² and flat also hand relevance to neurons that are silent, where average pooling would lose it: only cnn
  // and mlp.
  const std::vector<std::pair<const char*, std::vector<const char*>>> cases = {
      {"cnn",
       {"lrp_zplus:bias=ignore", "lrp_w2:bias=ignore", "lrp_flat", "deep_taylor:input=w2,bias=ignore"}},
      {"mlp",
       {"lrp_zplus:bias=ignore", "lrp_w2:bias=ignore", "lrp_flat", "deep_taylor:input=w2,bias=ignore"}},
      {"dense", {"lrp_zplus:bias=ignore"}},
      {"pools", {"lrp_zplus:bias=ignore"}},
      {"signal", {"lrp_zplus:bias=ignore"}}};
  for (const auto& [name, recipes] : cases) {
    const Network network = golden_network(name);
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    const Tensor logits = network.predict(x);
    const auto targets = argmax_rows(logits);
    for (const char* recipe : recipes) {
      SCOPED_TRACE(std::string(name) + " " + recipe);
      const Tensor r = Explainer(network, {parse_recipe(recipe)}, {}).explain(x, targets).relevance[0];
      const auto size = static_cast<std::size_t>(r.elements() / r.shape()[0]);
      for (std::size_t i = 0; i < targets.size(); ++i) {
        const auto at =
            i * static_cast<std::size_t>(network.classes()) + static_cast<std::size_t>(targets[i]);
        EXPECT_NEAR(sum(r.data<float>().subspan(i * size, size)) / logits.data<float>()[at], 1, 2e-3);
      }
    }
  }
}

TEST(Rules, AreNotNegativeWhereTheyShouldNotBe) {
  const Network network = golden_network("cnn");
  const Tensor x = read_npz(golden("cnn.npz")).at("input");
  const auto targets = argmax_rows(network.predict(x));
  for (const char* recipe :
       {"lrp_zplus:bias=ignore,output=one", "lrp_w2:output=one", "lrp_flat:output=one"}) {
    const Tensor r = Explainer(network, {parse_recipe(recipe)}, {}).explain(x, targets).relevance[0];
    for (float v : r.data<float>()) ASSERT_GE(v, 0) << recipe;
  }
}

TEST(Sums, ShareByNormOrPassToEveryOperand) {
  // y = x1 + 3 x2 of x = (1, 2), as a sum of two values.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 2}});
    const Value a = g.add(kLinear, {x, g.constant(floats({1, 2}, {1, 0}))});
    const Value b = g.add(kLinear, {x, g.constant(floats({1, 2}, {0, 3}))});
    g.output("y", a + b);
    return g.build();
  });
  expect_relevance(network, "lrp_zplus", 1, 6);
  expect_relevance(network, "lrp_zplus:sums=gradient", 7, 7);
}

TEST(Ledger, SumsOfNeighbouringLayersMeet) {
  const Network network = golden_network("cnn");
  const Tensor x = read_npz(golden("cnn.npz")).at("input");
  const Tensor logits = network.predict(x);
  const auto targets = argmax_rows(logits);
  ExplainOptions options;
  options.ledger = true;
  const Explanation e =
      Explainer(network, {parse_recipe("lrp_zplus:bias=ignore")}, options).explain(x, targets);
  const auto& ledger = e.ledger[0];
  ASSERT_GE(ledger.size(), 5U);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    EXPECT_NEAR(ledger.front().entering[i],
                logits.data<float>()[i * static_cast<std::size_t>(network.classes()) +
                                     static_cast<std::size_t>(targets[i])],
                1e-4);
    for (const LedgerLine& line : ledger) EXPECT_TRUE(std::isfinite(line.entering[i] + line.leaving[i]));
    for (std::size_t k = 1; k < ledger.size(); ++k)
      EXPECT_NEAR(ledger[k].entering[i], ledger[k - 1].leaving[i],
                  1e-3 * std::fabs(ledger[k].entering[i]) + 1e-5);
    EXPECT_NEAR(ledger.back().leaving[i], ledger.front().entering[i],
                1e-3 * std::fabs(ledger.front().entering[i]));
  }
}

TEST(Ledger, AccountsForBiasesAndStabilizers) {
  const Network network = golden_network("cnn");
  const Tensor x = read_npz(golden("cnn.npz")).at("input");
  const auto targets = argmax_rows(network.predict(x));
  ExplainOptions options;
  options.ledger = true;
  for (const char* recipe : {"lrp_epsilon:epsilon=0.1", "lrp_zplus:stabilizer=0.1",
                             "lrp_epsilon_alpha2_beta1:stabilizer=0.1,epsilon=0.1",
                             "lrp_epsilon_gamma_box:stabilizer=0.1,epsilon=0.1",
                             "deep_taylor:gamma=0.3,input=w2", "lrp_epsilon_plus_flat:stabilizer=0.1"}) {
    SCOPED_TRACE(recipe);
    const auto ledger = Explainer(network, {parse_recipe(recipe)}, options).explain(x, targets).ledger[0];
    double stabilized = 0;
    for (const LedgerLine& line : ledger) {
      if (line.op != "Conv" && line.op != "Linear") continue;
      for (std::size_t i = 0; i < targets.size(); ++i) {
        const double size =
            std::fabs(line.entering[i]) + std::fabs(line.leaving[i]) + std::fabs(line.absorbed[i]);
        EXPECT_TRUE(std::isfinite(size)) << line.node << " " << line.rule;
        EXPECT_NEAR(line.entering[i], line.leaving[i] + line.absorbed[i] + line.stabilized[i], 1e-4 * size)
            << line.node << " " << line.rule;
        stabilized += std::fabs(line.stabilized[i]);
      }
    }
    EXPECT_GT(stabilized, 0);
  }
}

TEST(Ledger, AStabilizerTakesItsShareByHand) {
  // y = 3 x1 + 1 at x1 = 1: z = 4; with ε = 1 relevance 4 becomes 3 · 4/5 for the input, 1 · 4/5 for the bias
  // and for the stabilizer.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1}});
    g.output("y", g.add(kLinear, {x, g.constant(floats({1, 1}, {3})), g.constant(floats({1}, {1}))}));
    return g.build();
  });
  ExplainOptions options;
  options.ledger = true;
  const std::vector<std::int64_t> target{0};
  const auto ledger = Explainer(network, {parse_recipe("lrp_epsilon:epsilon=1")}, options)
                          .explain(floats({1, 1}, {1}), target)
                          .ledger[0];
  ASSERT_EQ(ledger.size(), 1U);
  EXPECT_NEAR(ledger[0].entering[0], 4, 1e-6);
  EXPECT_NEAR(ledger[0].leaving[0], 2.4, 1e-6);
  EXPECT_NEAR(ledger[0].absorbed[0], 0.8, 1e-6);
  EXPECT_NEAR(ledger[0].stabilized[0], 0.8, 1e-6);
}

TEST(Explainer, DoesNotDependOnTheBatchSize) {
  const Network network = golden_network("resnet");
  const Tensor x = read_npz(golden("resnet.npz")).at("input");
  const std::vector<std::int64_t> targets{0, 1, 2};
  for (const char* recipe : {"lrp_epsilon_plus", "random", "edges", "uniform"}) {
    SCOPED_TRACE(recipe);
    ExplainOptions one;
    one.batch = 1;
    ExplainOptions two;
    two.batch = 2;  // 3 is no multiple: the last batch is padded
    const Tensor a = Explainer(network, {parse_recipe(recipe)}, one).explain(x, targets).relevance[0];
    const Tensor b = Explainer(network, {parse_recipe(recipe)}, two).explain(x, targets).relevance[0];
    expect_close(a, b, 1e-4, 1e-5);
  }
}

TEST(Explainer, TargetsMustBeClasses) {
  const Network network = network_a();
  Explainer explainer(network, {parse_recipe("gradient")}, {});
  const std::vector<std::int64_t> wrong{1};
  EXPECT_THROW(explainer.explain(floats({1, 2}, {1, 2}), wrong), UsageError);
  const std::vector<std::int64_t> many{0, 0};
  EXPECT_THROW(explainer.explain(floats({1, 2}, {1, 2}), many), UsageError);
}

TEST(Controls, UniformConserves) {
  const auto r = explain(network_a(), "uniform", floats({1, 2}, {1, 2}));
  EXPECT_NEAR(r[0], 1, 1e-6);
  EXPECT_NEAR(r[1], 1, 1e-6);
}

TEST(Recipe, CanonicalTextReadsBack) {
  EXPECT_EQ(parse_recipe("deep_taylor:input=zbox,gamma=0").text, "deep_taylor");
  EXPECT_EQ(parse_recipe("lrp_gamma:gamma=0.50").text, "lrp_gamma:gamma=0.5");
  for (const Recipe& r : default_recipes(true)) EXPECT_EQ(parse_recipe(r.text).text, r.text);
  EXPECT_EQ(expand_recipes("deep_taylor:gamma=0/0.5/1,input=w2/zplus").size(), 6U);
}

TEST(Recipe, MistakesAreNamed) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      parse_recipe(text);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("lrp_epsilon_pluss").find("lrp_epsilon_plus"), std::string::npos);
  EXPECT_NE(message("deep_taylor:gama=1").find("gamma"), std::string::npos);
  EXPECT_NE(message("deep_taylor:gamma=2"), "");
  EXPECT_NE(message("deep_taylor:gamma=nan"), "");
  EXPECT_NE(message("deep_taylor:gamma="), "");
  EXPECT_NE(message("deep_taylor:gamma=0,gamma=1"), "");
  EXPECT_NE(message(""), "");
  EXPECT_NE(message("gradient:pool=loud"), "");
}

}  // namespace heatproof
