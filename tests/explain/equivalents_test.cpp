#include "explain/equivalents.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <functional>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network rewritten(const Network& network, const Equivalent& e) {
  return Network([&network, &e](std::int64_t batch) { return e.rewrite(network.graph(batch)).graph; },
                 {.as_written = true});
}

const std::vector<std::string> kOfChannels{"split", "rescale", "permute"};

using Ints = std::vector<std::int64_t>;

/// A network under construction; every constant is random.
struct Layers {
  Builder g;
  std::uint64_t seed = 1;

  Value constant(const Shape& shape, double low = -0.5, double high = 0.5) {
    return g.constant(random_tensor(shape, seed++, low, high));
  }
  Value conv(Value x, std::int64_t channels, std::int64_t kernel = 3, std::int64_t group = 1) {
    const int axes = x.shape().rank() - 2;
    Shape w{channels, x.shape()[1] / group};
    w.insert(w.end(), static_cast<std::size_t>(axes), kernel);
    return g.add(kConv, {x, constant(w), constant({channels})},
                 {{"kernel_shape", Ints(static_cast<std::size_t>(axes), kernel)},
                  {"pads", Ints(static_cast<std::size_t>(2 * axes), kernel / 2)},
                  {"group", group}});
  }
  Value dense(Value x, std::int64_t features) {
    return g.add(kLinear, {x, constant({features, x.shape()[x.shape().rank() - 1]}), constant({features})});
  }
  Value relu(Value x) { return g.add(kRelu, {x}); }
  Value flat(Value x) { return reshape(x, {x.shape()[0], x.shape().elements() / x.shape()[0]}); }
  Value concat(const std::vector<Value>& parts) { return g.add(kConcat, parts, {{"axis", std::int64_t{1}}}); }
  Value pool(const Operator& op, Value x) {
    const auto axes = static_cast<std::size_t>(x.shape().rank() - 2);
    return g.add(op, {x}, {{"kernel_shape", Ints(axes, 2)}, {"strides", Ints(axes, 2)}});
  }
  Value mean(Value x) {
    return g.add(kReduceMean, {x}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}});
  }
};

using Body = std::function<Value(Layers&, Value x)>;

Network network_with(const Shape& input, const Body& body) {
  return Network([=](std::int64_t batch) {
    Layers layers;
    Shape shape{batch};
    shape.insert(shape.end(), input.begin(), input.end());
    layers.g.output("y", body(layers, layers.g.input("x", {DType::f32, shape})));
    return layers.g.build();
  });
}

/// Hidden layers that each rewrite of channels rewrites: split, rescale, permute.
struct Expected {
  std::size_t layers;
  std::vector<std::size_t> places;
};

/// Same outputs and gradients, by every rewrite.
void expect_equivalent(const Shape& input, const Body& body, const Expected& expected) {
  const Network network = network_with(input, body);
  Shape shape{2};
  shape.insert(shape.end(), input.begin(), input.end());
  const Tensor x = random_tensor(shape, 77);
  const Tensor outputs = network.predict(x);
  const Tensor gradient = explain_with(network, "gradient", x);
  for (std::size_t k = 0; k < kOfChannels.size(); ++k) {
    SCOPED_TRACE(kOfChannels[k]);
    const Equivalent& e = find_equivalent(kOfChannels[k]);
    const Rewritten r = e.rewrite(network.graph(1));
    EXPECT_EQ(r.places, expected.places[k]);
    EXPECT_EQ(r.candidates, expected.layers);
    const Network other = rewritten(network, e);
    EXPECT_EQ(to_string(other.graph(1)) != to_string(network.graph(1)), r.places > 0);
    EXPECT_LT(deviation(outputs, other.predict(x)), 1e-5);
    EXPECT_LT(deviation(gradient, explain_with(other, "gradient", x)), 1e-5);
  }
}

}  // namespace

TEST(EquivalentChannels, OfConcatWithSeveralUsers) {
  const Body fire = [](Layers& l, Value x) {
    const Value squeeze = l.relu(l.conv(x, 4, 1));
    const Value both = l.concat({l.relu(l.conv(squeeze, 3, 1)), l.relu(l.conv(squeeze, 5))});
    const Value left = l.relu(l.conv(both, 3, 1));
    const Value right = l.relu(l.conv(l.pool(kMaxPool, both), 4));
    return l.dense(l.concat({l.flat(left), l.flat(right)}), 3);
  };
  expect_equivalent({3, 6, 6}, fire, {5, {5, 5, 5}});
}

