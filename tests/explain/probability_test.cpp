// Probabilities of networks that end in every way, against torch (tests/goldens/make_probability_goldens.py).
#include "explain/probability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "validate/metric.h"

namespace heatproof {

using namespace testing;
using From = Probability::From;

namespace {

const std::map<std::string, Tensor>& expected() {
  static const auto arrays = read_npz(golden("probability/expected.npz"));
  return arrays;
}

Network network(const std::string& name) {
  const Model model = Model::load(golden("probability/" + name + ".onnx"));
  return Network(
      [model](std::int64_t batch) {
        Specialization s;
        s.batch = batch;
        return model.specialize(s);
      },
      {.output_name = name == "two" ? "classes" : ""});
}

const Tensor& inputs(const std::string& name) {
  return expected().at(name == "tokens" ? "tokens" : "images");
}

std::vector<std::int64_t> targets(const std::string& name) {
  const auto t = expected().at(name + " target").data<std::int64_t>();
  return {t.begin(), t.end()};
}

/// Largest difference, relative to the largest expected value; infinite where shapes or numbers do not fit.
double gap(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  double most = 0;
  double scale = 1e-6;
  for (std::size_t k = 0; k < a.data<float>().size(); ++k) {
    const double d = std::fabs(static_cast<double>(a.data<float>()[k]) - b.data<float>()[k]);
    if (!std::isfinite(d)) return INFINITY;
    most = std::max(most, d);
    scale = std::max(scale, std::fabs(static_cast<double>(b.data<float>()[k])));
  }
  return most / scale;
}

/// The goldens' images and relevance.
Evaluation evaluation(const Network& net, std::vector<std::int64_t> chosen) {
  const Tensor& x = expected().at("images");
  const Tensor& relevance = expected().at("relevance");
  return {.network = net,
          .inputs = x,
          .targets = std::move(chosen),
          .relevance = relevance,
          .heatmap = pool_channels(relevance, Pool::sum),
          .logits = net.predict(x),
          .ids = {1, 2, 3}};
}

std::vector<double> scores(const std::string& metric, const Evaluation& e) {
  return evaluate(parse_metric(metric), e).values;
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

struct Ending {
  const char* name;
  From from;
  std::int64_t choices, inner;
};

class Probabilities : public ::testing::TestWithParam<Ending> {};

}  // namespace

TEST_P(Probabilities, AreThoseOfTheNetworksOwnActivation) {
  const Ending ending = GetParam();
  const std::string name = ending.name;
  const Network net = network(name);
  EXPECT_EQ(net.probability().from, ending.from);
  EXPECT_EQ(net.probability().choices, ending.choices);
  EXPECT_EQ(net.probability().inner, ending.inner);
  const Tensor& wanted = expected().at(name + " probability");
  EXPECT_LT(gap(net.predict(inputs(name), ScoreKind::probability), wanted), 2e-6);
  const Tensor logits = net.predict(inputs(name));
  Tensor own = Tensor::empty(DType::f32, wanted.shape());
  const auto row = static_cast<std::size_t>(wanted.shape()[1]);
  for (std::size_t k = 0; k < own.data<float>().size(); ++k)
    own.data<float>()[k] = static_cast<float>(net.probability().of(
        logits.data<float>().subspan(k / row * row, row), static_cast<std::int64_t>(k % row)));
  EXPECT_LT(gap(own, wanted), 2e-6);
}

TEST_P(Probabilities, AreExplainedByTheirGradient) {
  const std::string name = GetParam().name;
  const Network net = network(name);
  Explainer explainer(net, {parse_recipe("gradient:output=probability")}, {});
  EXPECT_LT(
      gap(explainer.explain(inputs(name), targets(name)).relevance[0], expected().at(name + " gradient")),
      1e-5);
}

TEST_P(Probabilities, AreWatchedWhilePatchesVanish) {
  const std::string name = GetParam().name;
  if (name == "tokens") return;  // no image
  const Network net = network(name);
  const Evaluation e = evaluation(net, targets(name));
  const Tensor& wanted = expected().at(name + " deletion");
  const auto curves = evaluate(parse_metric("deletion:patch=3,steps=4"), e).curves.at("deletion");
  const double first = scores("irof:score=probability", e)[0];
  EXPECT_TRUE(std::isfinite(first));
  for (std::size_t i = 0; i < curves.size(); ++i) {
    ASSERT_EQ(curves[i].size(), 5U);
    for (std::size_t k = 0; k < 5; ++k)
      EXPECT_NEAR(curves[i][k], wanted.data<float>()[i * 5 + k], 2e-6) << i << " " << k;
  }
}

TEST_P(Probabilities, OfWindowsThatChangeAreThoseOfWholePasses) {
  const std::string name = GetParam().name;
  const Network net = network(name);
  const auto target = targets(name);
  Explainer explainer(net, {parse_recipe("occlusion:patch=1,stride=1,output=probability")}, {});
  const Tensor& x = inputs(name);
  const Tensor relevance = explainer.explain(x, target).relevance[0];
  Tensor covered = x.clone();  // the first position, in all channels
  const auto size = static_cast<std::size_t>(x.elements() / x.shape()[0]);
  const std::size_t step = name == "tokens" ? 4 : 36;  // tokens: windows slide along the last axis
  for (std::size_t n = 0; n < 3; ++n)
    for (std::size_t k = 0; k < size; k += step) covered.data<float>()[n * size + k] = 0;
  const Tensor before = net.predict(x, ScoreKind::probability);
  const Tensor after = net.predict(covered, ScoreKind::probability);
  const auto row = static_cast<std::size_t>(net.classes());
  for (std::size_t n = 0; n < 3; ++n) {
    const std::size_t at = n * row + static_cast<std::size_t>(target[n]);
    EXPECT_NEAR(relevance.data<float>()[n * size], before.data<float>()[at] - after.data<float>()[at], 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Probabilities,
    ::testing::Values(Ending{"binary", From::output, 1, 1}, Ending{"labels", From::output, 1, 1},
                      Ending{"pixels", From::softmax, 3, 36}, Ending{"pixels_binary", From::output, 1, 1},
                      Ending{"channels_last", From::softmax, 3, 1}, Ending{"moved", From::output, 3, 1},
                      Ending{"flattened", From::softmax, 3, 36}, Ending{"foreground", From::output, 1, 1},
                      Ending{"tokens", From::softmax, 3, 1}, Ending{"logarithms", From::softmax, 4, 1},
                      Ending{"log_pixels", From::logarithm, 3, 1}, Ending{"written_out", From::output, 4, 1},
                      Ending{"mean_pixels", From::output, 3, 1}, Ending{"ensemble", From::output, 4, 1},
                      Ending{"logits", From::convention, 4, 1}, Ending{"two", From::softmax, 3, 1},
                      Ending{"flat11", From::softmax, 6, 1}),
    [](const auto& ending) { return std::string(ending.param.name); });

TEST(NoProbability, IsRefusedWhereItWasAskedFor) {
  for (const char* name : {"value", "maps"}) {
    SCOPED_TRACE(name);
    const Network net = network(name);
    ASSERT_FALSE(net.probability());
    const Tensor& x = inputs(name);
    for (const char* recipe :
         {"gradient:output=probability", "rise:masks=4,output=probability",
          "occlusion:patch=2,stride=2,output=probability", "lime:samples=8,output=probability",
          "integrated_gradients:output=probability", "deeplift:output=probability"}) {
      const std::string why = refusal([&] { explain_with(net, recipe, x); });
      EXPECT_NE(why.find("output 'y' of shape 1x"), std::string::npos) << recipe << ": " << why;
      EXPECT_NE(why.find("use output=logit"), std::string::npos) << recipe << ": " << why;
    }
    const Evaluation e = evaluation(net, {0, 0, 0});
    for (const char* metric :
         {"deletion:score=probability", "insertion:score=probability", "irof:score=probability",
          "pixel_flipping:score=probability", "region_perturbation:patch_size=3,score=probability",
          "faithfulness_correlation:subset_size=4,score=probability"}) {
      const std::string why = refusal([&] { scores(metric, e); });
      EXPECT_NE(why.find("use score=logit"), std::string::npos) << metric << ": " << why;
    }
    EXPECT_NE(refusal([&] { scores("road", e); }).find("how often"), std::string::npos);
    EXPECT_NE(refusal([&] { net.predict(x, ScoreKind::probability); }), "");
  }
}

TEST(NoProbability, TheLogitIsWatchedWhereItIsOnlyTheDefault) {
  for (const char* name : {"value", "maps"}) {
    SCOPED_TRACE(name);
    const Network net = network(name);
    const Tensor& x = inputs(name);
    EXPECT_EQ(gap(explain_with(net, "rise:masks=20", x), explain_with(net, "rise:masks=20,output=logit", x)),
              0);
    const Evaluation e = evaluation(net, {0, 0, 0});
    for (const std::string metric : {"deletion", "insertion", "irof"}) {
      const auto own = scores(metric, e);
      EXPECT_EQ(own, scores(metric + ":score=logit", e)) << metric;
      EXPECT_NE(own[0], own[1]) << metric;  // a softmax over one output would be 1 everywhere
    }
  }
}

TEST(NoProbability, CanonicalTextsStayAsTheyWere) {
  EXPECT_EQ(parse_recipe("rise:output=probability").text, "rise");
  EXPECT_EQ(parse_metric("insertion:score=probability").text, "insertion");
  EXPECT_TRUE(parse_recipe("rise:output=probability").parameters.given("output"));
  EXPECT_FALSE(parse_recipe("rise").parameters.given("output"));
}

TEST(Probability, OfASigmoidIsWatchedByMasks) {
  const Network net = network("binary");
  const Tensor& x = inputs("binary");
  const Tensor own = explain_with(net, "rise:masks=50", x);
  // The explained logit of such a network is its output, a probability.
  EXPECT_LT(gap(own, explain_with(net, "rise:masks=50,output=logit", x)), 1e-6);
  const auto values = own.data<float>();
  EXPECT_GT(*std::ranges::max_element(values) - *std::ranges::min_element(values), 1e-3);
}

TEST(Probability, DecisionsOfSigmoidsStayOrChange) {
  // y = sigmoid(10 · mean of the first channel): removing the bright half turns the decision.
  const Network net([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1, 8, 8}});
    const Value mean = reduce_sum(x, {1, 2, 3}, false) / 64.0;
    g.output("y", reshape(g.add(kSigmoid, {mean * 10.0}), {batch, 1}));
    return g.build();
  });
  Evaluation e{
      .network = net, .inputs = Tensor::zeros(DType::f32, {2, 1, 8, 8}), .targets = {0, 0}, .ids = {1, 2}};
  for (std::size_t k = 0; k < 128; ++k) {
    const float up = k % 64 < 32 ? 3.0F : -1.0F;
    e.inputs.data<float>()[k] = k < 64 ? up : -up;
  }
  e.logits = net.predict(e.inputs);
  e.relevance = e.inputs.clone();
  for (float& r : e.relevance.data<float>().subspan(64)) r = -r;  // what decides, in both
  e.heatmap = pool_channels(e.relevance, Pool::sum);
  const Scores s = evaluate(parse_metric("road:first=10,every=80,noise=0"), e);
  for (const auto& kept : s.curves.at("kept")) {
    EXPECT_EQ(kept[0], 1);
    EXPECT_EQ(kept.size(), 2U);
  }
}

TEST(Probability, DifferencesAreToOtherClassesOfTheSamePlace) {
  const Network net = network("pixels");
  const Tensor logits = net.predict(inputs("pixels"));
  const auto row = logits.data<float>().first(3 * 36);
  const double rival = std::max(row[5], row[72 + 5]);
  EXPECT_EQ(net.probability().best_rival(row, 36 + 5), rival);
  const Network labels = network("labels");
  const float scores_of_labels[] = {0.1F, 0.9F, 0.5F, 0.2F};
  EXPECT_EQ(labels.probability().best_rival(scores_of_labels, 1), 0.5);
  const float undefined[] = {0.1F, 0.9F, NAN, 0.2F};
  EXPECT_TRUE(std::isnan(labels.probability().best_rival(undefined, 1)));
  for (const char* name : {"value", "binary", "maps", "pixels_binary"}) {
    const Network other = network(name);
    const Evaluation e = evaluation(other, {0, 0, 0});
    EXPECT_NE(refusal([&] { scores("pixel_flipping:score=difference", e); }).find("use score=logit"),
              std::string::npos)
        << name;
  }
}

TEST(Probability, IsNotSeenWhereThereIsNone) {
  const auto ends_in = [](const std::function<Value(Value)>& end) {
    const Network net([end](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 2, 3}});
      g.output("y", end(x));
      return g.build();
    });
    return net.probability();
  };
  const auto sigmoid = [](Value x) { return x.builder().add(kSigmoid, {x}); };
  const auto softmax = [](Value x) { return x.builder().add(kSoftmax, {x}, {{"axis", std::int64_t{1}}}); };
  EXPECT_TRUE(ends_in(sigmoid));
  EXPECT_TRUE(ends_in([&](Value x) { return 1.0 - sigmoid(x); }));
  EXPECT_TRUE(ends_in([&](Value x) { return sigmoid(x) * softmax(x); }));  // a box and its class
  EXPECT_EQ(ends_in([&](Value x) { return (softmax(x) + softmax(x * x)) * 0.5; }).choices, 2);
  EXPECT_TRUE(
      ends_in([&](Value x) { return x.builder().add(kReciprocal, {x.builder().add(kExp, {-x}) + 1.0}); }));
  EXPECT_FALSE(ends_in([&](Value x) { return sigmoid(x) * 255.0; }));
  EXPECT_FALSE(ends_in([&](Value x) { return sigmoid(x) + softmax(x); }));
  EXPECT_FALSE(ends_in([&](Value x) { return sigmoid(x) - 0.5; }));
  EXPECT_FALSE(ends_in([&](Value x) { return sigmoid(x) * x; }));
  EXPECT_FALSE(ends_in([&](Value x) { return x.builder().add(kTanh, {x}); }));
  EXPECT_FALSE(ends_in([&](Value x) { return reduce_sum(softmax(x), {1}, true); }));
}

TEST(Probability, OfAnEndlessChainIsNotSearchedForever) {
  const Network net([](std::int64_t batch) {
    Builder g;
    Value x = g.add(kSigmoid, {g.input("x", {DType::f32, {batch, 2, 3}})});
    for (int k = 0; k < 5000; ++k) x = x * g.add(kMax, {x, x * x});
    g.output("y", x);
    return g.build();
  });
  EXPECT_FALSE(net.probability());
}

}  // namespace heatproof
