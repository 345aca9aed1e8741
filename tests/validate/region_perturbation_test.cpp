#include <gtest/gtest.h>

#include "support/incremental.h"
#include "support/operators.h"
#include "validate/metrics.h"

namespace heatproof {

using namespace testing;

namespace {

Scores measured(const Network& network, const std::string& metric) {
  const Tensor inputs = random_tensor({3, 3, 40, 40}, 1);
  const Tensor relevance = random_tensor({3, 3, 40, 40}, 2);
  const Evaluation e{.network = network,
                     .inputs = inputs,
                     .targets = {0, 1, 2},
                     .relevance = relevance,
                     .heatmap = relevance.rows(0, 3),
                     .logits = network.predict(inputs),
                     .ids = {1, 2, 3}};
  return evaluate(parse_metric(metric), e);
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

}  // namespace heatproof
