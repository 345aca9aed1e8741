// Sizes, axes and numbers of attributes that no honest file has: each is refused with its node before it is
// computed with, and before memory is taken.
#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "engine/program.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/written.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr std::int64_t kMost = INT64_MAX;
constexpr std::int64_t kLeast = INT64_MIN;
constexpr std::int64_t kHalf = std::int64_t{1} << 32;  // its square wraps to 0

const Dims kImage{1, 4, 8, 8};
const Tensor kZeros = Tensor::zeros(DType::f32, {1, 4, 8, 8});

/// A network of one node, whose other operands are lists of integers.
Written one(const std::string& op, const std::vector<Dims>& lists = {}, std::int64_t opset = 17,
            const Dims& input = kImage) {
  Written net(input, opset);
  std::vector<std::string> names{"x"};
  for (const Dims& list : lists) {
    names.push_back("list" + std::to_string(names.size()));
    net.whole(names.back(), {static_cast<std::int64_t>(list.size())}, list);
  }
  return net.node(op, names, {"y"});
}

Written convolution(const std::string& op, const Dims& weights) {
  Written net(kImage);
  std::size_t n = 1;
  for (std::int64_t d : weights) n *= static_cast<std::size_t>(d);
  return net.weight("w", weights, std::vector<float>(n, 0.5F)).node(op, {"x", "w"}, {"y"});
}

Written with_weight(const std::string& op, const Dims& dims, const std::vector<std::string>& inputs) {
  Written net(kImage);
  std::size_t n = 1;
  for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
  return net.weight("w", dims, std::vector<float>(n, 0.5F)).node(op, inputs, {"y"});
}

struct Case {
  const char* what;
  Written net;
  const char* words;
};

class HostileSizes : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path file = folder / "m.onnx";

  Model load(const Written& net) {
    write_file(file, net.model.SerializeAsString());
    return Model::load(file);
  }
  Tensor run(const Written& net, const Tensor& x = kZeros) {
    return Workspace(compile(canonicalize(load(net).specialize({.batch = 1, .shapes = {}})))).run({x}).at(0);
  }
  /// The message, with the exit code in front; empty where the network runs.
  std::string refusal(const Written& net) {
    try {
      run(net);
    } catch (const Error& e) {
      return std::to_string(e.exit_code()) + " " + e.what();
    }
    return "";
  }
  void expect_refused(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
      SCOPED_TRACE(c.what);
      const std::string text = refusal(c.net);
      EXPECT_TRUE(text.starts_with("3 m.onnx: ") || text.starts_with("4 m.onnx: ")) << "'" << text << "'";
      EXPECT_NE(text.find("node 'the "), std::string::npos) << text;
      EXPECT_NE(text.find(c.words), std::string::npos) << text;
      EXPECT_LT(text.size(), 500U);
    }
  }
};

}  // namespace

TEST_F(HostileSizes, OfWindows) {
  const Dims w{4, 4, 3, 3};
  const auto conv = [&](const char* name, const Dims& values) {
    return convolution("Conv", w).integers(name, values);
  };
  const auto pool = [](const Dims& kernel) { return one("MaxPool").integers("kernel_shape", kernel); };
  expect_refused({
      {"stride 0", conv("strides", {0, 1}), "strides"},
      {"stride 0 and SAME", conv("strides", {0, 1}).text("auto_pad", "SAME_UPPER"), "strides"},
      {"huge stride and SAME", conv("strides", {kMost, 1}).text("auto_pad", "SAME_UPPER"), "out of range"},
      {"negative stride", conv("strides", {kLeast, 1}), "strides"},
      {"huge dilation", conv("dilations", {kMost, 1}), "dilations"},
      {"huge dilation and SAME", conv("dilations", {kMost, 1}).text("auto_pad", "SAME_LOWER"), "too large"},
      {"dilation 0", conv("dilations", {0, 0}), "dilations"},
      {"pads that wrap", conv("pads", {kMost, 0, kMost, 0}), "pads"},
      {"negative pads", conv("pads", {kLeast, 0, 0, 0}), "pads"},
      {"group that wraps", convolution("Conv", {4, 4, 1, 1}).integer("group", std::int64_t{1} << 62),
       "too large"},
      {"group 0", convolution("Conv", {4, 4, 1, 1}).integer("group", 0), "group"},
      {"negative group", convolution("Conv", {4, 4, 1, 1}).integer("group", kLeast), "group"},
      {"kernel 0", pool({0, 1}), "kernel_shape"},
      {"huge kernel", pool({kMost, 2}).integers("dilations", {2, 2}), "too large"},
      {"negative kernel", pool({kLeast, 2}), "too large"},
      {"pool with stride 0", pool({2, 2}).integers("strides", {0, 1}), "strides"},
      {"pool that wraps", pool({2, 2}).integers("pads", {kMost, 0, kMost, 0}), "too large"},
      {"ceil that wraps", pool({2, 2}).integers("strides", {kMost, 1}).integer("ceil_mode", 1), "strides"},
  });
}