TEST(EquivalentChannels, OfTheInputBesideHiddenOnes) {
  expect_equivalent({3, 6, 6},
                    [](Layers& l, Value x) {
                      return l.dense(l.mean(l.relu(l.conv(l.concat({x, l.relu(l.conv(x, 4))}), 5))), 3);
                    },
                    {2, {2, 2, 2}});
}

TEST(EquivalentChannels, OfResidualSums) {
  expect_equivalent({3, 6, 6},
                    [](Layers& l, Value x) {
                      const Value a = l.relu(l.conv(x, 4));
                      const Value b = l.relu(a + l.conv(l.relu(l.conv(a, 5)), 4));
                      const Value c = l.relu(l.conv(b, 6) + l.conv(l.relu(l.conv(b, 6)), 6));
                      return l.dense(l.mean(c), 3);
                    },
                    {6, {6, 6, 6}});
}

TEST(EquivalentChannels, AddedToTheInputAreLeftAlone) {
  expect_equivalent(
      {3, 6, 6},
      [](Layers& l, Value x) { return l.dense(l.mean(l.relu(x + l.conv(l.relu(l.conv(x, 4)), 3))), 3); },
      {2, {1, 1, 1}});
}

TEST(EquivalentChannels, ThroughDepthwiseConvolutions) {
  expect_equivalent({3, 6, 6},
                    [](Layers& l, Value x) {
                      const Value a = l.relu(l.conv(l.relu(l.conv(x, 4)), 4, 3, 4));
                      const Value b =
                          l.relu(l.conv(l.relu(l.conv(a, 5, 1)), 10, 3, 5));  // two channels from each
                      return l.dense(l.mean(b), 3);
                    },
                    {4, {4, 4, 4}});
}

TEST(EquivalentChannels, AroundGroupsAreLeftAlone) {
  expect_equivalent({3, 6, 6},
                    [](Layers& l, Value x) {
                      const Value a = l.relu(l.conv(l.relu(l.conv(x, 4)), 6, 3, 2));
                      return l.dense(l.mean(l.relu(l.conv(a, 5))), 3);
                    },
                    {3, {1, 1, 1}});
}

TEST(EquivalentChannels, ThroughFlattening) {
  const Body first = [](Layers& l, Value x) {
    return l.dense(l.relu(l.dense(l.flat(l.relu(l.conv(x, 4))), 5)), 3);
  };
  expect_equivalent({3, 6, 6}, first, {2, {2, 2, 2}});
  // Channels last: all of them at every position.
  const Body last = [](Layers& l, Value x) {
    return l.dense(l.flat(transpose(l.relu(l.conv(x, 4)), {0, 2, 3, 1})), 3);
  };
  expect_equivalent({3, 6, 6}, last, {1, {1, 1, 1}});
  const Body back = [](Layers& l, Value x) {
    const Value flat = l.flat(l.relu(l.conv(x, 4)));
    return l.dense(l.mean(l.conv(reshape(flat, {flat.shape()[0], 4, 6, 6}), 5)), 3);
  };
  expect_equivalent({3, 6, 6}, back, {2, {2, 2, 2}});
  const Body shuffled = [](Layers& l, Value x) {
    const Value y = reshape(l.relu(l.conv(x, 4)), {x.shape()[0], 2, 2, 36});
    return l.dense(l.flat(transpose(y, {0, 2, 1, 3})), 3);
  };
  expect_equivalent({3, 6, 6}, shuffled, {1, {0, 0, 0}});
}

TEST(EquivalentChannels, OfOneAxis) {
  expect_equivalent({2, 12},
                    [](Layers& l, Value x) {
                      const Value a = l.pool(kMaxPool, l.relu(l.conv(x, 4)));
                      return l.dense(l.flat(l.pool(kAveragePool, l.relu(l.conv(a, 5)))), 3);
                    },
                    {2, {2, 2, 2}});
}

TEST(EquivalentChannels, ThroughAveragesAndPads) {
  expect_equivalent(
      {3, 8, 8},
      [](Layers& l, Value x) {
        const Value a = l.pool(kAveragePool, l.relu(l.conv(x, 4)));
        const Value b = l.g.add(kPad, {a}, {{"pads", Ints{0, 0, 1, 1, 0, 0, 0, 0}}, {"value", 0.0}});
        return l.dense(l.mean(l.pool(kMaxPool, b)), 3);
      },
      {1, {1, 1, 1}});
}

