// What a node says is read or refused: nothing that changes its function is ignored in silence.
#include <gtest/gtest.h>
#include <cmath>

#include "base/files.h"
#include "engine/program.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/operators.h"
#include "support/written.h"

namespace heatproof {

using namespace testing;

namespace {

class Refusals : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path file = folder / "m.onnx";

  Model load(const Written& net) {
    write_file(file, net.model.SerializeAsString());
    return Model::load(file);
  }
  Graph graph(const Written& net) { return canonicalize(load(net).specialize({.batch = 1, .shapes = {}})); }
  std::vector<float> run(const Written& net, const Tensor& x) {
    const Tensor y = Workspace(compile(graph(net))).run({x}).at(0);
    return {y.data<float>().begin(), y.data<float>().end()};
  }
  /// The message, with the exit code in front; empty where the network is read.
  std::string refusal(const Written& net) {
    try {
      graph(net);
    } catch (const Error& e) {
      return std::to_string(e.exit_code()) + " " + e.what();
    }
    return "";
  }
  void expect_refused(const Written& net, int code, const std::vector<std::string>& parts) {
    const std::string text = refusal(net);
    EXPECT_TRUE(text.starts_with(std::to_string(code) + " ")) << "'" << text << "'";
    for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
  }
};

Written batch_normalization(std::int64_t opset, const std::vector<std::string>& outputs = {"y"},
                            const std::string& input = "x") {
  Written net({1, 2, 3}, opset);
  net.weight("scale", {2}, {2, 1}).weight("bias", {2}, {1, 0});
  net.weight("mean", {2}, {0, 0}).weight("var", {2}, {1, 1});
  net.node("BatchNormalization", {input, "scale", "bias", "mean", "var"}, outputs);
  return net;
}

}  // namespace

TEST_F(Refusals, BatchNormalizationThatTrains) {
  expect_refused(batch_normalization(15).integer("training_mode", 1), 4,
                 {"the BatchNormalization", "statistics of the batch", "model.eval()"});
  expect_refused(batch_normalization(14, {"y", "m", "v"}).integer("training_mode", 1), 4, {"eval mode"});
  EXPECT_EQ(refusal(batch_normalization(15).integer("training_mode", 0)), "");
}

TEST_F(Refusals, BatchNormalizationThatTrainedBeforeItHadAWordForIt) {
  expect_refused(batch_normalization(9, {"y", "m", "v", "sm", "sv"}), 4, {"statistics of the batch"});
  EXPECT_EQ(refusal(batch_normalization(9, {"y", "", ""})), "");
  expect_refused(batch_normalization(7).integer("spatial", 0), 4, {"spatial"});
  EXPECT_EQ(refusal(batch_normalization(7).integer("spatial", 1).number("momentum", 0.9F)), "");
}

TEST_F(Refusals, BatchNormalizationOfAConstantTrainsByItsOwnStatistics) {
  Written net = batch_normalization(15, {"z"}, "c");
  net.integer("training_mode", 1);
  net.weight("c", {1, 2, 3}, {1, 2, 3, 10, 10, 13}).node("Add", {"z", "x"}, {"y"});
  const double d = std::sqrt(2.0 / 3 + 1e-5);
  const double e = std::sqrt(2 + 1e-5);
  const auto y = run(net, floats({1, 2, 3}, {0, 0, 0, 0, 0, 0}));
  const std::vector<double> expected{1 - 2 / d, 1, 1 + 2 / d, -1 / e, -1 / e, 2 / e};
  for (std::size_t k = 0; k < y.size(); ++k) EXPECT_NEAR(y[k], expected[k], 1e-5);
}

TEST_F(Refusals, DropoutThatDrops) {
  const auto dropout = [](bool training, float ratio) {
    Written net({1, 4});
    net.weight("ratio", {}, {ratio}).truth("training", training);
    net.node("Dropout", {"x", "ratio", "training"}, {"y"});
    return net;
  };
  expect_refused(dropout(true, 0.5F), 4, {"the Dropout", "training_mode", "eval"});
  EXPECT_EQ(refusal(dropout(true, 0)), "");
  EXPECT_EQ(refusal(dropout(false, 0.5F)), "");
  Written by_default({1, 4});
  by_default.truth("training", true).node("Dropout", {"x", "", "training"}, {"y"});
  expect_refused(by_default, 4, {"training_mode"});
  EXPECT_EQ(refusal(Written({1, 4}, 11).node("Dropout", {"x"}, {"y"}).number("ratio", 0.5F)), "");
}

