// Sizes of batches hang on the network, and results neither on the moment nor on what was asked for before.
#include <gtest/gtest.h>

#include <cstring>

#include "base/memory.h"
#include "data/npy.h"
#include "explain/explainer.h"
#include "graph/operator.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network network_with(NetworkOptions options) {
  const Model model = Model::load(golden("cnn.onnx"));
  return Network([model](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); },
                 std::move(options));
}

Tensor inputs(std::int64_t count) {
  const Tensor few = read_npz(golden("cnn.npz")).at("input");
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    Tensor x = few.rows(i % few.shape()[0], i % few.shape()[0] + 1).clone();
    for (float& v : x.data<float>()) v += 0.01F * static_cast<float>(i);
    rows.push_back(x);
  }
  return concatenate(rows);
}

void expect_same_bytes(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

}  // namespace

TEST(BatchSizes, MemoryHangsOnTheNetworkUnlessItIsGiven) {
  const Network open = network_with({});
  std::size_t weights = 0;
  for (const Node& node : open.graph(1).nodes()) weights += node.op == &kConstant ? node.constant.bytes() : 0;
  EXPECT_EQ(open.memory(), (std::size_t{4} << 30) + 8 * weights);
  EXPECT_EQ(open.batch(), 16);
  const Network tight = network_with({.memory = 1});
  EXPECT_EQ(tight.memory(), 1U);
  EXPECT_EQ(tight.batch(), 1);
}

TEST(BatchSizes, WhatIsNeededIsToldWhereMemoryWasLeftOpen) {
  std::vector<std::size_t> told;
  const auto needs = [&](std::size_t bytes) { told.push_back(bytes); };
  const Network open = network_with({.needs = needs});
  open.batch();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_GT(told[0], 0U);
  EXPECT_LT(told[0], open.memory());
  Explainer(open, {parse_recipe("gradient")}, {}).batch();
  EXPECT_EQ(told.size(), 2U);
  network_with({.memory = 1 << 20, .needs = needs}).batch();
  EXPECT_EQ(told.size(), 2U);
}

TEST(BatchSizes, TooLittleFreeMemoryIsAWarning) {
  constexpr std::size_t kGiga = std::size_t{1} << 30;
  EXPECT_EQ(memory_warning(kGiga, 2 * kGiga), "");
  EXPECT_EQ(memory_warning(kGiga, 0), "");  // nobody knows
  const std::string text = memory_warning(3 * kGiga, 2 * kGiga);
  EXPECT_NE(text.find("3.0 GB"), std::string::npos) << text;
  EXPECT_NE(text.find("--memory 1024M"), std::string::npos) << text;
}

TEST(BatchSizes, WhatWasExplainedBeforeDoesNotMatter) {
  const Network network = network_with({});
  const Tensor few = inputs(5);
  const Tensor many = inputs(16);
  const std::vector<std::int64_t> five(5, 1);
  const std::vector<std::int64_t> sixteen(16, 1);
  for (const std::int64_t expected : {0, 100}) {
    const ExplainOptions options{.batch = 4, .expected = expected};
    Explainer fresh(network, {parse_recipe("lrp_epsilon_plus")}, options);
    Explainer used(network, {parse_recipe("lrp_epsilon_plus")}, options);
    used.explain(many, sixteen);
    expect_same_bytes(fresh.explain(few, five).relevance[0], used.explain(few, five).relevance[0]);
  }
}

TEST(BatchSizes, SteadyNetworksGiveTheSameBytesHoweverManyAreAskedFor) {
  const Network network = network_with({.steady = true});
  const Tensor x = inputs(37);
  const Tensor all = network.predict(x);
  for (const auto& [begin, end] : {std::pair(0, 1), std::pair(3, 8), std::pair(20, 37)})
    expect_same_bytes(network.predict(x.rows(begin, end)), all.rows(begin, end));
}

}  // namespace heatproof
