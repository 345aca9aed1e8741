// Files that are damaged, or made to harm: an error in one line, in no time, and nothing outside of the
// model's folder is looked at.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "engine/program.h"
#include "explain/network.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "onnx/weights.h"
#include "support/files.h"
#include "support/networks.h"
#include "support/operators.h"
#include "support/written.h"

namespace heatproof {

using namespace testing;

namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

void lie_in(onnx::TensorProto& t, const Entries& entries) {
  t.clear_float_data();
  t.clear_external_data();
  t.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : entries) {
    auto* entry = t.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
}

class Hostile : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::filesystem::path file = folder / "m.onnx";

  /// The message, with the exit code in front; empty where the network is read.
  std::string outcome() {
    try {
      Model::load(file).specialize({.batch = 1, .shapes = {}});
    } catch (const Error& e) {
      const std::string text = e.what();
      EXPECT_LT(text.size() + std::string("heatproof: ").size(), 500U) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      return std::to_string(e.exit_code()) + " " + text;
    }
    return "";
  }
  std::string outcome(const onnx::ModelProto& model) {
    write_file(file, model.SerializeAsString());
    return outcome();
  }
  std::string outcome_of(const std::filesystem::path& path) {
    file = path;
    return outcome();
  }
  /// Of a network that adds two numbers from beside the model.
  std::string external(const Entries& entries) { return outcome(external_model(entries)); }
  static onnx::ModelProto external_model(const Entries& entries) {
    Written net({1, 2});
    net.weight("w", {2}, {}).node("Add", {"x", "w"}, {"y"});
    lie_in(*net.graph().mutable_initializer(0), entries);
    return net.model;
  }
};

Written small() {
  Written net({1, 2, 4});
  net.weight("w", {4, 3}, std::vector<float>(12, 0.5F)).whole("axes", {1}, {1});
  net.node("MatMul", {"x", "w"}, {"a"}).node("Softmax", {"a"}, {"b"}).integer("axis", -1);
  net.node("ReduceSum", {"b", "axes"}, {"y"}).integer("keepdims", 0);
  return net;
}

}  // namespace

TEST_F(Hostile, FilesThatEndAnywhere) {
  const std::string bytes = small().model.SerializeAsString();
  write_file(file, bytes);
  ASSERT_EQ(outcome(), "");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    write_file(file, std::string_view(bytes).substr(0, n));
    const std::string text = outcome();
    EXPECT_TRUE(text.empty() || text[0] == '3' || text[0] == '4') << n << ": " << text;
  }
}

TEST_F(Hostile, WhatIsNoFileIsNotReadAsAModel) {
  const std::filesystem::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(outcome_of(pipe).starts_with("3 "));  // and does not wait for a writer
  EXPECT_NE(outcome_of("/dev/zero").find("a pipe or a device"), std::string::npos);
  EXPECT_NE(outcome_of(folder.path()).find("is a folder"), std::string::npos);
  EXPECT_NE(outcome_of(folder / "none").find("no such file"), std::string::npos);
  write_file(folder / "empty", "");
  EXPECT_TRUE(outcome_of(folder / "empty").starts_with("3 "));
  const std::filesystem::path large = folder / "large";
  write_file(large, "");
  std::filesystem::resize_file(large, std::uintmax_t{3} << 30);  // takes no room
  EXPECT_NE(outcome_of(large).find("2 GB"), std::string::npos);
}

TEST_F(Hostile, StructureIsWeighedBeforeItTakesMemory) {
  // Empty nodes of two bytes each, which take a hundred times as much once they are parsed.
  std::string nodes;
  for (int i = 0; i < 8'000'000; ++i) nodes += std::string("\x0a\x00", 2);
  std::string bytes("\x3a");  // the graph, and how long it is
  for (std::size_t n = nodes.size(); n > 0; n >>= 7)
    bytes += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
  write_file(file, bytes + nodes);
  EXPECT_NE(outcome().find("1024 MB of memory, the limit"), std::string::npos) << outcome();
}