TEST_F(Refusals, AttributesThatNobodyReads) {
  expect_refused(Written({1, 4}).node("Add", {"x", "x"}, {"y"}).integer("broadcast", 1), 4,
                 {"the Add", "attribute broadcast", "not supported"});
  expect_refused(Written({1, 4}).node("Softmax", {"x"}, {"y"}).number("beta", 2), 4, {"attribute beta"});
  expect_refused(Written({1, 4}).node("Relu", {"x"}, {"y"}).number("max", 6), 4, {"attribute max"});
  expect_refused(Written({1, 4}).node("Flatten", {"x"}, {"y"}).integer("order", 1), 4, {"attribute order"});
  expect_refused(Written({1, 2, 4})
                     .node("MaxPool", {"x"}, {"y"})
                     .integers("kernel_shape", {2})
                     .integer("count_include_pad", 1),
                 4, {"attribute count_include_pad"});
}

TEST_F(Refusals, InputsThatNobodyReads) {
  expect_refused(Written({1, 4}).node("Relu", {"x", "x"}, {"y"}), 4, {"the Relu", "input 1 ('x')"});
  expect_refused(Written({1, 4}).node("Softmax", {"x", "x"}, {"y"}), 4, {"input 1"});
}

TEST_F(Refusals, WhatChangesNoResultIsRead) {
  Written pool({1, 2, 4});
  pool.node("MaxPool", {"x"}, {"y"}).integers("kernel_shape", {2}).integer("storage_order", 1);
  EXPECT_EQ(refusal(pool), "");
  Written norm({1, 4});
  norm.weight("w", {4}, {1, 1, 1, 1}).node("LayerNormalization", {"x", "w"}, {"y"}).integer("stash_type", 1);
  EXPECT_EQ(refusal(norm), "");
  EXPECT_EQ(refusal(Written({1, 4}, 19).node("Cast", {"x"}, {"y"}).integer("to", 1).integer("saturate", 0)),
            "");
}

TEST_F(Refusals, AttributesOfAnotherTypeAreNotZero) {
  expect_refused(Written({1, 4}).node("Softmax", {"x"}, {"y"}).number("axis", 1), 3,
                 {"axis", "FLOAT", "INT"});
  expect_refused(Written({1, 4}).node("LeakyRelu", {"x"}, {"y"}).integer("alpha", 1), 3, {"alpha", "FLOAT"});
  expect_refused(Written({1, 4}).node("Cast", {"x"}, {"y"}), 3, {"attribute to is missing"});
  expect_refused(Written({1, 4}).node("Concat", {"x", "x"}, {"y"}), 3, {"attribute axis is missing"});
}

TEST_F(Refusals, WordsThatNobodyKnows) {
  expect_refused(Written({1, 4}, 20).node("Gelu", {"x"}, {"y"}).text("approximate", "fast"), 4, {"fast"});
  Written conv({1, 1, 4, 4});
  conv.weight("w", {1, 1, 1, 1}, {1}).node("Conv", {"x", "w"}, {"y"}).text("auto_pad", "SAME");
  expect_refused(conv, 4, {"auto_pad", "SAME_UPPER"});
  Written blocks({1, 4, 2, 2});
  blocks.node("DepthToSpace", {"x"}, {"y"}).integer("blocksize", 2).text("mode", "XYZ");
  expect_refused(blocks, 4, {"XYZ"});
}

TEST_F(Refusals, OutputsThatNobodyGives) {
  Written net({1, 4});
  net.weight("w", {4}, {1, 1, 1, 1}).node("Dropout", {"x"}, {"h", "mask"}).node("Mul", {"h", "mask"}, {"y"});
  expect_refused(net, 4, {"the Mul", "output 2 of node 'the Dropout'", "not supported"});
  Written last({1, 4});
  last.node("Dropout", {"x"}, {"h", "y"});
  expect_refused(last, 4, {"output 'y'", "output 2 of node 'the Dropout'"});
}

