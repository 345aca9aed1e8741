#include "explain/window_plan.h"

#include <gtest/gtest.h>

#include "explain/incremental.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/incremental.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

}  // namespace

TEST(WindowPlan, OfThreeConvolutionsAndAPoolByHand) {
  Builder g;
  Value x = g.input("x", {DType::f32, {1, 1, 64, 64}});
  const auto convolve = [&](Value v, std::int64_t stride) {
    return g.add(kConv, {v, g.constant(random_tensor({1, 1, 3, 3}, 1))},
                 {{"strides", Ints{stride, stride}}, {"pads", Ints{1, 1, 1, 1}}});
  };
  x = convolve(convolve(x, 1), 2);
  x = g.add(kMaxPool, {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  g.output("y", g.add(kReduceMean, {convolve(x, 1)}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}}));
  const Graph graph = g.build();
  const auto plan = plan_windows(graph, {4, 4});
  ASSERT_TRUE(plan);
  // 4 → 6 → 3 or 4 → 2 or 3 → 5 of 16.
  std::vector<Ints> sizes;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (plan->windowed(id)) sizes.push_back(plan->of(id).size);
  }
  EXPECT_EQ(sizes, (std::vector<Ints>{{4, 4}, {6, 6}, {4, 4}, {3, 3}, {5, 5}}));
  EXPECT_EQ(plan->windows[1].start(0, 0), 0);
  EXPECT_EQ(plan->windows[1].start(0, 10), 9);
  EXPECT_EQ(plan->windows[1].start(0, 60), 58);
  EXPECT_LT(plan->update, 0.5 * plan->whole);
}

TEST(WindowPlan, IsRefusedWhereNothingIsGained) {
  const Network network = random_network(7, {1, 3, 40, 40});
  const Graph graph = scores_graph(network, 1);
  EXPECT_FALSE(plan_windows(graph, {40, 40}));
  EXPECT_FALSE(plan_windows(graph, {3}));
  EXPECT_FALSE(plan_windows(graph, {0, 3}));
  EXPECT_FALSE(plan_windows(graph, {41, 3}));
  Builder g;
  g.output("y", g.add(kLinear, {g.input("x", {DType::f32, {1, 8}}), g.constant(random_tensor({2, 8}, 1))}));
  EXPECT_FALSE(plan_windows(g.build(), {}));
}

TEST(Differences, AreCoveredByWindows) {
  const Tensor a = random_tensor({1, 2, 6, 7}, 1);
  Tensor b = a.clone();
  EXPECT_TRUE(differences(a.shape(), {2, 3}, a.data<float>(), b.data<float>()).empty());
  b.data<float>()[0] += 1;           // channel 0 at (0, 0)
  b.data<float>()[42 + 7 + 2] += 1;  // channel 1 at (1, 2): the same window
  b.data<float>()[5 * 7 + 6] += 1;   // (5, 6): the window that still lies inside
  EXPECT_EQ(differences(a.shape(), {2, 3}, a.data<float>(), b.data<float>()),
            (std::vector<Place>{{0, 0}, {4, 4}}));
}

}  // namespace heatproof
