// WalkMemo: equal walks are computed once, others are not confused, and it keeps to its memory.
#include "explain/walk_memo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/files.h"
#include "support/incremental.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
const Shape kImage{1, 3, 40, 40};
const Ints kPatch{3, 3};
constexpr std::int64_t kSteps = 6;

/// A base and where its patches become `value`.
struct Plan {
  Tensor base = random_tensor(kImage, 1);
  std::uint64_t order = 0;
  float value = 0;
};

using WalkScores = std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>>;

Walks walks_of(const std::vector<Plan>& plans, WalkScores& scores) {
  const auto plan = [&plans](std::int64_t w) -> const Plan& { return plans[static_cast<std::size_t>(w)]; };
  return {.count = static_cast<std::int64_t>(plans.size()),
          .steps = kSteps,
          .patch = kPatch,
          .base = [plan](std::int64_t w) { return plan(w).base.data<float>(); },
          .fill =
              [plan](std::int64_t w, std::int64_t step, std::span<float> x) {
                std::ranges::copy(plan(w).base.data<float>(), x.begin());
                RandomStream random(plan(w).order, {"order"});
                for (std::int64_t k = 0; k <= step; ++k)
                  put_window(kImage, kPatch, std::vector<float>(27, plan(w).value),
                             random_place(random, kImage, kPatch), x);
              },
          .use =
              [&scores](std::int64_t w, std::int64_t step, std::span<const float> s) {
                ASSERT_TRUE(scores.try_emplace({w, step}, s.begin(), s.end()).second) << "told twice";
              },
          .changes =
              [plan](std::int64_t w, Sha256& hash) {
                hash.add_values(std::vector{plan(w).order});
                hash.add_values(std::vector{plan(w).value});
              }};
}

/// Counts walks that are computed, each of whose scores are those of whole passes.
class Counter {
 public:
  std::int64_t computed_of(const Walks& walks, ScoreKind kind = ScoreKind::logit) {
    std::int64_t count = 0;
    memo_.run(walks, kind, network_.classes(), [&](const Walks& unknown) {
      count = unknown.count;
      network_.stream(
          unknown.count * unknown.steps, kind,
          [&](std::int64_t i, std::span<float> x) { unknown.fill(i / unknown.steps, i % unknown.steps, x); },
          [&](std::int64_t i, std::span<const float> s) {
            unknown.use(i / unknown.steps, i % unknown.steps, s);
          });
    });
    return count;
  }
  std::int64_t computed(const std::vector<Plan>& plans, ScoreKind kind = ScoreKind::logit) {
    WalkScores scores;
    const std::int64_t count = computed_of(walks_of(plans, scores), kind);
    EXPECT_EQ(scores.size(), plans.size() * kSteps);
    return count;
  }
  /// For so many walks.
  explicit Counter(std::size_t walks = 100)
      : memo_(walks * (kSteps * static_cast<std::size_t>(network_.classes()) * sizeof(float) + 256)) {}
  const WalkMemo& memo() const { return memo_; }

 private:
  Network network_ = random_network(7, kImage);
  WalkMemo memo_;
};

}  // namespace

TEST(WalkMemo, ComputesEqualWalksOnce) {
  Counter counter;
  EXPECT_EQ(counter.computed({{.order = 1}, {.order = 2}, {.order = 1}}), 2);
  EXPECT_EQ(counter.computed({{.order = 2}, {.order = 3}, {.order = 1}, {.order = 3}}), 1);
  EXPECT_EQ(counter.computed({{.order = 1}, {.order = 2}, {.order = 3}}), 0);
}

TEST(WalkMemo, TellsApartWhateverScoresHangOn) {
  Counter counter;
  EXPECT_EQ(counter.computed(std::vector<Plan>(1)), 1);
  EXPECT_EQ(counter.computed({{.base = random_tensor(kImage, 2)}}), 1);
  EXPECT_EQ(counter.computed({{.order = 1}}), 1);
  EXPECT_EQ(counter.computed({{.value = 1}}), 1);
  EXPECT_EQ(counter.computed(std::vector<Plan>(1), ScoreKind::probability), 1);
  WalkScores scores;
  const std::vector<Plan> plans(1);
  Walks walks = walks_of(plans, scores);
  walks.steps = kSteps - 1;
  EXPECT_EQ(counter.computed_of(walks), 1);
  walks.patch = {4, 4};
  scores.clear();
  EXPECT_EQ(counter.computed_of(walks), 1);
  EXPECT_EQ(counter.computed(std::vector<Plan>(1)), 0);
}