TEST(EquivalentChannels, ThroughConstantsPerChannel) {
  expect_equivalent(
      {3, 6, 6},
      [](Layers& l, Value x) {
        const Value a = l.relu(l.conv(x, 4)) * l.constant({4, 1, 1}) + l.constant({1, 4, 1, 1});
        const Value b = l.g.add(kBatchNormalization, {l.relu(a), l.constant({4}), l.constant({4})});
        const Value c = l.relu(l.conv(l.relu(b), 5)) * 2.0;
        return l.dense(l.mean(c), 3);
      },
      {2, {2, 2, 2}});
}

TEST(EquivalentChannels, OfOtherActivationsAreNotRescaled) {
  expect_equivalent({3, 6, 6},
                    [](Layers& l, Value x) {
                      const Value a = l.g.add(kSigmoid, {l.conv(x, 4)});
                      const Value b = l.g.add(kClip, {l.conv(a, 5)}, {{"min", 0.0}, {"max", 6.0}});
                      const Value c = l.g.add(kLeakyRelu, {l.conv(b, 4)}, {{"alpha", 0.1}});
                      return l.dense(l.mean(c * l.g.add(kSigmoid, {c})), 3);
                    },
                    {3, {3, 0, 3}});
}

TEST(EquivalentChannels, ThroughTransposedConvolutions) {
  expect_equivalent({3, 4, 4},
                    [](Layers& l, Value x) {
                      const Value up = l.g.add(
                          kConvTranspose, {l.relu(l.conv(x, 4)), l.constant({4, 5, 2, 2}), l.constant({5})},
                          {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
                      return l.dense(l.mean(l.relu(up)), 3);
                    },
                    {2, {2, 2, 2}});
}

TEST(EquivalentChannels, ThatAreMixedAreLeftAlone) {
  expect_equivalent(
      {3, 6, 6},
      [](Layers& l, Value x) {
        const Value a = l.relu(l.conv(x, 4));
        const Value most = l.g.add(kReduceMax, {a}, {{"axes", Ints{1}}, {"keepdims", std::int64_t{1}}});
        return l.dense(l.mean(l.conv(most, 4)), 3);
      },
      {2, {1, 1, 1}});
}

TEST(EquivalentChannels, OfRandomNetworks) {
  const auto grow = [](Layers& l, std::vector<Value>& values, int kind, std::size_t which) {
    const Value x = values[which % values.size()];
    const Value last = values.back();
    switch (kind) {
      case 0:
        return l.relu(l.conv(x, 4));
      case 1:
        return l.conv(l.relu(x), x.shape()[1], 3, x.shape()[1]);
      case 2:
        return x.shape() == last.shape() ? x + last : l.conv(x, last.shape()[1], 1) + last;
      case 3:
        return x.shape()[1] < 12 ? l.concat({last, x}) : l.conv(x, 3, 1);
      case 4:
        return l.g.add(kMaxPool, {x},
                       {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{1, 1}}});
      case 5:
        return l.relu(x * l.constant({x.shape()[1], 1, 1}) + l.constant({x.shape()[1], 1, 1}));
      case 6:
        return x * l.g.add(kSigmoid, {l.conv(l.g.add(kReduceMean, {x},
                                                     {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{1}}}),
                                             x.shape()[1], 1)});
      default:
        return x - l.g.add(kReduceMean, {x},
                           {{"axes", Ints{kind % 2 == 0 ? 1 : 2}}, {"keepdims", std::int64_t{1}}});
    }
  };
  const bool ok = rc::check("outputs are equal", [&] {
    auto kinds = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 9));
    if (kinds.size() > 8) kinds.resize(8);
    const auto which =
        *rc::gen::container<std::vector<std::size_t>>(kinds.size(), rc::gen::inRange<std::size_t>(0, 9));
    const Network network = network_with({3, 6, 6}, [&](Layers& l, Value x) {
      std::vector<Value> values{x, l.conv(x, 4)};
      for (std::size_t k = 0; k < kinds.size(); ++k) values.push_back(grow(l, values, kinds[k], which[k]));
      return l.dense(l.flat(values.back()), 3);
    });
    const Tensor x = random_tensor({2, 3, 6, 6}, 5);
    const Tensor expected = network.predict(x);
    const std::string name = *rc::gen::elementOf(kOfChannels);
    RC_ASSERT(deviation(expected, rewritten(network, find_equivalent(name)).predict(x)) < 1e-5);
  });
  EXPECT_TRUE(ok);
}