TEST_F(Refusals, OperatorsOfOtherDomainsAndFunctions) {
  Written custom({1, 4});
  custom.node("Relu", {"x"}, {"y"});
  custom.graph().mutable_node(0)->set_domain("my.company");
  expect_refused(custom, 4, {"my.company.Relu"});

  Written own({1, 4});
  own.node("Relu", {"x"}, {"y"});
  auto* function = own.model.add_functions();
  function->set_name("Relu");
  expect_refused(own, 4, {"Relu", "inline"});
}

TEST_F(Refusals, OpsetsThatAreNotKnown) {
  expect_refused(Written({1, 4}, 99).node("Relu", {"x"}, {"y"}), 4,
                 {"opset 99", "newer", "version_converter"});
  Written both({1, 4});
  both.node("Relu", {"x"}, {"y"});
  auto* again = both.model.add_opset_import();
  again->set_domain("ai.onnx");
  again->set_version(9);
  expect_refused(both, 3, {"opset 17", "opset 9"});
}

TEST_F(Refusals, ValuesThatAreThereTwice) {
  expect_refused(Written({1, 4}).node("Relu", {"x"}, {"y"}).node("Neg", {"x"}, {"y"}), 3, {"'y'", "already"});
  Written weights({1, 4});
  weights.weight("w", {1}, {1}).weight("w", {1}, {2}).node("Add", {"x", "w"}, {"y"});
  expect_refused(weights, 3, {"two weights 'w'"});
  Written sparse({1, 4});
  sparse.node("Relu", {"x"}, {"y"});
  sparse.graph().add_sparse_initializer()->mutable_values()->set_name("w");
  expect_refused(sparse, 4, {"'w'", "sparse"});
}

TEST_F(Refusals, LengthsThatDoNotMakeUpAnAxis) {
  const auto split = [](const Dims& lengths) {
    Written net({1, 6});
    net.whole("s", {static_cast<std::int64_t>(lengths.size())}, lengths);
    net.node("Split", {"x", "s"}, {"y", "z"}).integer("axis", 1);
    return net;
  };
  EXPECT_EQ(refusal(split({2, 4})), "");
  expect_refused(split({2, 3}), 3, {"2, 3", "6"});
  expect_refused(split({2, 2, 2}), 3, {"2 outputs"});
  expect_refused(
      Written({1, 6}, 18).node("Split", {"x"}, {"y", "z"}).integer("axis", 1).integer("num_outputs", 3), 3,
      {"num_outputs"});
  expect_refused(Written({1, 2, 3}).node("ReduceMean", {"x"}, {"y"}).integers("axes", {1, -2}), 3, {"twice"});
}

TEST_F(Refusals, CastsWrapAroundAsIntegersDo) {
  Written net({1, 2});
  net.whole("big", {2}, {300, -1}).node("Cast", {"big"}, {"small"}).integer("to", onnx::TensorProto::UINT8);
  net.node("Cast", {"small"}, {"real"}).integer("to", onnx::TensorProto::FLOAT);
  net.node("Add", {"x", "real"}, {"y"});
  EXPECT_EQ(run(net, floats({1, 2}, {0, 0})), (std::vector<float>{44, 255}));
  Written eight({1, 2}, 19);
  eight.weight("w", {2}, {1, 2}).node("Cast", {"w"}, {"h"}).integer("to", 17).node("Add", {"x", "h"}, {"y"});
  expect_refused(eight, 4, {"element type 17"});
}

TEST_F(Refusals, BoundsOfClip) {
  Written net({1, 3});
  net.weight("low", {}, {2}).weight("high", {}, {1}).node("Clip", {"x", "low", "high"}, {"y"});
  EXPECT_EQ(run(net, floats({1, 3}, {0, 1.5F, 3})), (std::vector<float>{1, 1, 1}));  // as the standard says
  Written empty({1, 3});
  empty.weight("low", {0}, {}).node("Clip", {"x", "low"}, {"y"});
  expect_refused(empty, 3, {"('low') has no elements"});
}

TEST_F(Refusals, IntegersThatDependOnTheDataAreNotComputedWith) {
  Written net({1, 2});
  net.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  net.node("Neg", {"x"}, {"y"});
  expect_refused(net, 4, {"the Neg", "integers"});
  Written sums({1, 2});  // known, but computed by kernels of single precision
  sums.whole("n", {2, 2}, {1, 2, 3, 4}).node("ReduceMax", {"n"}, {"y"}).integers("axes", {0});
  expect_refused(sums, 4, {"output 'y'", "integers", "the ReduceMax"});
}

