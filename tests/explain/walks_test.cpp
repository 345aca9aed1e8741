// Network::walk: however walks are told and grouped, scores are those of whole passes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/incremental.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

Walks random_walks(const Network& network, const std::vector<Tensor>& bases, std::int64_t per_base,
                   std::int64_t steps, const Ints& patch,
                   std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>>& scores) {
  const Shape input = network.input_shape();
  return {.count = static_cast<std::int64_t>(bases.size()) * per_base,
          .steps = steps,
          .patch = patch,
          .base = [&bases, per_base](
                      std::int64_t w) { return bases[static_cast<std::size_t>(w / per_base)].data<float>(); },
          .fill =
              [=, &bases](std::int64_t w, std::int64_t step, std::span<float> x) {
                std::ranges::copy(bases[static_cast<std::size_t>(w / per_base)].data<float>(), x.begin());
                RandomStream random(static_cast<std::uint64_t>(w), {"walk"});
                for (std::int64_t k = 0; k < step; ++k) {
                  const Place place = random_place(random, input, patch);
                  const auto value = static_cast<float>(random.normal());
                  auto window = window_of(input, patch, x, place);
                  std::ranges::fill(window, value);
                  put_window(input, patch, window, place, x);
                  // Once, everything changes.
                  if (k == steps / 2) std::ranges::for_each(x, [](float& v) { v *= 0.5F; });
                }
              },
          .use =
              [&scores](std::int64_t w, std::int64_t step, std::span<const float> s) {
                scores[{w, step}].assign(s.begin(), s.end());
              }};
}

void check_walks(const Network& network, const Ints& patch, std::int64_t per_base, std::int64_t steps,
                 ScoreKind kind, bool told = false) {
  const std::vector<Tensor> bases{random_tensor(network.input_shape(), 1),
                                  random_tensor(network.input_shape(), 2),
                                  random_tensor(network.input_shape(), 3)};
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>> scores;
  Walks walks = random_walks(network, bases, per_base, steps, patch, scores);
  std::atomic<int> asked = 0;
  if (told) {
    walks.advance = [&](std::int64_t w, std::int64_t step, std::span<float> x) {
      const std::vector<float> before(x.begin(), x.end());
      walks.fill(w, step, x);
      ++asked;
      return differences(network.input_shape(), patch, before, x);
    };
  }
  network.walk(walks, kind);
  EXPECT_EQ(asked, told ? walks.count * walks.steps : 0);
  ASSERT_EQ(scores.size(), static_cast<std::size_t>(walks.count * walks.steps));
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> rows;
  for (std::int64_t w = 0; w < walks.count; ++w) {
    for (std::int64_t s = 0; s < steps; ++s) {
      inputs.emplace_back(bases[0].data<float>().size());
      walks.fill(w, s, inputs.back());
      rows.push_back(scores.at({w, s}));
    }
  }
  EXPECT_LT(deviation(stacked(rows, {1, network.classes()}),
                      network.predict(stacked(inputs, network.input_shape()), kind)),
            1e-5);
}

}  // namespace

TEST(NetworkWalk, GivesWhatWholePassesGiveHoweverManyWalksThereAre) {
  const Network network = random_network(7, {1, 3, 40, 40});
  ASSERT_TRUE(plan_windows(scores_graph(network, 1), {3, 3}));
  for (const std::int64_t per_base : {1, 3, 5}) check_walks(network, {3, 3}, per_base, 8, ScoreKind::logit);
  check_walks(network, {3, 3}, 1, 8, ScoreKind::probability);
  check_walks(network, {20, 3}, 2, 5, ScoreKind::logit);
  check_walks(network, {40, 40}, 1, 3, ScoreKind::logit);
  check_walks(network, {}, 1, 3, ScoreKind::logit);
}

TEST(NetworkWalk, KeepsToTheMemory) {
  const auto specialize = [](std::int64_t batch) { return random_graph(7, batch, {1, 3, 40, 40}); };
  for (const std::size_t memory : {std::size_t{1} << 10, std::size_t{1} << 20, std::size_t{1} << 21})
    check_walks(Network(specialize, {.memory = memory}), {3, 3}, 2, 6, ScoreKind::logit);
}

TEST(NetworkWalk, TakesTheWordOfWhoeverKnowsWhatChanges) {
  const Network network = random_network(7, {1, 3, 40, 40});
  for (const std::int64_t per_base : {1, 5})
    check_walks(network, {3, 3}, per_base, 8, ScoreKind::logit, true);
}

TEST(NetworkWalk, GoesOnAsBeforeWhenAProgramIsOutgrown) {
  // Of so many channels that convolutions may be transformed.
  const Network network([](std::int64_t batch) {
    Builder g;
    Value x = g.input("x", {DType::f32, {batch, 3, 40, 40}});
    for (int i = 0; i < 3; ++i) {
      const std::int64_t channels = x.shape()[1];
      Tensor w = random_tensor({64, channels, 3, 3}, static_cast<std::uint64_t>(i));
      for (float& v : w.data<float>()) v /= std::sqrt(static_cast<float>(9 * channels));
      x = g.add(kRelu, {g.add(kConv, {x, g.constant(w)}, {{"pads", Ints{1, 1, 1, 1}}})});
    }
    const Value mean = g.add(kReduceMean, {x}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}});
    g.output("y", g.add(kLinear, {mean, g.constant(random_tensor({5, 64}, 9))}));
    return g.build();
  });
  const auto plan = plan_windows(scores_graph(network, 1), {3, 3});
  ASSERT_TRUE(plan);
  const IncrementalSize size{{3, 3}, Updates::persistent, 1, 2};
  const IncrementalProgram few(network, *plan, size, 1);
  EXPECT_FALSE(few.outgrown(1));
  EXPECT_TRUE(few.outgrown(1000000));
  EXPECT_FALSE(IncrementalProgram(network, *plan, size, 1000000).outgrown(1000000));
  for (int call = 0; call < 4; ++call) check_walks(network, {3, 3}, 4, 16, ScoreKind::logit);
}

}  // namespace heatproof
