#include <gtest/gtest.h>

#include "support/incremental.h"
#include "support/operators.h"
#include "validate/imputer.h"
#include "validate/metrics.h"

namespace heatproof {

using namespace testing;

namespace {

const Shape kImage{1, 3, 24, 24};

/// What the scores of a walk may hang on besides order and input.
struct Circumstances {
  std::vector<double> black = {}, white = {};
  std::uint64_t seed = 0;
  std::vector<std::uint64_t> ids = {1, 2};
  std::uint64_t donors = 0;  // 0: the samples themselves
};

Scores measured(const Network& network, const std::string& metric, const Circumstances& c) {
  const Tensor inputs = random_tensor({2, 3, 24, 24}, 1);
  const Tensor relevance = random_tensor({2, 3, 24, 24}, 2);
  const Tensor others = random_tensor({2, 3, 24, 24}, c.donors);
  const Donors donors{{7, 8}, {0, 0}, [&](std::int64_t i) { return others.rows(i, i + 1); }};
  Evaluation e{.network = network,
               .inputs = inputs,
               .targets = {0, 1},
               .relevance = relevance,
               .heatmap = random_tensor({2, 24, 24}, 3),
               .logits = network.predict(inputs),
               .black = c.black,
               .white = c.white,
               .seed = c.seed,
               .ids = c.ids};
  if (c.donors > 0) e.donors = [&]() -> const Donors& { return donors; };
  return evaluate(parse_metric(metric), e);
}

}  // namespace

TEST(Flipping, ScoresDoNotHangOnWhatWasMeasuredBefore) {
  const Network used = random_network(7, kImage);
  std::vector<std::string> metrics{
      "pixel_flipping:patch=3",
      "pixel_flipping:patch=4",
      "pixel_flipping:steps=5",
      "pixel_flipping:order=morf",
      "pixel_flipping:order=lerf",
      "deletion:patch=4,steps=14",
      "pixel_flipping:as_quantus=true,features_in_step=64",
      "pixel_flipping:as_quantus=true,features_in_step=64,abs=true",
      "pixel_flipping:as_quantus=true,features_in_step=1000",
      "pixel_flipping:as_quantus=true,features_in_step=1500",
      "pixel_flipping:as_quantus=true,features_in_step=64,perturb_baseline=white"};
  for (const std::string& name : imputer_names())
    metrics.push_back("pixel_flipping:patch=4,steps=7,imputer=" + name);
  const std::vector<Circumstances> all{{},           {.black = {-1, -2, -3}}, {.white = {2, 3, 4}},
                                       {.seed = 1},  {.ids = {1, 3}},         {.donors = 4},
                                       {.donors = 5}};
  for (const std::string& metric : metrics) {
    for (const Circumstances& c : all) {
      const Scores scores = measured(used, metric, c);
      const Scores expected = measured(random_network(7, kImage), metric, c);
      for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(scores.values[i], expected.values[i], 1e-5) << metric;
      EXPECT_EQ(measured(used, metric, c).values, scores.values) << metric;
    }
  }
}

TEST(Flipping, PatchesOfOtherSizesAreOtherWalksWhereNoWindowTells) {
  const Shape line{1, 2, 60};
  const Tensor inputs = random_tensor(line, 1);
  const Network used = random_network(5, line);
  for (const std::string size : {"50", "55"}) {  // three patches of the 120 features
    const auto values = [&](const Network& network) {
      return evaluate(parse_metric("pixel_flipping:order=morf,imputer=mean,patch=" + size),
                      {.network = network,
                       .inputs = inputs,
                       .targets = {0},
                       .relevance = Tensor::filled(line, 1),
                       .heatmap = Tensor::filled({1, 1, 120}, 1),
                       .logits = network.predict(inputs),
                       .ids = {1}})
          .values;
    };
    EXPECT_NEAR(values(used)[0], values(random_network(5, line))[0], 1e-5);
  }
}

}  // namespace heatproof