TEST_F(Hostile, ExternalDataLeavesNoTraceOfWhatLiesOutside) {
  std::filesystem::create_directories(folder / "in/sub");
  file = folder / "in/m.onnx";
  write_file(folder / "in/w.bin", std::string(8, '\0'));
  write_file(folder / "outside.bin", std::string(8, '\0'));
  std::filesystem::create_symlink("../outside.bin", folder / "in/there");
  std::filesystem::create_symlink("../nothing.bin", folder / "in/not_there");
  std::filesystem::create_symlink(folder / "outside.bin", folder / "in/absolute");
  std::filesystem::create_symlink("..", folder / "in/up");
  std::filesystem::create_symlink("loop", folder / "in/loop");
  std::filesystem::create_symlink("sub/../w.bin", folder / "in/inside");
  ASSERT_EQ(::mkfifo((folder / "in/pipe").c_str(), 0600), 0);
  const auto of = [&](const std::string& location) { return external({{"location", location}}); };
  for (const char* location : {"w.bin", "./w.bin", "sub/../w.bin", "inside"})
    EXPECT_EQ(of(location), "") << location;
  for (const char* location :
       {"../outside.bin", "../nothing.bin", "sub/../../outside.bin", "there", "not_there", "absolute",
        "up/outside.bin", "up/nothing.bin", "/etc/passwd", "/nowhere", "..", "up/in/w.bin"}) {
    const std::string text = of(location);
    EXPECT_TRUE(text.starts_with("3 ")) << text;
    EXPECT_NE(text.find("leaves the model's folder"), std::string::npos) << location << ": " << text;
  }
  for (const std::string& location :
       {std::string("pipe"), std::string("sub"), std::string("loop"), std::string("none"),
        std::string("w.bin/x"), std::string("w.bin\0x", 7), std::string("."), std::string(100'000, 'a'),
        std::string("none/../../x")}) {
    EXPECT_NE(of(location).find("is missing, or no regular file"), std::string::npos) << of(location);
  }
  EXPECT_TRUE(of("").starts_with("3 "));
}

TEST_F(Hostile, EntriesOfExternalDataAreSizes) {
  write_file(folder / "w.bin", std::string(16, '\0'));
  const auto with = [&](const Entries& more) {
    Entries entries{{"location", "w.bin"}};
    entries.insert(entries.end(), more.begin(), more.end());
    return external(entries);
  };
  EXPECT_EQ(with({{"offset", "8"}, {"length", "8"}}), "");
  EXPECT_EQ(with({{"offset", "3"}}), "");  // needs not be aligned
  EXPECT_EQ(with({{"offset", "3"}, {"offset", "3"}, {"checksum", "abc"}}), "");
  for (const Entries& entries : std::vector<Entries>{{{"offset", "9"}},
                                                     {{"offset", "9223372036854775807"}},
                                                     {{"offset", "9223372036854775808"}},
                                                     {{"offset", "-1"}},
                                                     {{"offset", ""}},
                                                     {{"offset", "1e3"}},
                                                     {{"length", "9223372036854775807"}},
                                                     {{"length", "-8"}},
                                                     {{"length", "4"}},
                                                     {{"length", "0"}},
                                                     {{"offset", "0"}, {"offset", "8"}},
                                                     {{"location", "other.bin"}}}) {
    EXPECT_TRUE(with(entries).starts_with("3 ")) << entries[0].first << " " << entries[0].second;
  }
}

TEST_F(Hostile, ManyTensorsOfOneRegionAreCountedBeforeTheyAreRead) {
  Written net({1, 1});
  for (int k = 0; k < 100'000; ++k) {
    onnx::TensorProto* t = net.graph().add_initializer();
    t->set_name("w" + std::to_string(k));
    t->set_data_type(onnx::TensorProto::FLOAT);
    t->add_dims(25'000'000);
    lie_in(*t, {{"location", "w.bin"}, {"length", "100000000"}});
  }
  net.node("Relu", {"x"}, {"y"});
  write_file(folder / "w.bin", "");
  // Takes no room, and what lies beside the region does not count.
  std::filesystem::resize_file(folder / "w.bin", 1'000'000'000'000);
  EXPECT_NE(outcome(net.model).find("16 times as much"), std::string::npos);
}

TEST_F(Hostile, ExternalDataIsReadOnceAndHashedWhereItIsUsed) {
  const std::string numbers("\0\0\x80\x3f\0\0\0\x40", 8);  // 1 and 2
  const auto hash = [&](const std::string& data) {
    write_file(folder / "w.bin", data);
    return Model::load(file).hash();
  };
  Written net({1, 2});
  net.node("Constant", {}, {"w"});
  auto* t = net.attribute("value", onnx::AttributeProto::TENSOR).mutable_t();
  t->set_data_type(onnx::TensorProto::FLOAT);
  t->add_dims(2);
  lie_in(*t, {{"location", "w.bin"}, {"offset", "4"}});
  net.node("Add", {"x", "w"}, {"y"});
  write_file(file, net.model.SerializeAsString());
  const std::string before = hash("1234" + numbers);
  EXPECT_EQ(hash("1234" + numbers), before);
  EXPECT_EQ(hash("4321" + numbers + "more"), before);  // nothing hangs on it
  EXPECT_NE(hash("1234" + std::string(8, '\1')), before);
  write_file(folder / "w.bin", "1234" + numbers);
  const Model model = Model::load(file);
  write_file(folder / "w.bin", std::string(12, '\1'));
  const Graph graph = canonicalize(model.specialize({.batch = 1, .shapes = {}}));
  expect_close(Workspace(compile(graph)).run({floats({1, 2}, {1, 1})}).at(0), floats({1, 2}, {2, 3}));
}

TEST(HostileTensors, ContradictThemselves) {
  const auto outcome = [](const onnx::TensorProto& t) -> std::string {
    try {
      read_tensor(t);
    } catch (const Error& e) {
      return std::to_string(e.exit_code()) + " " + e.what();
    }
    return "";
  };
  const auto tensor = [](int type) {
    onnx::TensorProto t;
    t.set_name("w");
    t.set_data_type(type);
    t.add_dims(1);
    return t;
  };
  using P = onnx::TensorProto;
  for (const auto& [type, least, most] : {std::tuple{P::INT8, -128, 127},
                                          {P::UINT8, 0, 255},
                                          {P::INT16, -32768, 32767},
                                          {P::UINT16, 0, 65535},
                                          {P::FLOAT16, -32768, 65535}}) {
    for (const int value : {least, most, least - 1, most + 1}) {
      P t = tensor(type);
      t.add_int32_data(value);
      EXPECT_EQ(outcome(t).empty(), value >= least && value <= most) << type << " " << value;
    }
  }
  P both = tensor(P::FLOAT);
  both.add_float_data(1);
  EXPECT_EQ(outcome(both), "");
  both.set_raw_data(std::string(4, '\0'));
  EXPECT_TRUE(outcome(both).starts_with("3 "));
  P elsewhere = tensor(P::FLOAT);  // numbers of another type
  elsewhere.add_int32_data(1);
  EXPECT_TRUE(outcome(elsewhere).starts_with("3 "));
  P piece = tensor(P::FLOAT);
  piece.add_float_data(1);
  piece.mutable_segment()->set_begin(0);
  EXPECT_TRUE(outcome(piece).starts_with("4 "));
  P few = tensor(P::FLOAT);
  few.set_raw_data(std::string(3, '\0'));
  EXPECT_TRUE(outcome(few).starts_with("3 "));
}

TEST(HostileTensors, TruthValuesAreZeroOrOne) {
  onnx::TensorProto t;
  t.set_data_type(onnx::TensorProto::BOOL);
  t.add_dims(4);
  t.set_raw_data(std::string("\x00\x01\x02\xff", 4));
  const Tensor read = read_tensor(t);
  const auto* values = static_cast<const std::uint8_t*>(read.raw());
  EXPECT_EQ(std::vector(values, values + 4), (std::vector<std::uint8_t>{0, 1, 1, 1}));
}

TEST_F(Hostile, UnsupportedNodesAreCountedByOperator) {
  Written net({1, 2});
  for (int k = 0; k < 50'000; ++k)
    net.node(k % 5 == 4 ? "NonZero" : "LSTM", {"x"}, {"v" + std::to_string(k)});
  net.node("Foo", {"x"}, {"y"});
  const std::string text = outcome(net.model);
  for (const char* part :
       {"50001 node(s)", "40000 LSTM (first 'the LSTM')", "10000 NonZero", "'the Foo' (Foo)"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  Written kinds({1, 2});
  for (int k = 0; k < 50'000; ++k) kinds.node("Op" + std::to_string(k), {"x"}, {"v" + std::to_string(k)});
  EXPECT_NE(outcome(kinds.model).find("more of 499"), std::string::npos) << outcome(kinds.model);
}

TEST_F(Hostile, NamesAreShortInMessages) {
  const std::string name(1'000'000, 'n');
  Written op({1, 2});
  op.node(name, {"x"}, {name});
  EXPECT_TRUE(outcome(op.model).starts_with("4 "));
  Written input({1, 2});
  input.node("Add", {"x", name}, {"y"});
  EXPECT_TRUE(outcome(input.model).starts_with("3 "));
  Written attribute({1, 2});
  attribute.node("Relu", {"x"}, {"y"}).number(name, 1);
  EXPECT_TRUE(outcome(attribute.model).starts_with("4 "));
  Written word({1, 1, 2});
  word.node("MaxPool", {"x"}, {"y"}).integers("kernel_shape", {1}).text("auto_pad", name);
  EXPECT_TRUE(outcome(word.model).starts_with("4 "));
  Written weight({1, 2});
  weight.weight(name, {3}, {1}).node("Relu", {"x"}, {"y"});
  EXPECT_TRUE(outcome(weight.model).starts_with("3 "));
  Written axes({1, 2});
  axes.whole("s", {100'000}, Dims(100'000, 3)).node("Reshape", {"x", "s"}, {"y"});
  EXPECT_NE(outcome(axes.model), "");
}

TEST_F(Hostile, WhatIsThereTwiceIsRefused) {
  Written attribute({1, 2});
  attribute.node("Softmax", {"x"}, {"y"}).integer("axis", 0).integer("axis", 1);
  EXPECT_TRUE(outcome(attribute.model).starts_with("3 ")) << outcome();
  Written input({1, 2});
  input.node("Relu", {"x"}, {"y"});
  *input.graph().add_input() = input.graph().input(0);
  EXPECT_TRUE(outcome(input.model).starts_with("3 ")) << outcome();
}

// What of many is quadratic would be felt here; none of it must recurse.
TEST_F(Hostile, LongChainsAreComputedAndExplained) {
  constexpr int kNodes = 30'000;
  Written chain({1, 2});
  const auto name = [](int k) { return k == kNodes ? std::string("y") : "v" + std::to_string(k); };
  chain.weight("one", {1}, {1});
  for (int k = kNodes; k > 0; --k) {  // from the end, so that nodes are sorted, too
    const std::string from = k == 1 ? "x" : name(k - 1);
    if (k % 3 == 0)
      chain.node("Identity", {from}, {name(k)});
    else if (k % 3 == 1)
      chain.node("Add", {from, "one"}, {name(k)});
    else
      chain.node("Relu", {from}, {name(k)});
  }
  write_file(file, chain.model.SerializeAsString());
  const Model model = Model::load(file);
  const Network network([&](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); });
  const Tensor x = floats({1, 2}, {1, -1});
  expect_close(network.predict(x), floats({1, 2}, {kNodes / 3 + 1, kNodes / 3 - 1}));
  expect_close(explain_with(network, "gradient", x), floats({1, 2}, {1, 0}));
}

TEST_F(Hostile, ResidualsOfThousandsOfLayers) {
  constexpr int kLayers = 4000;
  Written net({1, 2});
  for (int k = 0; k < kLayers; ++k) {
    const std::string from = k == 0 ? "x" : "v" + std::to_string(k);
    const std::string part = "t" + std::to_string(k);
    net.node("Tanh", {from}, {part});
    net.node("Sub", {from, part}, {k + 1 == kLayers ? "y" : "v" + std::to_string(k + 1)});
  }
  write_file(file, net.model.SerializeAsString());
  const Model model = Model::load(file);
  const Network network([&](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); });
  // x becomes x - tanh(x), and its derivative is multiplied by tanh(x)².
  double x = 30;
  double slope = 1;
  for (int k = 0; k < kLayers; ++k) {
    const double t = std::tanh(x);
    slope *= t * t;
    x -= t;
  }
  const Tensor gradient = explain_with(network, "gradient", floats({1, 2}, {30, 0}));
  EXPECT_NEAR(gradient.data<float>()[0], slope, 1e-5 + 1e-3 * std::abs(slope));
}

TEST_F(Hostile, ManyPartsAreCutAndJoined) {
  constexpr std::int64_t kParts = 2000;
  Written net({1, kParts});
  std::vector<std::string> parts, squares;
  for (std::int64_t k = 0; k < kParts; ++k) parts.push_back("p" + std::to_string(k));
  net.node("Split", {"x"}, parts).integer("axis", 1);
  net.whole("axes", {1}, {1});
  for (std::int64_t k = 0; k < kParts; k += 2) {  // every other part is used
    squares.push_back("s" + std::to_string(k));
    net.node("Mul", {parts[static_cast<std::size_t>(k)], parts[static_cast<std::size_t>(k)]},
             {squares.back()});
  }
  net.node("Concat", squares, {"all"}).integer("axis", 1).node("ReduceSum", {"all", "axes"}, {"y"});
  write_file(file, net.model.SerializeAsString());
  const Model model = Model::load(file);
  const Network network([&](std::int64_t batch) { return model.specialize({.batch = batch, .shapes = {}}); });
  const Tensor x = random_tensor({1, kParts}, 1);
  Tensor expected = Tensor::zeros(DType::f32, {1, kParts});
  for (std::size_t k = 0; k < kParts; k += 2) expected.data<float>()[k] = 2 * x.data<float>()[k];
  expect_close(explain_with(network, "gradient", x), expected);
}

TEST_F(Hostile, OperandsHaveALimitThatIsNamed) {
  Written net({1, 2});
  net.node("Max", std::vector<std::string>(20'001, "x"), {"y"});
  EXPECT_NE(outcome(net.model).find("20001 operands, and 20000 is the limit"), std::string::npos)
      << outcome();
}

}  // namespace heatproof
