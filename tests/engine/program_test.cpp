#include "engine/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>

#include "engine/layout.h"
#include "engine/lowering.h"
#include "engine/memory_plan.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Graph tower(int depth) {
  Builder g;
  Value x = g.input("x", {DType::f32, {1, 16, 32, 32}});
  for (int i = 0; i < depth; ++i) {
    const Value w = g.constant(random_tensor({16, 16, 3, 3}, static_cast<std::uint64_t>(i), -0.2, 0.2));
    const std::vector<std::int64_t> pads{1, 1, 1, 1};
    x = g.add(kRelu,
              {g.add(kConv, {x, w}, {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"pads", pads}})});
  }
  g.output("y", x);
  return g.build();
}

}  // namespace

TEST(Program, MemoryDoesNotGrowWithDepth) {
  const std::size_t shallow = compile(tower(4)).arena_bytes();
  const std::size_t deep = compile(tower(40)).arena_bytes();
  EXPECT_LE(deep, shallow + shallow / 4);
}

TEST(Program, IsReentrant) {
  const Program program = compile(tower(6));
  const Tensor x = random_tensor({1, 16, 32, 32}, 9);
  Workspace first(program);
  const Tensor expected = first.run({x}).at(0);
  std::vector<Tensor> results(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([&, i] { results[i] = Workspace(program).run({x}).at(0); });
  for (std::thread& t : threads) t.join();
  for (const Tensor& r : results) expect_close(r, expected, 1e-5);
}

TEST(Program, RunsOnlyWhatSomeOutputsNeed) {
  // Two towers on a common first layer, which take turns in the same memory.
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 8, 16, 16}});
  const auto layer = [&](Value v, std::uint64_t seed) {
    const std::vector<std::int64_t> pads{1, 1, 1, 1};
    const Value w = g.constant(random_tensor({8, 8, 3, 3}, seed, -0.3, 0.3));
    return g.add(kRelu,
                 {g.add(kConv, {v, w}, {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"pads", pads}})});
  };
  const Value first = layer(x, 1);
  Value a = first;
  Value b = first;
  for (std::uint64_t k = 0; k < 4; ++k) {
    a = g.add(kAdd, {layer(a, 10 + k), a});  // in place
    b = g.add(kAdd, {layer(b, 20 + k), b});
  }
  g.output("first", first);
  g.output("a", a);
  g.output("b", b);
  const Program program = compile(g.build());
  Workspace workspace(program);
  const Tensor one = random_tensor({1, 8, 16, 16}, 5);
  const Tensor other = random_tensor({1, 8, 16, 16}, 6);
  const std::vector<Tensor> expected = workspace.run({one});
  const std::vector<Tensor> inputs{one};
  for (const std::vector<std::size_t>& some :
       std::vector<std::vector<std::size_t>>{{1}, {2}, {2, 0}, {0, 1, 2}}) {
    workspace.run({other});  // leaves other values behind
    const std::vector<Tensor> results = workspace.run(inputs, some);
    ASSERT_EQ(results.size(), some.size());
    for (std::size_t k = 0; k < some.size(); ++k) expect_equal(results[k], expected[some[k]]);
  }
}

TEST(Program, RefusesInputsOfAnotherShape) {
  Workspace workspace(compile(tower(1)));
  EXPECT_THROW(workspace.run({random_tensor({1, 16, 31, 32}, 1)}), Error);
  EXPECT_THROW(workspace.run(std::span<const Tensor>{}), Error);
}

TEST(Program, ComputesConstantsOnceAtCompileTime) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {8}});
  const Value c = g.add(kExp, {g.constant(random_tensor({8}, 1))});
  g.output("y", x * positive(c * 2.0));
  EXPECT_EQ(compile(g.build()).steps(), 1U);
}