TEST_F(HostileSizes, OfTransposedConvolutions) {
  const auto t = [](const char* name, const Dims& values) {
    return convolution("ConvTranspose", {4, 2, 3, 3}).integers(name, values);
  };
  expect_refused({
      {"stride", t("strides", {kMost, 1}), "strides"},
      {"stride and SAME", t("strides", {kMost, 1}).text("auto_pad", "SAME_UPPER"), "too large"},
      {"output_padding", t("output_padding", {kMost, 0}), "output_padding"},
      {"negative output_padding", t("output_padding", {-1, 0}), "output_padding"},
      {"output_shape", t("output_shape", {kLeast, 1}), "length"},
      {"output_shape 0", t("output_shape", {0, 0}), "length"},
      {"dilations", t("dilations", {kMost, kMost}), "dilations"},
      {"group", convolution("ConvTranspose", {4, 2, 3, 3}).integer("group", std::int64_t{1} << 63), "group"},
      {"pads", t("pads", {9, 9, 9, 9}), "empty"},
  });
}

TEST_F(HostileSizes, OfPadding) {
  const Dims wraps{0, 0, 0, kMost, 0, 0, 0, kMost};
  expect_refused({
      {"constant", one("Pad", {wraps}), "too large"},
      {"constant, not beyond 64 bits", one("Pad", {{0, 0, 0, kMost / 2, 0, 0, 0, 0}}), "too large"},
      {"edge", one("Pad", {wraps}).text("mode", "edge"), "too large"},
      {"reflect", one("Pad", {wraps}).text("mode", "reflect"), "cannot pad"},
      {"negative", one("Pad", {{0, 0, 0, kLeast, 0, 0, 0, 0}}), "negative"},
      {"edge, negative", one("Pad", {{0, 0, 0, -1, 0, 0, 0, 0}}).text("mode", "edge"), "negative"},
  });
}

TEST_F(HostileSizes, OfBlocks) {
  expect_refused({
      {"2^32", one("DepthToSpace").integer("blocksize", kHalf), "too large"},
      {"-2^32", one("DepthToSpace").integer("blocksize", -kHalf), "blocksize"},
      {"0", one("DepthToSpace").integer("blocksize", 0), "blocksize"},
      {"the most", one("SpaceToDepth").integer("blocksize", kMost), "blocksize"},
      {"0 of SpaceToDepth", one("SpaceToDepth").integer("blocksize", 0), "blocksize"},
  });
}