TEST(Equivalents, ComputeTheSameFunction) {
  for (const char* name : {"cnn", "resnet", "pools", "mlp", "dense", "strided"}) {
    const Network network = network_of(golden(std::string(name) + ".onnx"));
    const Tensor x = read_npz(golden(std::string(name) + ".npz")).at("input");
    const Tensor expected = network.predict(x);
    for (const Equivalent& e : equivalents()) {
      SCOPED_TRACE(std::string(name) + " " + e.name);
      EXPECT_LT(deviation(expected, rewritten(network, e).predict(x)), 1e-4);
    }
  }
}

TEST(Equivalents, SayHowMuchTheyRewrote) {
  const Network network = network_of(golden("cnn.onnx"));
  const auto written = [&](const char* name) {
    return to_string(coverage(find_equivalent(name), network.graph(1)));
  };
  EXPECT_EQ(written("split"), "3 of 3 hidden layers");
  EXPECT_EQ(written("matrix_product"), "1 of 2 convolutions");
  EXPECT_EQ(written("max_halves"), "2 of 2 max poolings");
}

TEST(Equivalents, ChangeTheGraph) {
  const Network network = network_of(golden("cnn.onnx"));
  for (const Equivalent& e : equivalents()) {
    EXPECT_GT(e.rewrite(network.graph(1)).places, 0U) << e.name;
    EXPECT_NE(to_string(rewritten(network, e).graph(1)), to_string(network.graph(1))) << e.name;
  }
}

TEST(Equivalents, GradientsAreInvariantAndLrpIsNot) {
  const Network network = network_of(golden("cnn.onnx"));
  const auto arrays = read_npz(golden("cnn.npz"));
  const auto targets = arrays.at("target").data<std::int64_t>();
  const auto change = [&](const char* recipe, const Equivalent& e) {
    const Tensor before =
        Explainer(network, {parse_recipe(recipe)}, {}).explain(arrays.at("input"), targets).relevance[0];
    const Network other = rewritten(network, e);
    const Tensor after =
        Explainer(other, {parse_recipe(recipe)}, {}).explain(arrays.at("input"), targets).relevance[0];
    const double moved = deviation(before, after);
    EXPECT_TRUE(std::isfinite(moved)) << recipe << " " << e.name;
    return moved;
  };
  for (const Equivalent& e : equivalents()) {
    EXPECT_LT(change("gradient", e), 1e-3) << e.name;
    EXPECT_LT(change("gradient_x_input", e), 1e-3) << e.name;
  }
  // Differences share as LRP-0 does, so that a maximum that is written with them hands on to the larger
  // value. z+ sees how it is written where differences pass by their derivative.
  for (const char* maximum : {"max_difference", "max_halves"}) {
    EXPECT_LT(change("lrp_zplus", find_equivalent(maximum)), 1e-3) << maximum;
    EXPECT_GT(change("lrp_zplus:sums=gradient", find_equivalent(maximum)), 1e-2) << maximum;
  }
  EXPECT_LT(change("lrp_zplus", find_equivalent("permute")), 1e-3);
  // One rule everywhere does not see that a convolution became a dense layer; a composite does.
  EXPECT_LT(change("lrp_zplus", find_equivalent("matrix_product")), 1e-3);
  EXPECT_GT(change("lrp_epsilon_plus", find_equivalent("matrix_product")), 1e-2);
  // z+ of a layer that was divided by a number does not see it either, when biases take no share.
  EXPECT_LT(change("lrp_zplus:bias=ignore", find_equivalent("unfold_batch_norm")), 1e-3);
}

TEST(Equivalents, SayWhereThereIsNothingToRewrite) {
  const Network network = network_of(golden("mlp.onnx"));
  for (const char* name : {"matrix_product", "zero_taps", "unfold_batch_norm", "max_halves"})
    EXPECT_EQ(find_equivalent(name).rewrite(network.graph(1)).places, 0U) << name;
  EXPECT_GT(find_equivalent("split").rewrite(network.graph(1)).places, 0U);
}

TEST(Equivalents, UnfoldedBatchNormsStay) {
  const Network network = network_of(golden("cnn.onnx"));
  const std::string written = to_string(rewritten(network, find_equivalent("unfold_batch_norm")).graph(1));
  EXPECT_NE(written.find("BatchNormalization"), std::string::npos);
  EXPECT_EQ(to_string(network.graph(1)).find("BatchNormalization"), std::string::npos);
}

TEST(Equivalents, UnknownNamesAreErrors) { EXPECT_THROW(find_equivalent("splitt"), UsageError); }

}  // namespace heatproof
