#include "onnx/model.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>

#include "base/files.h"
#include "base/random.h"
#include "data/npy.h"
#include "engine/program.h"
#include "explain/network.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

std::string message_of(const std::filesystem::path& path) {
  try {
    const Model model = Model::load(path);
    Specialization s;
    s.batch = 1;
    model.specialize(s);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// A model that adds a weight to its input, to be damaged.
onnx::ModelProto small_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  auto* graph = model.mutable_graph();
  auto* node = graph->add_node();
  node->set_op_type("Add");
  node->set_name("plus");
  node->add_input("x");
  node->add_input("w");
  node->add_output("y");
  auto* weight = graph->add_initializer();
  weight->set_name("w");
  weight->set_data_type(onnx::TensorProto::FLOAT);
  weight->add_dims(2);
  weight->add_float_data(1);
  weight->add_float_data(2);
  const auto port = [](onnx::ValueInfoProto* info, const char* name) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    type->mutable_shape()->add_dim()->set_dim_value(2);
  };
  port(graph->add_input(), "x");
  port(graph->add_output(), "y");
  return model;
}

class Models : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path file = folder / "m.onnx";

  std::string message(const onnx::ModelProto& model) {
    write_file(file, model.SerializeAsString());
    return message_of(file);
  }
};

}  // namespace

TEST_F(Models, TheSmallModelIsSound) { EXPECT_EQ(message(small_model()), ""); }

TEST_F(Models, TruncatedFilesAreNamed) {
  const std::string bytes = read_file(golden("cnn.onnx"));
  for (std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write_file(file, bytes.substr(0, length));
    EXPECT_NE(message_of(file).find("m.onnx"), std::string::npos) << length;
  }
  EXPECT_NE(message_of(folder / "missing.onnx").find("missing.onnx"), std::string::npos);
}

TEST_F(Models, FlippedBytesNeverCrash) {
  const std::string bytes = read_file(golden("mlp.onnx"));
  RandomStream random(7);
  int refused = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::string damaged = bytes;
    for (int k = 0; k < 4; ++k) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    // Half of the damage goes to the structure at both ends of the file.
    damaged[random.below(200)] = static_cast<char>(random.below(256));
    write_file(file, damaged);
    refused += message_of(file).empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 50);
}

TEST_F(Models, ShapesThatLieAreRefused) {
  auto huge = small_model();
  huge.mutable_graph()->mutable_initializer(0)->set_dims(0, std::int64_t{1} << 40);
  EXPECT_NE(message(huge).find("w"), std::string::npos);
  auto negative = small_model();
  negative.mutable_graph()->mutable_initializer(0)->set_dims(0, -2);
  EXPECT_NE(message(negative), "");
  auto broad = small_model();
  broad.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(std::int64_t{1} << 50);
  EXPECT_NE(message(broad), "");
}

