#include "explain/incremental.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/incremental.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// Changes windows of random images step by step (persistent), or one window of them at a time: the scores
/// must always be those of whole passes. Returns whether there was something to check: a plan of windows.
bool check_updates(const Network& network, const Ints& patch, Updates mode, std::uint64_t seed, int steps,
                   double tolerance) {
  constexpr std::int64_t kRows = 3;
  auto plan = plan_windows(scores_graph(network, kRows), patch);
  if (!plan) return false;
  const Shape& input = network.input_shape();
  IncrementalProgram program(network, *plan, {patch, mode, kRows, kRows}, 1);
  RandomStream random(seed, {"updates"});
  std::vector<std::vector<float>> images;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const Tensor x = random_tensor(input, seed + static_cast<std::uint64_t>(i));
    images.emplace_back(x.data<float>().begin(), x.data<float>().end());
    program.load(i, images.back());
  }
  for (int step = 0; step < steps; ++step) {
    std::vector<std::vector<float>> rows;
    std::vector<IncrementalProgram::Change> changes;
    for (std::int64_t r = 0; r < kRows; ++r) {
      // Slots in any order; two windows of one slot at once, too.
      const std::int64_t slot = step % 3 == 0 ? 0 : (r + step) % kRows;
      const Place place = random_place(random, input, patch);
      auto x = images[static_cast<std::size_t>(slot)];
      auto window = window_of(input, patch, x, place);
      for (float& v : window) v = static_cast<float>(random.normal());
      put_window(input, patch, window, place, x);
      if (mode == Updates::persistent) images[static_cast<std::size_t>(slot)] = x;
      changes.push_back({slot, place, window_of(input, patch, x, place), {}});
      rows.push_back(std::move(x));
    }
    if (mode == Updates::persistent) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        rows[r] = images[static_cast<std::size_t>(changes[r].slot)];
        changes[r].window = window_of(input, patch, rows[r], changes[r].place);
      }
    }
    const Tensor expected = network.predict(stacked(rows, input));
    EXPECT_LT(deviation(program.update(changes, ScoreKind::logit), expected), tolerance) << "step " << step;
    if (::testing::Test::HasFailure()) break;  // one step is enough to know
  }
  return true;
}

}  // namespace

TEST(IncrementalProgram, GivesWhatWholePassesGive) {
  EXPECT_TRUE(rc::check("persistent and transient updates of random networks", [](std::uint16_t number) {
    const Shape input = random_input(number);
    const Network network = random_network(number, input);
    RandomStream random(number, {"patch"});
    Ints patch;
    for (std::size_t a = 2; a < input.size(); ++a)
      patch.push_back(static_cast<std::int64_t>(random.uniform(1, 6)));
    const Updates mode = number % 2 == 0 ? Updates::persistent : Updates::transient;
    RC_CLASSIFY(plan_windows(scores_graph(network, 1), patch).has_value(), "computed on windows");
    check_updates(network, patch, mode, number, 4, 1e-5);
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(IncrementalProgram, DoesNotDriftOverManyUpdates) {
  const Network network = random_network(7, {1, 3, 40, 40});
  ASSERT_TRUE(plan_windows(scores_graph(network, 1), {3, 3}));
  EXPECT_TRUE(check_updates(network, {3, 3}, Updates::persistent, 1, 200, 1e-5));
}

TEST(NetworkEditWindows, GivesWhatWholePassesGive) {
  const auto specialize = [](std::int64_t batch) { return random_graph(7, batch, {1, 3, 40, 40}); };
  for (const std::size_t memory : {std::size_t{1} << 10, std::size_t{1} << 20, std::size_t{1} << 30}) {
    const Network network(specialize, {.memory = memory});
    const Shape& input = network.input_shape();
    const std::vector<Tensor> bases{random_tensor(input, 1), random_tensor(input, 2),
                                    random_tensor(input, 3)};
    const Ints patch{4, 5};
    std::vector<std::vector<float>> rows(40);
    std::vector<std::vector<float>> inputs;
    const auto base = [&](std::int64_t i) {
      return std::span<const float>(bases[static_cast<std::size_t>(i)].data<float>());
    };
    const auto image = [](std::int64_t i) { return i / 7 % 3; };
    const auto first = [](std::int64_t i) { return Place{i % 37, i * 7 % 36}; };
    const auto change = [](std::int64_t i, std::span<float> window) {
      for (std::size_t k = static_cast<std::size_t>(i % 3); k < window.size(); ++k)
        window[k] = 0.1F * static_cast<float>(i);
    };
    network.edit_windows({.count = 40,
                          .patch = patch,
                          .image = image,
                          .base = base,
                          .first = first,
                          .change = change,
                          .use =
                              [&](std::int64_t i, std::span<const float> s) {
                                rows[static_cast<std::size_t>(i)].assign(s.begin(), s.end());
                              }},
                         ScoreKind::logit);
    for (std::int64_t i = 0; i < 40; ++i) {
      inputs.emplace_back(base(image(i)).begin(), base(image(i)).end());
      auto window = window_of(input, patch, inputs.back(), first(i));
      change(i, window);
      put_window(input, patch, window, first(i), inputs.back());
    }
    EXPECT_LT(deviation(stacked(rows, {1, 5}), network.predict(stacked(inputs, input))), 1e-5);
  }
}

TEST(IncrementalProgram, AgreesOnRealNetworks) {
  for (const auto& [name, patch] : std::map<std::string, Ints>{{"squeezenet_fp16", {16, 16}},
                                                               {"mnist", {3, 3}},
                                                               {"cifar10_small", {4, 4}},
                                                               {"resnet8_cifar10", {4, 4}},
                                                               {"mobilenet_v1_025_vww", {8, 8}}}) {
    const auto path = shared_data("models/" + name + ".onnx");
    if (path.empty()) GTEST_SKIP() << "no shared data";
    SCOPED_TRACE(name);
    const Network network = network_of(path);
    EXPECT_TRUE(check_updates(network, patch, Updates::persistent, 5, 6, 1e-5));
    EXPECT_TRUE(check_updates(network, patch, Updates::transient, 5, 4, 1e-5));
  }
}

TEST(IncrementalProgram, AgreesOnNetworksOfTheGoldens) {
  // Not gates: it has no plan, so that nothing would be compared.
  for (const std::string name : {"cnn", "resnet", "strided", "pools", "mobile"}) {
    SCOPED_TRACE(name);
    const Network network = network_of(golden(name + ".onnx"));
    const Ints patch(network.input_shape().size() - 2, 2);
    EXPECT_TRUE(check_updates(network, patch, Updates::persistent, 5, 4, 1e-5));
    EXPECT_TRUE(check_updates(network, patch, Updates::transient, 5, 4, 1e-5));
  }
}

}  // namespace heatproof
