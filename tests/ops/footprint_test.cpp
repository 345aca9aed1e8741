// What a network takes is known from its shapes, and refused where it is out of all proportion.
#include "ops/footprint.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "explain/network.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/written.h"

namespace heatproof {

using namespace testing;

namespace {

const Tensor kZeros = Tensor::zeros(DType::f32, {1, 4, 8, 8});

class Footprints : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  Model load(const Written& net) {
    const auto file = folder / "m.onnx";
    write_file(file, net.model.SerializeAsString());
    return Model::load(file);
  }
};

Value conv(Value x, std::int64_t channels, std::int64_t kernel) {
  static int count = 0;
  Builder& g = x.builder();
  const Value w = g.constant(Tensor::filled({channels, x.shape()[1], kernel, kernel}, 0.1F),
                             "w" + std::to_string(++count));
  const std::int64_t pad = kernel / 2;
  return g.add(kConv, {x, w}, {{"pads", std::vector<std::int64_t>(4, pad)}});
}

void expect_allowed(Builder& g, Value y) {
  g.output("y", y);
  const Graph graph = g.build();
  const Footprint f = footprint(graph);
  EXPECT_NO_THROW(check_footprint(graph, {})) << f.bytes << " bytes, work " << f.work;
  EXPECT_GT(f.bytes, 0.5e9);  // else it would say nothing
}

}  // namespace

TEST(Footprint, AddsUpWhatLivesAtTheSameTime) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 4, 8, 8}});
  const Value a = conv(x, 16, 1);
  const Value b = conv(a, 8, 1);
  g.output("y", g.add(kReshape, {b}, {{"shape", std::vector<std::int64_t>{1, 512}}}));
  const Footprint f = footprint(g.build());
  EXPECT_EQ(f.inputs, 4 * 256);
  EXPECT_EQ(f.weights, 4 * (64 + 128));
  // a and b, and three copies of the result.
  EXPECT_EQ(f.bytes, 4 * (16 * 64 + 8 * 64 + 3 * 512));
  EXPECT_EQ(f.work, 64 * (64 + 128));
}

TEST(Footprint, LargeNetworksOfHonestUsersAreAllowed) {
  {
    Builder g;  // all channels at the full size of a large image, four of them at once
    Value x = conv(g.input("x", {DType::f32, {1, 1, 2048, 2048}}), 64, 3);
    const Value a = conv(x, 64, 3);
    const Value b = conv(a, 64, 3);
    expect_allowed(g, g.add(kAdd, {g.add(kAdd, {x, a}), b}));
  }
  {
    Builder g;  // a long series, whose positions all look at each other
    const Value x = g.input("x", {DType::f32, {1, 8, 8192, 1}});
    const Value pairs =
        g.add(kMatMul, {x, g.add(kTranspose, {x}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 2}}})});
    expect_allowed(g, g.add(kMatMul, {g.add(kSoftmax, {pairs}, {{"axis", std::int64_t{3}}}), x}));
  }
  {
    Builder g;  // an image from a few numbers
    Value x = conv(conv(g.input("x", {DType::f32, {1, 512, 4, 4}}), 512, 3), 64, 3);
    x = g.add(kReshape, {x}, {{"shape", std::vector<std::int64_t>{1, 64, 4, 1, 4, 1}}});
    x = g.add(kExpand, {x}, {{"shape", std::vector<std::int64_t>{1, 64, 4, 256, 4, 256}}});
    x = g.add(kReshape, {x}, {{"shape", std::vector<std::int64_t>{1, 64, 1024, 1024}}});
    expect_allowed(g, conv(conv(conv(x, 64, 3), 64, 3), 3, 1));
  }
}

// What the program asks of a network before it takes memory.

namespace {

std::string verdict(const std::function<Graph(std::int64_t)>& specialize, const NetworkOptions& options) {
  try {
    const Network network(specialize, options);
    network.predict(kZeros);
  } catch (const Error& e) {
    return std::to_string(e.exit_code()) + " " + e.what();
  }
  return "";
}

}  // namespace

TEST_F(Footprints, MemoryAndWorkOutOfAllProportionAreRefusedBeforeTheyAreTaken) {
  const auto asked = [&](const Written& net, std::size_t memory = 0) {
    const Model model = load(net);
    return verdict([model](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); },
                   {.memory = memory, .declared_batch = 1, .file = "m.onnx"});
  };
  // A constant that is computed from another: 2 GB from 200 bytes.
  Written constant(Dims{1, 4, 8, 8});
  constant.weight("w", {1, 1, 1, 1}, {1}).whole("r", {4}, {1, 4, 1000, 100'000});
  constant.node("Tile", {"w", "r"}, {"t"}).node("ReduceMax", {"t"}, {"m"}).node("Add", {"x", "m"}, {"y"});
  const std::string text = asked(constant);
  EXPECT_EQ(text.find("1 m.onnx: one input would take about "), 0U) << text;
  EXPECT_NE(text.find("--memory"), std::string::npos) << text;
  // A value.
  Written value(Dims{1, 4, 8, 8});
  value.whole("r", {4}, {1, 1, 2000, 2000}).node("Tile", {"x", "r"}, {"t"}).node("ReduceMean", {"t"}, {"y"});
  EXPECT_NE(asked(value).find("out of all proportion"), std::string::npos) << asked(value);
  // Pairs of pairs.
  Written products({1, 1, 1, 16'000});
  products.whole("p", {4}, {1, 1, 16'000, 1}).node("Reshape", {"x", "p"}, {"c"});
  products.node("MatMul", {"c", "x"}, {"m"});
  for (int k = 0; k < 3; ++k)
    products.node("MatMul", {"m" + std::string(static_cast<std::size_t>(k), 'm'), "m"},
                  {"m" + std::string(static_cast<std::size_t>(k) + 1, 'm')});
  products.node("ReduceMean", {"mmmm"}, {"y"});
  const Model model = load(products);
  const std::string work = [&] {
    try {
      const Network network(
          [&](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); },
          {.memory = std::size_t{64} << 30, .declared_batch = 1, .file = "m.onnx"});
      network.predict(Tensor::zeros(DType::f32, {1, 1, 1, 16'000}));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  }();
  EXPECT_NE(work.find("multiply-adds, most of them at node 'the MatMul'"), std::string::npos) << work;
}

TEST_F(Footprints, MemoryThatTheUserAllowsIsNotRefused) {
  Written net(Dims{1, 4, 8, 8});
  net.whole("r", {4}, {1, 1, 1300, 1300}).node("Tile", {"x", "r"}, {"t"}).node("ReduceMean", {"t"}, {"y"});
  const Model model = load(net);
  const Graph graph = canonicalize(model.specialize({.batch = 1, .shapes = {}}));
  EXPECT_THROW(check_footprint(graph, {}), Error);
  EXPECT_NO_THROW(check_footprint(graph, {.memory = std::size_t{8} << 30}));
}

TEST_F(Footprints, AnInputWithoutAxesIsRefused) {
  Written net(Dims{});
  net.node("Relu", {"x"}, {"y"})
      .graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape();
  const Model model = load(net);
  const std::string text =
      verdict([&](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); }, {});
  EXPECT_EQ(text.substr(0, 2), "3 ") << text;
  EXPECT_NE(text.find("input 'x' of shape scalar"), std::string::npos) << text;
}

}  // namespace heatproof
