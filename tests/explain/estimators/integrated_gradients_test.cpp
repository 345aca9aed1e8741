#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/estimators/quadrature.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

TEST(Quadrature, RulesIntegrateWhatTheyShould) {
  const auto integral = [](const std::string& rule, std::int64_t steps, int power) {
    const Quadrature q = quadrature(rule, steps);
    double sum = 0;
    for (std::size_t k = 0; k < q.points.size(); ++k) sum += q.weights[k] * std::pow(q.points[k], power);
    return sum;
  };
  for (const std::string& rule : quadrature_rules()) {
    SCOPED_TRACE(rule);
    EXPECT_NEAR(integral(rule, 400, 2), 1.0 / 3, 5e-3);
  }
  EXPECT_NEAR(integral("midpoint", 1, 1), 0.5, 1e-12);
  EXPECT_NEAR(integral("left", 4, 1), 0.375, 1e-12);
  EXPECT_NEAR(integral("right", 4, 1), 0.625, 1e-12);
  EXPECT_NEAR(integral("trapezoid", 5, 0), 0.8, 1e-12);  // as captum: 1 − 1/steps
  for (int power = 0; power < 20; ++power)
    EXPECT_NEAR(integral("gauss_legendre", 10, power), 1.0 / (power + 1), 1e-12);
}

TEST(IntegratedGradients, OfALinearNetworkAreGradientTimesDifference) {
  const Shape shape{2, 3, 5};
  const Tensor w = random_tensor({2, 30}, 1);
  const Network network = linear_network(shape, w, floats({2}, {0.5F, -1}));
  const Tensor x = random_tensor({3, 2, 3, 5}, 2);
  for (const double baseline : {0.0, 0.75}) {
    const Tensor r =
        explain_with(network, "integrated_gradients:steps=3,baseline=" + std::to_string(baseline), x, 1);
    for (std::size_t i = 0; i < r.data<float>().size(); ++i)
      EXPECT_NEAR(r.data<float>()[i], w.data<float>()[30 + i % 30] * (x.data<float>()[i] - baseline), 1e-5);
  }
}

TEST(IntegratedGradients, MeanBaselineIsTheMeanOfEachChannel) {
  const Tensor w = floats({1, 4}, {1, 1, 1, 1});
  const Network network = linear_network({2, 2}, w, floats({1}, {0}));
  const Tensor r =
      explain_with(network, "integrated_gradients:steps=2,baseline=mean", floats({1, 2, 2}, {1, 3, 10, 20}));
  expect_close(r, floats({1, 2, 2}, {-1, 1, -5, 5}));
}

TEST(IntegratedGradients, BlackAndWhiteComeFromTheBox) {
  const Network network = linear_network({2, 1, 2}, floats({1, 4}, {1, 1, 1, 1}), floats({1}, {0}));
  ExplainOptions options;
  options.low = {-1, -2};
  options.high = {1, 2};
  const Tensor x = floats({1, 2, 1, 2}, {0, 0.5, 0, 0.5});
  const std::vector<std::int64_t> targets{0};
  const auto with = [&](const char* recipe) {
    return Explainer(network, {parse_recipe(recipe)}, options).explain(x, targets).relevance[0];
  };
  expect_close(with("integrated_gradients:steps=2,baseline=black"), floats({1, 2, 1, 2}, {1, 1.5, 2, 2.5}));
  expect_close(with("integrated_gradients:steps=2,baseline=white"),
               floats({1, 2, 1, 2}, {-1, -0.5, -2, -1.5}));
}

TEST(IntegratedGradients, SumToTheDifferenceOfTheScores) {
  for (const char* name : {"cnn", "smooth", "dense", "strided"}) {
    SCOPED_TRACE(name);
    const Network network = network_of(golden(std::string(name) + ".onnx"));
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    const Tensor scores = network.predict(x);
    const Tensor black = network.predict(Tensor::zeros(DType::f32, x.shape()));
    const auto gap = [&](const char* recipe) {
      const Tensor r = explain_with(network, recipe, x, 1);
      double worst = 0;
      for (std::int64_t n = 0; n < x.shape()[0]; ++n) {
        const auto k = static_cast<std::size_t>(n * network.classes() + 1);
        const double off = std::fabs(sum_of_row(r, n) - (scores.data<float>()[k] - black.data<float>()[k]));
        EXPECT_TRUE(std::isfinite(off));  // the maximum would not show it
        worst = std::max(worst, off);
      }
      return worst;
    };
    EXPECT_LT(gap("integrated_gradients:steps=256"), 5e-3);
    EXPECT_LT(gap("integrated_gradients:steps=256"), gap("integrated_gradients:steps=4") + 1e-4);
  }
}

TEST(IntegratedGradients, DoNotDependOnMemoryOrOnOtherSamples) {
  const auto arrays = read_npz(golden("resnet.npz"));
  const Network network = network_of(golden("resnet.onnx"));
  const Tensor x = arrays.at("input");
  const Tensor all = explain_with(network, "integrated_gradients:steps=21", x);
  const Tensor one = explain_with(network, "integrated_gradients:steps=21", x.rows(1, 2));
  expect_equal(one, all.rows(1, 2));
  const auto model = Model::load(golden("resnet.onnx"));
  NetworkOptions options;
  options.memory = 1;  // one step at a time
  const Network narrow(
      [&](std::int64_t batch) {
        Specialization s;
        s.batch = batch;
        return model.specialize(s);
      },
      options);
  EXPECT_LT(deviation(explain_with(narrow, "integrated_gradients:steps=21", x), all), 1e-5);
}

TEST(IntegratedGradients, RefuseWhatTheyDoNotKnow) {
  EXPECT_THROW(parse_recipe("integrated_gradients:baseline=grey"), UsageError);
  EXPECT_THROW(parse_recipe("integrated_gradients:steps=0"), UsageError);
  EXPECT_THROW(parse_recipe("integrated_gradients:rule=simpson"), UsageError);
}

}  // namespace heatproof