TEST(WalkMemo, ForgetsTheOldest) {
  Counter counter(2);
  EXPECT_EQ(counter.computed({{.order = 1}}), 1);
  EXPECT_EQ(counter.computed({{.order = 2}}), 1);
  const std::size_t full = counter.memo().bytes();
  EXPECT_EQ(counter.computed({{.order = 3}}), 1);
  EXPECT_EQ(counter.memo().bytes(), full);
  EXPECT_EQ(counter.computed({{.order = 2}, {.order = 3}}), 0);
  EXPECT_EQ(counter.computed({{.order = 1}}), 1);
}

TEST(WalkMemo, NeverHoldsMoreThanFits) {
  Counter counter(2);
  EXPECT_EQ(counter.computed({{.order = 1}, {.order = 2}, {.order = 3}, {.order = 1}}), 3);
  EXPECT_EQ(counter.computed({{.order = 1}, {.order = 2}}), 0);
  EXPECT_EQ(counter.computed({{.order = 3}}), 1);
  Counter none(0);
  EXPECT_EQ(none.computed({{.order = 1}, {.order = 1}}), 1);
  EXPECT_EQ(none.computed({{.order = 1}}), 1);
  EXPECT_EQ(none.memo().bytes(), 0);
}

TEST(WalkMemo, KnowsNothingOfWalksThatFailed) {
  Counter counter;
  WalkScores scores;
  const std::vector<Plan> plans(2);
  Walks walks = walks_of(plans, scores);
  walks.use = [](std::int64_t, std::int64_t step, std::span<const float>) {
    if (step == 3) throw std::runtime_error("enough");
  };
  EXPECT_THROW(counter.computed_of(walks), std::runtime_error);
  EXPECT_EQ(counter.computed(plans), 1);
}

TEST(NetworkWalk, RemembersItsOwnScoresOnly) {
  // Incrementally, and as whole passes.
  for (const std::size_t memory : {std::size_t{2} << 30, std::size_t{1} << 18}) {
    std::int64_t reports = 0;
    std::pair<std::int64_t, std::int64_t> last;
    const NetworkOptions options{.memory = memory, .batch = 2, .progress = [&](auto done, auto all) {
                                   ++reports;
                                   last = {done, all};
                                 }};
    const Network network = random_network(7, kImage, options);
    const Network other = random_network(8, kImage, options);
    std::vector<Plan> plans;
    for (std::uint64_t k = 0; k < 12; ++k) plans.push_back({.order = k % 10});
    WalkScores own, again, others, expected;
    network.walk(walks_of(plans, own), ScoreKind::logit);
    EXPECT_EQ(last, std::pair(10 * kSteps, 10 * kSteps));
    other.walk(walks_of(plans, others), ScoreKind::logit);
    reports = 0;
    network.walk(walks_of(plans, again), ScoreKind::logit);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(last, std::pair(12 * kSteps, 12 * kSteps));
    EXPECT_EQ(again, own);
    network.forget_walks();
    again.clear();
    network.walk(walks_of(plans, again), ScoreKind::logit);
    EXPECT_EQ(last, std::pair(10 * kSteps, 10 * kSteps));
    Walks unnamed = walks_of(plans, expected);
    unnamed.changes = {};
    network.walk(unnamed, ScoreKind::logit);
    ASSERT_EQ(own.size(), expected.size());
    for (const auto& [at, scores] : expected) {
      for (std::size_t c = 0; c < scores.size(); ++c) EXPECT_NEAR(own.at(at)[c], scores[c], 1e-5);
    }
    EXPECT_NE(others.at({0, 0}), own.at({0, 0}));
  }
}

}  // namespace heatproof