TEST(Program, SharesPackedWeightsWithOthers) {
  const auto constants = [](const Lowering& l) {
    std::set<const void*> all;
    for (const Buffer& b : l.buffers()) {
      if (b.constant) all.insert(b.constant.get());
    }
    return all;
  };
  const Graph graph = tower(3);
  Lowering first(graph);
  first.run();
  Lowering second(graph);
  second.run();
  const auto expected = constants(first);
  EXPECT_GE(expected.size(), 3U);
  EXPECT_EQ(constants(second), expected);
  // Equal weights elsewhere in memory are others.
  const Graph same = tower(3);
  Lowering other(same);
  other.run();
  for (const void* p : constants(other)) EXPECT_FALSE(expected.contains(p));
  // Computed with what is shared, and with what was packed anew.
  const Tensor x = random_tensor({1, 16, 32, 32}, 9);
  expect_equal(Workspace(compile(graph)).run({x})[0], Workspace(compile(same)).run({x})[0]);
}

TEST(MemoryPlan, BuffersThatAreAliveTogetherDoNotOverlap) {
  // A chain 0 → 1 → 2 → 3 with 0 read again at the end.
  std::vector<Buffer> buffers(4);
  for (std::size_t i = 0; i < buffers.size(); ++i) buffers[i].bytes = 1000 * (i + 1);
  std::vector<Step> steps(3);
  for (int i = 0; i < 3; ++i) {
    steps[static_cast<std::size_t>(i)].reads = {i};
    steps[static_cast<std::size_t>(i)].writes = {i + 1};
  }
  steps[2].reads.push_back(0);
  const MemoryPlan plan = plan_memory(buffers, steps, {0}, {3});
  const auto overlap = [&](std::size_t a, std::size_t b) {
    return plan.offsets[a] < plan.offsets[b] + static_cast<std::int64_t>(buffers[b].bytes) &&
           plan.offsets[b] < plan.offsets[a] + static_cast<std::int64_t>(buffers[a].bytes);
  };
  for (const auto& [a, b] : {std::pair{0, 1}, {0, 2}, {0, 3}, {1, 2}, {2, 3}})
    EXPECT_FALSE(overlap(static_cast<std::size_t>(a), static_cast<std::size_t>(b))) << a << " " << b;
  EXPECT_LT(plan.arena_bytes, 10'500U);
}

namespace {

/// Buffers that live for up to `longest` steps each, of sizes that repeat: step i writes buffer i, and reads
/// what it keeps alive.
std::pair<std::vector<Buffer>, std::vector<Step>> random_lives(int count, int longest) {
  std::vector<Buffer> buffers(static_cast<std::size_t>(count));
  std::vector<Step> steps(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  const auto random = [&](std::uint32_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
  for (int i = 0; i < count; ++i) {
    buffers[static_cast<std::size_t>(i)].bytes = 64 * (1 + random(20));
    steps[static_cast<std::size_t>(i)].writes = {i};
    const int last = i + static_cast<int>(random(static_cast<std::uint32_t>(longest)));
    if (last < count) steps[static_cast<std::size_t>(last)].reads.push_back(i);
  }
  return {buffers, steps};
}

struct Life {
  int first, last;
};

std::vector<Life> lives_of(const std::vector<Step>& steps) {
  std::vector<Life> lives(steps.size());
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
    lives[static_cast<std::size_t>(i)] = {i, i};
    for (BufferId id : steps[static_cast<std::size_t>(i)].reads) lives[static_cast<std::size_t>(id)].last = i;
  }
  return lives;
}

/// Places that two buffers have at the same time.
int overlaps(const MemoryPlan& plan, const std::vector<Buffer>& buffers, const std::vector<Life>& lives,
             int longest) {
  int count = 0;
  const auto end = [&](std::size_t i) {
    return plan.offsets[i] + static_cast<std::int64_t>(buffers[i].bytes);
  };
  for (std::size_t a = 0; a < buffers.size(); ++a) {
    for (std::size_t b = a + 1; b < std::min(buffers.size(), a + static_cast<std::size_t>(longest)); ++b) {
      if (lives[b].first <= lives[a].last) count += plan.offsets[a] < end(b) && plan.offsets[b] < end(a);
    }
  }
  return count;
}

}  // namespace

TEST(MemoryPlan, IsFirstFitInTheOrderOfDecreasingSize) {
  const auto [buffers, steps] = random_lives(400, 60);
  const auto lives = lives_of(steps);
  const MemoryPlan plan = plan_memory(buffers, steps, {}, {});
  EXPECT_EQ(overlaps(plan, buffers, lives, 60), 0);
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](auto a, auto b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<std::int64_t> offsets(buffers.size(), -1);
  for (std::size_t id : order) {
    // The lowest place at which nothing that was placed is in the way.
    std::int64_t offset = 0;
    const auto blocked = [&](std::size_t other) {
      const bool together = lives[other].first <= lives[id].last && lives[id].first <= lives[other].last;
      return offsets[other] >= 0 && together &&
             offsets[other] < offset + static_cast<std::int64_t>(buffers[id].bytes) &&
             offset < offsets[other] + static_cast<std::int64_t>(buffers[other].bytes);
    };
    while (std::ranges::any_of(order, blocked)) offset += 64;
    offsets[id] = offset;
  }
  EXPECT_EQ(plan.offsets, offsets);
}

TEST(MemoryPlan, OfVeryManyBuffersIsMadeStepByStep) {
  const auto [buffers, steps] = random_lives(60'000, 50);
  const MemoryPlan plan = plan_memory(buffers, steps, {}, {});
  EXPECT_EQ(overlaps(plan, buffers, lives_of(steps), 50), 0);
  EXPECT_LT(plan.arena_bytes, 60U * 64 * 20);  // some fifty are alive
}

TEST(Program, ConstantsThatWaitForThousandsOfOthersAreRefused) {
  Builder g;
  Value constant = g.constant(random_tensor({1, 100}, 1));
  const Value x = g.input("x", {DType::f32, {1, 100}});
  for (int k = 0; k < 5000; ++k) constant = g.add(kSoftmax, {constant}, {{"axis", std::int64_t{1}}});
  g.output("y", x + constant);
  const Graph graph = g.build();
  EXPECT_THROW(compile(graph), UnsupportedError);
}

TEST(Program, ElementwiseChainsOfAnyLength) {
  Builder g;
  Value v = g.input("x", {DType::f32, {2, 3}});
  for (int k = 0; k < 100'000; ++k) v = g.add(k % 2 == 0 ? kAbs : kNeg, {v});
  g.output("y", v);
  const Tensor x = floats({2, 3}, {-1, 2, -3, 4, -5, 6});
  expect_close(Workspace(compile(g.build())).run({x}).at(0), floats({2, 3}, {-1, -2, -3, -4, -5, -6}));
}

TEST(Layout, StoresWholeBlocks) {
  EXPECT_EQ(stored_elements({1, 20, 3, 3}, {.block = 16}), 32 * 9);
  EXPECT_EQ(stored_elements({1, 20, 3, 3}, {}), 20 * 9);
  EXPECT_EQ(stored_elements({1, 20, 3, 3}, {.channels_last = true}), 20 * 9);
  EXPECT_TRUE(padded({1, 20, 3, 3}, {.block = 16}));
}

TEST(Workspace, RunsOnInputsInPlace) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {2, 3}});
  const Value y = g.input("y", {DType::f32, {2, 3}});
  g.output("sum", x + y);
  g.output("product", x * y);
  Workspace workspace(compile(g.build()));
  const Tensor a = random_tensor({2, 3}, 1);
  const Tensor b = random_tensor({2, 3}, 2);
  const std::vector<Tensor> expected = workspace.run({a, b});
  for (int run = 0; run < 2; ++run) {
    std::memcpy(workspace.input(0), a.raw(), a.bytes());
    std::memcpy(workspace.input(1), b.raw(), b.bytes());
    workspace.run();
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(std::memcmp(workspace.output(i), expected[i].raw(), expected[i].bytes()), 0);
  }
}

// Modified weights are computed, packed, and not kept beside what they were packed to.
TEST(Lowering, ReleasesConstantsThatOnlyOthersNeeded) {
  constexpr int kDepth = 3;
  Builder g;
  Value x = g.input("x", {DType::f32, {1, 16, 8, 8}});
  Value read = g.constant(random_tensor({16, 16, 1, 1}, 9));
  for (int i = 0; i < kDepth; ++i) {
    const Value w = g.constant(random_tensor({16, 16, 1, 1}, static_cast<std::uint64_t>(i)));
    x = g.add(kConv, {x, g.add(kRelu, {w})});
  }
  // Weights, and read when the program runs.
  const Value both = g.add(kRelu, {read});
  g.output("y", g.add(kConv, {x, both}));
  g.output("z", g.input("z", {DType::f32, {16, 16, 8, 8}}) * both);
  const Graph graph = g.build();
  Lowering lowering(graph);
  lowering.run();
  const auto released = std::ranges::count_if(lowering.buffers(), [](const Buffer& b) {
    EXPECT_FALSE(b.released && (b.constant || b.read));
    return b.released;
  });
  EXPECT_EQ(released, 2 * kDepth);  // what was modified, and what it was modified to
}

// Constants that are read in more than one way, and after the result of what reads them was declared.
TEST(Lowering, KeepsConstantsUntilTheLastOfTheirReaders) {
  const Tensor w = random_tensor({16, 16}, 1);
  const Tensor x = random_tensor({1, 16}, 2);
  const auto sums = [](Builder& g, Value of) {
    return g.add(kReduceSum, {of}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});
  };
  // A matrix of one row and its bias, which is folded from it; both modified.
  const auto linear = [&](double scale) {
    return [&, scale](Builder& g, const auto& in) {
      const Value matrix = scale == 1 ? g.constant(w) : g.constant(w) * scale;
      return g.add(kLinear, {in[0], matrix, sums(g, matrix)});
    };
  };
  const Tensor once = run_graph(linear(1), {x});
  const Tensor twice = run_graph(linear(2), {x});
  for (std::size_t k = 0; k < 16; ++k) {
    double y = 0;
    for (std::size_t i = 0; i < 16; ++i) y += w.data<float>()[k * 16 + i] * (1.0 + x.data<float>()[i]);
    EXPECT_NEAR(once.data<float>()[k], y, 1e-5);
    EXPECT_NEAR(twice.data<float>()[k], 2 * y, 1e-5);
  }
  // An output, a fold, a view under another shape that is read when the program runs, and a joined part.
  const Tensor c = random_tensor({1, 4, 2, 2}, 3);
  const Tensor u = random_tensor({1, 4, 2, 2}, 4);
  Builder g;
  const Value read = g.input("u", {DType::f32, {1, 4, 2, 2}});
  const Value constant = g.add(kRelu, {g.constant(c)});
  const Value flat = g.add(kReshape, {constant}, {{"shape", std::vector<std::int64_t>{16}}});
  g.output("constant", constant);
  g.output("flat", flat * g.add(kReshape, {read}, {{"shape", std::vector<std::int64_t>{16}}}));
  g.output("joined", g.add(kConcat, {constant, read}, {{"axis", std::int64_t{1}}}));
  g.output("total", g.add(kReduceSum, {flat * 3.0},
                          {{"axes", std::vector<std::int64_t>{0}}, {"keepdims", std::int64_t{0}}}) +
                        read);
  const std::vector<Tensor> y = Workspace(compile(g.build())).run({u});
  double total = 0;
  for (std::size_t k = 0; k < 16; ++k) {
    const float v = std::max(c.data<float>()[k], 0.0F);
    total += 3 * v;
    EXPECT_EQ(y[0].data<float>()[k], v);
    EXPECT_FLOAT_EQ(y[1].data<float>()[k], v * u.data<float>()[k]);
    EXPECT_EQ(y[2].data<float>()[k], v);
  }
  EXPECT_NEAR(y[3].data<float>()[0], total + u.data<float>()[0], 1e-5);
}

}  // namespace heatproof