TEST_F(HostileSizes, OfAxes) {
  Dims many;
  for (std::int64_t k = 0; k < 100'000; ++k) many.push_back(k);
  expect_refused({
      {"softmax", one("Softmax").integer("axis", kLeast), "axis"},
      {"flatten", one("Flatten").integer("axis", kMost), "axis"},
      {"flatten, least", one("Flatten").integer("axis", kLeast), "axis"},
      {"gather", one("Gather", {{0}}).integer("axis", kMost), "axis"},
      {"gather's index", one("Gather", {{kLeast}}), "index"},
      {"concat", Written(kImage).node("Concat", {"x", "x"}, {"y"}).integer("axis", kLeast), "axis"},
      {"split", Written(kImage).node("Split", {"x"}, {"y", "z"}).integer("axis", 4), "axis"},
      {"transpose out of range", one("Transpose").integers("perm", {0, 1, 2, kMost}), "perm"},
      {"transpose twice", one("Transpose").integers("perm", {0, 1, 1, 2}), "perm"},
      {"transpose too few", one("Transpose").integers("perm", {0, 1}), "perm"},
      {"squeeze twice", one("Squeeze", {{0, 0}}), "twice"},
      {"unsqueeze twice", one("Unsqueeze", {{1, 1}}), "twice"},
      {"unsqueeze, many", one("Unsqueeze", {many}), "at most 64"},
      {"reduce", one("ReduceSum", {{kLeast}}), "axis"},
      {"reduce, many", one("ReduceSum", {many}), "axis"},
      {"layer normalization", with_weight("LayerNormalization", {8}, {"x", "w"}).integer("axis", kMost),
       "axis"},
      {"reshape, many", one("Reshape", {Dims(100'000, 1)}), "axes"},
  });
}

TEST_F(HostileSizes, OfShapesThatAreAskedFor) {
  expect_refused({
      {"reshape wraps to 256", one("Reshape", {{kHalf, kHalf, 256}}), "too large"},
      {"reshape wraps, open", one("Reshape", {{kHalf, kHalf, -1}}), "too large"},
      {"reshape, negative", one("Reshape", {{kLeast}}), "negative"},
      {"reshape, open and 0", one("Reshape", {{0, -1}}, 17).integer("allowzero", 1), "cannot reshape"},
      {"expand", one("Expand", {{kMost, 1, 4, 8, 8}}), "too large"},
      {"expand, negative", one("Expand", {{-7, 1, 4, 8, 8}}), "negative"},
      {"expand, empty", one("Expand", {{0, 1, 4, 8, 8}}), "no elements"},
      {"tile", one("Tile", {{1, 1, 1, kMost}}), "repetitions"},
      {"tile, again and again", one("Tile", {{100'000, 100'000, 100'000, 1}}), "too large"},
      {"tile, none", one("Tile", {{1, 1, 1, 0}}), "repetitions"},
      {"split",
       Written(kImage)
           .whole("s", {2}, {kMost, kMost})
           .node("Split", {"x", "s"}, {"y", "z"})
           .integer("axis", 1),
       "too large"},
      {"split into none", Written(kImage).node("Split", {"x"}, {}).node("Relu", {"x"}, {"y"}), "0 outputs"},
      {"split, num_outputs",
       Written(kImage, 18).node("Split", {"x"}, {"y", "z"}).integer("num_outputs", std::int64_t{1} << 40),
       "num_outputs"},
  });
}

TEST_F(HostileSizes, SlicesWithExtremeNumbersAreWhatPythonSays) {
  std::vector<float> counted(256);
  for (std::size_t k = 0; k < counted.size(); ++k) counted[k] = static_cast<float>(k);
  const Tensor x = Tensor::of({1, 4, 8, 8}, std::span<const float>(counted));
  const auto sliced = [&](std::int64_t first, std::int64_t last, std::int64_t step) {
    return run(one("Slice", {{first}, {last}, {3}, {step}}), x);
  };
  EXPECT_EQ(sliced(kLeast, kMost, 1).shape(), (Shape{1, 4, 8, 8}));
  EXPECT_EQ(sliced(kLeast, kMost, kMost).shape(), (Shape{1, 4, 8, 1}));
  EXPECT_EQ(sliced(kLeast, kMost, kMost).data<float>()[1], 8);
  EXPECT_EQ(sliced(kMost, kLeast, kLeast).shape(), (Shape{1, 4, 8, 1}));
  EXPECT_EQ(sliced(kMost, kLeast, kLeast).data<float>()[0], 7);  // the last
  EXPECT_EQ(sliced(kMost, kLeast, -1).data<float>()[7], 0);
  expect_refused({
      {"step 0", one("Slice", {{0}, {1}, {3}, {0}}), "step 0"},
      {"nothing left", one("Slice", {{kMost}, {kLeast}, {3}, {1}}), "empty"},
      {"axis", one("Slice", {{0}, {1}, {kLeast}, {1}}), "axis"},
  });
}

TEST_F(HostileSizes, OfConstantsThatAreComputed) {
  const auto shaped = [](const Dims& shape, int type) {
    Written net(kImage);
    net.whole("s", {static_cast<std::int64_t>(shape.size())}, shape).node("ConstantOfShape", {"s"}, {"c"});
    auto* t = net.attribute("value", onnx::AttributeProto::TENSOR).mutable_t();
    t->add_dims(1);
    t->set_data_type(type);
    if (type == onnx::TensorProto::INT64) t->add_int64_data(1);
    if (type == onnx::TensorProto::FLOAT) t->add_float_data(1);
    return net;
  };
  const auto range = [](std::int64_t a, std::int64_t b, std::int64_t step) {
    Written net(kImage);
    net.whole("a", {}, {a}).whole("b", {}, {b}).whole("s", {}, {step});
    return net.node("Range", {"a", "b", "s"}, {"r"}).node("Gather", {"x", "r"}, {"y"});
  };
  const int i64 = onnx::TensorProto::INT64;
  const int f32 = onnx::TensorProto::FLOAT;
  Written twice = shaped({1 << 20, 64}, i64);
  twice.node("Add", {"c", "c"}, {"d"}).node("Gather", {"x", "d"}, {"y"});
  expect_refused({
      {"integers", shaped({1 << 20, 1 << 12}, i64).node("Gather", {"x", "c"}, {"y"}), "at most 128 MB"},
      {"many integers", twice, "at most 128 MB"},
      {"negative", shaped({-1}, f32).node("Add", {"x", "c"}, {"y"}), "negative"},
      {"wraps", shaped({kHalf, kHalf}, f32).node("Add", {"x", "c"}, {"y"}), "too large"},
      {"a repeated number that is looked at",
       shaped({1 << 20, 1 << 16}, f32).node("Cast", {"c"}, {"d"}).integer("to", i64), "at most 128 MB"},
      {"masks",
       Written(kImage)
           .weight("p", {20'000, 1}, std::vector<float>(20'000))
           .weight("q", {1, 20'000}, std::vector<float>(20'000))
           .node("Less", {"p", "q"}, {"m"})
           .node("Relu", {"x"}, {"y"}),
       "at most 128 MB"},
      {"range", range(0, kMost, 1), "too long"},
      {"range, down", range(kMost, kLeast, -1), "too long"},
      {"range, step 0", range(0, 1, 0), "step 0"},
      {"range of nothing", range(5, 1, 1), "no elements"},
      {"integers that overflow",
       Written(kImage)
           .whole("a", {1}, {kMost})
           .node("Mul", {"a", "a"}, {"s"})
           .node("Reshape", {"x", "s"}, {"y"}),
       "too large"},
      {"the least by -1",
       Written(kImage)
           .whole("a", {1}, {kLeast})
           .whole("b", {1}, {-1})
           .node("Div", {"a", "b"}, {"s"})
           .node("Reshape", {"x", "s"}, {"y"}),
       "does not fit"},
  });
}

TEST_F(HostileSizes, ConstantsOfManyNodesAreCountedTogether) {
  Written net(kImage);
  for (int k = 0; k < 8; ++k) {
    const std::string n = std::to_string(k);
    net.whole("s" + n, {1}, {10'000'000 + k}).node("ConstantOfShape", {"s" + n}, {"c" + n});
    auto* t = net.attribute("value", onnx::AttributeProto::TENSOR).mutable_t();
    t->add_dims(1);
    t->set_data_type(onnx::TensorProto::INT64);
    t->add_int64_data(1);
  }
  net.node("Relu", {"x"}, {"y"});
  expect_refused({{"80 MB each", net, "512 MB in all"}});
}

TEST_F(HostileSizes, WhatIsTooLargeToFoldIsRefusedWhereItMustBeKnown) {
  Written net(kImage);
  net.whole("w", {1, 1900}, Dims(1900, 0)).whole("r", {2}, {1000, 1}).whole("q", {2}, {1, 1000});
  net.node("Tile", {"w", "r"}, {"a"}).node("Tile", {"a", "q"}, {"b"}).node("Gather", {"x", "b"}, {"y"});
  expect_refused({{"15 GB", net, "constant integers"}});
}

TEST_F(HostileSizes, ValuesWithoutElementsAreNotComputedWith) {
  Written linear(kImage);
  linear.node("Flatten", {"x"}, {"f"}).weight("w", {256, 0}, {}).node("Gemm", {"f", "w"}, {"y"});
  Written softmax(kImage, 11);
  softmax.weight("w", {0, 3}, {}).node("Softmax", {"w"}, {"z"}).node("Relu", {"x"}, {"y"});
  expect_refused({
      {"conv", convolution("Conv", {0, 4, 3, 3}), "('w') has no elements"},
      {"conv, kernel", convolution("Conv", {4, 4, 0, 3}), "('w') has no elements"},
      {"transposed", convolution("ConvTranspose", {4, 0, 3, 3}), "('w') has no elements"},
      {"gemm", linear, "('w') has no elements"},
      {"softmax before opset 13", softmax, "('w') has no elements"},
      {"matmul", with_weight("MatMul", {8, 0}, {"x", "w"}), "('w') has no elements"},
      {"add", with_weight("Add", {1, 4, 0, 8}, {"x", "w"}), "('w') has no elements"},
      {"prelu", with_weight("PRelu", {0}, {"x", "w"}), "('w') has no elements"},
      {"clip", with_weight("Clip", {0}, {"x", "w"}), "('w') has no elements"},
      {"maximum", with_weight("ReduceMax", {0, 3}, {"w"}), "('w') has no elements"},
      {"gather nothing", one("Gather", {{}}), "no elements"},
  });
}

TEST_F(HostileSizes, ConstantsWithoutElementsMayBeJoined) {
  Written net(kImage);
  net.weight("cache", {1, 0, 8, 8}, {}).node("Concat", {"cache", "x"}, {"y"}).integer("axis", 1);
  EXPECT_EQ(run(net).shape(), kZeros.shape());
}

TEST_F(HostileSizes, IntegersAreNoWeights) {
  Written net(kImage);
  net.whole("w", {8, 2}, Dims(16, 1)).node("MatMul", {"x", "w"}, {"y"});
  expect_refused({{"matmul", net, "('w') holds integers"}});
}

TEST_F(HostileSizes, AttributesThatAreNoNumbers) {
  expect_refused({
      {"alpha", one("LeakyRelu").number("alpha", NAN), "NaN"},
      {"epsilon", with_weight("LayerNormalization", {8}, {"x", "w"}).number("epsilon", NAN), "NaN"},
      {"perm", one("Transpose").integer("perm", 3), "type INT"},
      {"axis", one("Softmax").number("axis", 1), "type FLOAT"},
      {"alpha, text", one("Elu").text("alpha", "1"), "type STRING"},
  });
}

TEST_F(HostileSizes, OfInputsAndWeights) {
  const auto text = [&](const Dims& input) {
    Written net(input);
    net.node("Relu", {"x"}, {"y"});
    return refusal(net);
  };
  EXPECT_EQ(text({1, 2147483648, 2147483648}).find("3 m.onnx: input 'x' of shape"), 0U)
      << text({1, 2147483648, 2147483648});
  EXPECT_EQ(text({1, kMost, kMost}).find("3 m.onnx: input 'x'"), 0U);
  EXPECT_EQ(text(Dims(100'000, 1)).find("3 m.onnx: input 'x'"), 0U);
  Written net(kImage);
  net.weight("w", Dims(100'000, 1), {1}).node("Add", {"x", "w"}, {"y"});
  EXPECT_NE(refusal(net).find("3 m.onnx: tensor 'w': has 100000 axes"), std::string::npos) << refusal(net);
}

TEST_F(HostileSizes, ValuesOfManyAxesAreBroadcast) {
  Dims axes(20, 1);
  axes[18] = 16;
  axes[19] = 16;
  Written net(kImage);
  net.whole("s", {20}, axes).node("Reshape", {"x", "s"}, {"r"});
  std::vector<float> row(16);
  for (std::size_t k = 0; k < 16; ++k) row[k] = static_cast<float>(k);
  Dims columns(20, 1);
  columns[18] = 16;
  net.weight("w", columns, row).node("Add", {"r", "w"}, {"y"});
  const Tensor y = run(net);
  for (std::size_t k = 0; k < 256; ++k) EXPECT_EQ(y.data<float>()[k], static_cast<float>(k / 16));
}

TEST_F(HostileSizes, ManyIndicesAndManyCopies) {
  std::vector<float> counted(256);
  for (std::size_t k = 0; k < counted.size(); ++k) counted[k] = static_cast<float>(k);
  const Tensor x = Tensor::of({1, 4, 8, 8}, std::span<const float>(counted));
  Dims indices;
  for (std::int64_t k = 0; k < 5000; ++k) indices.push_back(k % 8 - (k % 3 == 0 ? 8 : 0));
  const Tensor picked = run(one("Gather", {indices}).integer("axis", 2), x);
  ASSERT_EQ(picked.shape(), (Shape{1, 4, 5000, 8}));
  for (std::int64_t c = 0; c < 4; ++c) {
    for (std::int64_t k = 0; k < 5000; ++k)
      EXPECT_EQ(picked.data<float>()[static_cast<std::size_t>((c * 5000 + k) * 8 + 3)],
                static_cast<float>(c * 64 + k % 8 * 8 + 3));
  }
  const Tensor tiled = run(one("Tile", {{1, 2, 1, 1500}}), x);
  ASSERT_EQ(tiled.shape(), (Shape{1, 8, 8, 12'000}));
  for (std::int64_t k = 0; k < tiled.elements(); k += 997)
    EXPECT_EQ(tiled.data<float>()[static_cast<std::size_t>(k)],
              static_cast<float>(k / 96'000 % 4 * 64 + k / 12'000 % 8 * 8 + k % 8));
}

}  // namespace heatproof