namespace {

/// Marks a tensor as external: 8 bytes of a file.
void lie_in(onnx::TensorProto& t, const std::string& location, bool external = true) {
  if (external) t.set_data_location(onnx::TensorProto::EXTERNAL);
  auto* entry = t.add_external_data();
  entry->set_key("location");
  entry->set_value(location);
}

onnx::TensorProto pair_of(const std::string& location) {
  onnx::TensorProto t;
  t.set_data_type(onnx::TensorProto::FLOAT);
  t.add_dims(2);
  lie_in(t, location);
  return t;
}

}  // namespace

TEST_F(Refusals, TheHashCoversExternalDataOfNodes) {
  Written net({1, 2});
  net.node("Constant", {}, {"w"});
  *net.attribute("value", onnx::AttributeProto::TENSOR).mutable_t() = pair_of("w.bin");
  net.node("Add", {"x", "w"}, {"y"});
  write_file(folder / "w.bin", std::string(8, '\0'));
  const std::string before = load(net).hash();
  EXPECT_EQ(load(net).hash(), before);
  write_file(folder / "w.bin", std::string(8, '\1'));
  EXPECT_NE(load(net).hash(), before);
  std::filesystem::remove(folder / "w.bin");
  expect_refused(net, 3, {"w.bin", "missing"});
}

TEST_F(Refusals, TheHashCoversExternalDataOfSubgraphsFunctionsAndSparseTensors) {
  const auto changes = [&](const Written& net) {
    write_file(file, net.model.SerializeAsString());
    write_file(folder / "w.bin", std::string(8, '\0'));
    const std::string before = Model::inspect(file).hash();
    write_file(folder / "w.bin", std::string(8, '\1'));
    return Model::inspect(file).hash() != before;
  };
  Written branch({1, 2});
  branch.node("If", {"x"}, {"y"});
  *branch.attribute("then_branch", onnx::AttributeProto::GRAPH).mutable_g()->add_initializer() =
      pair_of("w.bin");
  EXPECT_TRUE(changes(branch));

  Written nested({1, 2});
  nested.node("If", {"x"}, {"y"});
  auto* inner = nested.attribute("then_branch", onnx::AttributeProto::GRAPH).mutable_g()->add_node();
  inner->set_op_type("Constant");
  auto* value = inner->add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  *value->mutable_t() = pair_of("w.bin");
  EXPECT_TRUE(changes(nested));

  Written sparse({1, 2});
  sparse.node("Constant", {}, {"y"});
  *sparse.attribute("sparse_value", onnx::AttributeProto::SPARSE_TENSOR)
       .mutable_sparse_tensor()
       ->mutable_values() = pair_of("w.bin");
  EXPECT_TRUE(changes(sparse));

  Written function({1, 2});
  function.node("Relu", {"x"}, {"y"});
  auto* node = function.model.add_functions()->add_node();
  node->set_op_type("Constant");
  auto* constant = node->add_attribute();
  constant->set_name("value");
  constant->set_type(onnx::AttributeProto::TENSOR);
  *constant->mutable_t() = pair_of("w.bin");
  EXPECT_TRUE(changes(function));
}

TEST_F(Refusals, EntriesOfTensorsThatAreNotExternalAreNotFollowed) {
  Written net({1, 2});
  net.weight("w", {2}, {1, 2}).node("Add", {"x", "w"}, {"y"});
  lie_in(*net.graph().mutable_initializer(0), "/nowhere/at all", false);
  EXPECT_EQ(refusal(net), "");
  EXPECT_EQ(run(net, floats({1, 2}, {1, 1})), (std::vector<float>{2, 3}));
}

TEST_F(Refusals, ExternalDataOfNodesStaysInTheModelsFolder) {
  Written net({1, 2});
  net.node("Constant", {}, {"w"});
  *net.attribute("value", onnx::AttributeProto::TENSOR).mutable_t() = pair_of("../w.bin");
  net.node("Add", {"x", "w"}, {"y"});
  expect_refused(net, 3, {"../w.bin", "leaves the model's folder"});
}

}  // namespace heatproof
