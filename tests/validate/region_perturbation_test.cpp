#include <gtest/gtest.h>

#include <utility>

#include "ops/operators.h"
#include "support/incremental.h"
#include "support/operators.h"
#include "validate/metrics.h"

namespace heatproof {

using namespace testing;

namespace {

Scores measured(const Network& network, const std::string& metric, const Tensor& relevance) {
  const Tensor inputs = random_tensor({3, 3, 40, 40}, 1);
  const Evaluation e{.network = network,
                     .inputs = inputs,
                     .targets = {0, 1, 2},
                     .relevance = relevance,
                     .heatmap = relevance.rows(0, 3),
                     .logits = network.predict(inputs),
                     .ids = {1, 2, 3}};
  return evaluate(parse_metric(metric), e);
}

Scores measured(const Network& network, const std::string& metric) {
  return measured(network, metric, random_tensor({3, 3, 40, 40}, 2));
}

}  // namespace

TEST(RegionPerturbation, TellsWhatItChangesWherePatchesStickOut) {
  const Shape input{1, 3, 40, 40};
  const Network incremental = random_network(7, input);
  const Network whole = random_network(7, input, {.memory = 1, .batch = 2});  // no room for windows
  // 40 is 8 · 5, and less than 6 · 7, whose grid sticks out on all sides.
  for (const std::string patch : {"5", "7"}) {
    ASSERT_TRUE(plan_windows(scores_graph(incremental, 1), {std::stoll(patch), std::stoll(patch)}));
    const std::string metric = "region_perturbation:regions_evaluation=30,patch_size=" + patch;
    const auto updated = measured(incremental, metric).curves.at("fall");
    const auto expected = measured(whole, metric).curves.at("fall");
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t k = 0; k < 30; ++k) EXPECT_NEAR(updated[i][k], expected[i][k], 1e-5);
    }
  }
}

TEST(RegionPerturbation, ComputesNothingAgainWhereTheOrderIsTheSame) {
  std::int64_t reports = 0;
  const Network network =
      random_network(7, {1, 3, 40, 40}, {.batch = 2, .progress = [&](auto, auto) { ++reports; }});
  const auto computes = [&](const std::string& parameters, const Tensor& relevance) {
    const std::string metric = "region_perturbation:" + parameters;
    network.predict(random_tensor({3, 3, 40, 40}, 1));
    const std::int64_t predicting = std::exchange(reports, 0);
    const Scores scores = measured(network, metric, relevance);
    const bool computed = std::exchange(reports, 0) > predicting + 1;  // what is known is reported once
    const Scores expected = measured(random_network(7, {1, 3, 40, 40}), metric, relevance);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(scores.values[i], expected.values[i], 1e-5);
    return computed;
  };
  const Tensor flat = Tensor::filled({3, 3, 40, 40}, 1);
  const Tensor relevance = random_tensor({3, 3, 40, 40}, 2);
  Tensor twice = relevance.clone();
  for (float& v : twice.data<float>()) v *= 2;
  EXPECT_TRUE(computes("order=morf", flat));
  EXPECT_FALSE(computes("order=lerf", flat));
  EXPECT_TRUE(computes("order=morf", relevance));
  EXPECT_FALSE(computes("normalise=none", twice));
  EXPECT_FALSE(computes("score=difference", relevance));
  EXPECT_TRUE(computes("score=probability", relevance));
  EXPECT_TRUE(computes("order=lerf", relevance));
  EXPECT_TRUE(computes("perturb_baseline=1", relevance));
  EXPECT_TRUE(computes("patch_size=7", flat));
  EXPECT_TRUE(computes("regions_evaluation=8", flat));
}

TEST(RegionPerturbation, PatchesOfOtherSizesAreOtherWalksWhereNoWindowTells) {
  const auto dense = [](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 20}});
    g.output("y", g.add(kLinear, {x, g.constant(random_tensor({3, 20}, 1))}));
    return g.build();
  };
  const Tensor inputs = random_tensor({1, 20}, 2);
  const Network used(dense);
  for (const std::string size : {"7", "8"}) {  // three patches each
    const auto values = [&](const Network& network) {
      return evaluate(parse_metric("region_perturbation:patch_size=" + size),
                      {.network = network,
                       .inputs = inputs,
                       .targets = {0},
                       .relevance = Tensor::filled({1, 20}, 1),
                       .heatmap = Tensor::filled({1, 1, 20}, 1),
                       .logits = network.predict(inputs),
                       .ids = {1}})
          .values;
    };
    EXPECT_NEAR(values(used)[0], values(Network(dense))[0], 1e-5);
  }
}

}  // namespace heatproof