TEST_F(Models, EveryUnsupportedOperatorIsListedAtOnce) {
  auto model = small_model();
  for (const char* op : {"Frobnicate", "Wobble"}) {
    auto* node = model.mutable_graph()->add_node();
    node->set_op_type(op);
    node->set_name(std::string("my ") + op);
    node->add_input("y");
    node->add_output(op);
  }
  const std::string text = message(model);
  for (const char* part : {"Frobnicate", "Wobble", "my Frobnicate", "2 node(s)"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(Models, ErrorsNameFileNodeAndOperator) {
  auto model = small_model();
  model.mutable_graph()->mutable_initializer(0)->set_dims(0, 1);
  model.mutable_graph()->mutable_initializer(0)->add_dims(2);
  model.mutable_graph()->mutable_node(0)->set_op_type("Conv");
  const std::string text = message(model);
  for (const char* part : {"m.onnx", "plus", "Conv"}) EXPECT_NE(text.find(part), std::string::npos) << text;
  auto dangling = small_model();
  dangling.mutable_graph()->mutable_node(0)->set_input(1, "nobody");
  EXPECT_NE(message(dangling).find("nobody"), std::string::npos);
}

TEST_F(Models, OldOpsetsAreRefusedWithAdvice) {
  auto model = small_model();
  model.mutable_opset_import(0)->set_version(6);
  EXPECT_NE(message(model).find("version_converter"), std::string::npos);
}

TEST_F(Models, OperatorsOfOtherDomainsAreNamedWhereOnnxsAreNotDeclared) {
  auto model = small_model();
  model.mutable_opset_import(0)->set_domain("ai.onnx.ml");
  EXPECT_NE(message(model).find("opset_import"), std::string::npos);  // Add of no version
  auto* node = model.mutable_graph()->mutable_node(0);
  node->set_op_type("TreeEnsembleClassifier");
  node->set_domain("ai.onnx.ml");
  const std::string text = message(model);
  EXPECT_NE(text.find("ai.onnx.ml.TreeEnsembleClassifier"), std::string::npos) << text;
  EXPECT_EQ(text.find("opset"), std::string::npos) << text;
}

TEST_F(Models, OutputsThatNobodyComputesAreNamed) {
  auto model = small_model();
  auto* graph = model.mutable_graph();
  auto* drop = graph->add_node();
  drop->set_op_type("Dropout");
  drop->set_name("drop");
  drop->add_input("y");
  drop->add_output("z");
  drop->add_output("mask");
  EXPECT_EQ(message(model), "");
  auto* node = graph->add_node();
  node->set_op_type("Not");
  node->set_name("inverse");
  node->add_input("mask");
  node->add_output("other");
  const std::string text = message(model);
  for (const char* part : {"inverse", "output 2 of node 'drop' (Dropout)", "not supported"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  graph->mutable_node()->RemoveLast();
  graph->mutable_output(0)->set_name("mask");
  EXPECT_NE(message(model).find("output 2 of node 'drop' (Dropout)"), std::string::npos) << message(model);
}

TEST_F(Models, CyclesAreNamed) {
  auto model = small_model();
  model.mutable_graph()->mutable_node(0)->set_input(1, "y");
  const std::string text = message(model);
  for (const char* part : {"m.onnx", "plus", "waits for its own result"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(Models, ExternalDataStaysInTheModelsFolder) {
  write_file(folder / "data.bin", std::string(8, '\0'));
  const auto external = [&](const std::string& location, const std::string& length) {
    auto model = small_model();
    auto* w = model.mutable_graph()->mutable_initializer(0);
    w->clear_float_data();
    w->set_data_location(onnx::TensorProto::EXTERNAL);
    const auto entry = [&](const char* key, const std::string& value) {
      auto* e = w->add_external_data();
      e->set_key(key);
      e->set_value(value);
    };
    entry("location", location);
    entry("offset", "0");
    entry("length", length);
    return message(model);
  };
  EXPECT_EQ(external("data.bin", "8"), "");
  EXPECT_NE(external("../data.bin", "8"), "");
  EXPECT_NE(external("/etc/passwd", "8"), "");
  EXPECT_NE(external("sub/../../data.bin", "8"), "");
  EXPECT_NE(external("data.bin", "800"), "");
  EXPECT_NE(external("missing.bin", "8").find("missing.bin"), std::string::npos);
  std::filesystem::create_symlink("/etc/passwd", folder / "link.bin");
  EXPECT_NE(external("link.bin", "8"), "");
}

TEST_F(Models, HalfPrecisionWeightsAreComputedInSingle) {
  auto model = small_model();
  auto* w = model.mutable_graph()->mutable_initializer(0);
  w->clear_float_data();
  w->set_data_type(onnx::TensorProto::FLOAT16);
  w->set_raw_data(std::string("\x00\x3c\x00\xc1", 4));  // 1 and −2.5
  write_file(file, model.SerializeAsString());
  Specialization s;
  s.batch = 1;
  const Tensor y = Workspace(compile(Model::load(file).specialize(s))).run({floats({1, 2}, {1, 1})}).at(0);
  expect_close(y, floats({1, 2}, {2, -1.5}));
}

TEST(RealModels, GiveTheSameLogitsAtAnyBatchSize) {
  const auto folder = shared_data("models");
  if (folder.empty()) GTEST_SKIP() << "shared data is not here";
  for (const char* name : {"squeezenet_fp16", "mnist", "cifar10_small", "resnet8_cifar10", "resnet20_cifar10",
                           "mobilenet_v1_025_vww"}) {
    SCOPED_TRACE(name);
    const Network network([model = Model::load(folder / (std::string(name) + ".onnx"))](std::int64_t batch) {
      Specialization s;
      s.batch = batch;
      return model.specialize(s);
    });
    Shape shape = network.input_shape();
    shape[0] = 3;
    const Tensor x = random_tensor(shape, 1, 0, 1);
    const Tensor all = network.predict(x);
    for (std::int64_t i = 0; i < 3; ++i)
      expect_close(network.predict(x.rows(i, i + 1)), all.rows(i, i + 1), 1e-4, 1e-4);
  }
}

TEST(RealModels, StyleTransferIsRefusedByName) {
  const auto file = shared_data("models/fns_candy.onnx");
  if (file.empty()) GTEST_SKIP() << "shared data is not here";
  try {
    Model::load(file);
    FAIL();
  } catch (const UnsupportedError& e) {
    EXPECT_NE(std::string(e.what()).find("Affine"), std::string::npos) << e.what();
  }
}

TEST(RealModels, SqueezeNetRecognisesAPhoto) {
  const auto data = shared_data("models");
  if (data.empty()) GTEST_SKIP() << "shared data is not here";
  const std::string base = shared_data("").string();
  const Outcome o =
      heatproof("run " + base + "/models/squeezenet_fp16.onnx " + base +
                "/images --resize 256 --size 224 --channels bgr --range 255 --mean 103.94,116.78,123.68"
                " --labels " +
                base + "/labels/imagenet.txt --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.out.find("goldfish"), std::string::npos);
}

}  // namespace heatproof
