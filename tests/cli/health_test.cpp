// What commands do with results that are not finite, and with relevance that explodes.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

constexpr std::int64_t kFeatures = 64;

/// A graph of images [N, 1, 8, 8] and three classes, to be filled.
class ModelFile {
 public:
  ModelFile() {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(17);
    port(model_.mutable_graph()->add_input(), "x", {1, 8, 8});
    port(model_.mutable_graph()->add_output(), "y", {3});
  }
  ModelFile& node(const char* op, const char* name, const std::vector<std::string>& inputs,
                  const char* output) {
    auto* node = model_.mutable_graph()->add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(output);
    return *this;
  }
  ModelFile& weights(const char* name, std::int64_t rows, std::int64_t columns, float scale) {
    auto* weight = model_.mutable_graph()->add_initializer();
    weight->set_name(name);
    weight->set_data_type(onnx::TensorProto::FLOAT);
    weight->add_dims(rows);
    weight->add_dims(columns);
    const Tensor values = random_tensor({rows, columns}, 3, 0.1, 1);
    for (const float v : values.data<float>()) weight->add_float_data(scale * v);
    return *this;
  }
  std::string write(const std::filesystem::path& path) const {
    write_file(path, model_.SerializeAsString());
    return path.string();
  }

 private:
  static void port(onnx::ValueInfoProto* info, const char* name, const std::vector<std::int64_t>& dims) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    for (const std::int64_t d : dims) type->mutable_shape()->add_dim()->set_dim_value(d);
  }

  onnx::ModelProto model_;
};

/// y = W sqrt(x): the derivative is infinite at zero, the value NaN below.
std::string root_model(const TemporaryFolder& folder) {
  return ModelFile()
      .node("Sqrt", "root", {"x"}, "r")
      .node("Flatten", "flatten", {"r"}, "f")
      .node("MatMul", "dense", {"f", "w"}, "y")
      .weights("w", kFeatures, 3, 1)
      .write(folder / "root.onnx");
}

/// y = (A x) ⊙ (1000 A x) V: each factor is handed the other times the relevance.
std::string product_model(const TemporaryFolder& folder) {
  return ModelFile()
      .node("Flatten", "flatten", {"x"}, "f")
      .node("MatMul", "small", {"f", "a"}, "s")
      .node("MatMul", "large", {"f", "b"}, "l")
      .node("Mul", "product", {"s", "l"}, "p")
      .node("MatMul", "dense", {"p", "v"}, "y")
      .weights("a", kFeatures, 4, 1)
      .weights("b", kFeatures, 4, 1000)
      .weights("v", 4, 3, 1)
      .write(folder / "product.onnx");
}

/// Images of which the first have `value` in their first pixel.
std::string images(const TemporaryFolder& folder, std::size_t special, std::int64_t count = 14,
                   float value = 0) {
  Tensor x = random_tensor({count, 1, 8, 8}, 1, 0.1, 1);
  for (std::size_t i = 0; i < special; ++i) x.data<float>()[i * kFeatures] = value;
  write_file(folder / "x.npy", format_npy(x));
  return (folder / "x.npy").string();
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

}  // namespace

TEST(Health, ExplainRefusesWhatIsNotFiniteAndLeavesNothing) {
  const TemporaryFolder folder;
  const std::string raw = (folder / "r.npy").string();
  const std::string out = (folder / "maps").string();
  const std::string command = "explain " + root_model(folder) + " " + images(folder, 2, 4) +
                              " --recipe gradient --target 0 --json --raw " + raw + " --out " + out;
  const Outcome o = heatproof(command);
  EXPECT_EQ(o.code, 1);
  EXPECT_EQ(o.out, "");
  EXPECT_EQ(lines(o.err), 1U) << o.err;
  for (const char* part : {"gradient: relevance is not finite for 2 of 4 samples (first: row 0)",
                           "node 'root'", "--allow-nonfinite"})
    EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
  EXPECT_FALSE(std::filesystem::exists(raw));
  EXPECT_FALSE(std::filesystem::exists(out));
  const Outcome allowed = heatproof(command + " --allow-nonfinite");
  EXPECT_EQ(allowed.code, 0) << allowed.err;
  EXPECT_EQ(lines(allowed.err), 1U) << allowed.err;
  const json j = json::parse(allowed.out);
  EXPECT_TRUE(j["relevance_sums"][0].is_null());
  EXPECT_FALSE(j["relevance_sums"][2].is_null());
  EXPECT_EQ(j["warnings"].size(), 1U);
  EXPECT_EQ(j["files"].size(), 8U);
  EXPECT_FALSE(std::isfinite(read_npy(raw).data<float>()[0]));
}

TEST(Health, ScoresThatAreNotFiniteAreTracedThroughTheNetwork) {
  const TemporaryFolder folder;
  const Outcome o =
      heatproof("explain " + root_model(folder) + " " + images(folder, 1, 2, -1) + " --recipe gradient");
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(
      o.err.find(
          "the network's score is not finite for 1 of 2 samples (first: row 0), from node 'root' (Sqrt)"),
      std::string::npos)
      << o.err;
}

TEST(Health, RunRefusesWhatIsNotFinite) {
  const TemporaryFolder folder;
  const std::string y = (folder / "y.npy").string();
  const std::string command =
      "run " + root_model(folder) + " " + images(folder, 1, 3, -1) + " --json --output " + y;
  const Outcome o = heatproof(command);
  EXPECT_EQ(o.code, 1) << o.err;
  EXPECT_EQ(o.out, "");
  EXPECT_EQ(lines(o.err), 1U) << o.err;
  EXPECT_NE(o.err.find("1 of 3 samples (first: row 0), from node 'root' (Sqrt) on"), std::string::npos)
      << o.err;
  EXPECT_FALSE(std::filesystem::exists(y));
  const Outcome allowed = heatproof(command + " --allow-nonfinite");
  EXPECT_EQ(allowed.code, 0) << allowed.err;
  EXPECT_TRUE(std::filesystem::exists(y));
  EXPECT_EQ(json::parse(allowed.out)["warnings"].size(), 1U);
  const std::string named = "run " + (folder / "root.onnx").string() +
                            " --input x=" + (folder / "x.npy").string() + " --output-dir " +
                            folder.path().string();
  const Outcome refused = heatproof(named);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("output 'y' is not finite, from node 'root' (Sqrt) on"), std::string::npos)
      << refused.err;
}

TEST(Health, InputsThatAreNotFiniteAreRefusedUnlessAllowed) {
  const TemporaryFolder folder;
  const std::string command = "run " + root_model(folder) + " " + images(folder, 1, 3, NAN);
  const Outcome o = heatproof(command);
  EXPECT_EQ(o.code, 3) << o.err;
  EXPECT_NE(o.err.find("flat position 0 is not finite"), std::string::npos) << o.err;
  EXPECT_EQ(heatproof(command + " --allow-nonfinite").code, 0);
  const std::string named =
      "run " + (folder / "root.onnx").string() + " --input x=" + (folder / "x.npy").string();
  EXPECT_EQ(heatproof(named + " --output-dir " + folder.path().string()).code, 3);
}

TEST(Health, EvaluateGivesNullAndSaysWhy) {
  const TemporaryFolder folder;
  const Outcome o = heatproof("evaluate " + root_model(folder) + " " + images(folder, 1, 3) +
                              " --recipe gradient --target 0 --json --metric pixel_flipping:patch=4,steps=2");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("1 of 3 samples (first: row 0)"), std::string::npos) << o.err;
  const json j = json::parse(o.out);
  EXPECT_TRUE(j["scores"][0].is_null());
  EXPECT_FALSE(j["scores"][1].is_null());
  EXPECT_EQ(j["curves"].size(), 3U);
  EXPECT_EQ(j["warnings"].size(), 1U);
}

TEST(Health, AttributionsOfAFileAreHeldToTheSame) {
  const TemporaryFolder folder;
  Tensor maps = random_tensor({3, 8, 8}, 2);
  maps.data<float>()[5] = NAN;
  std::fill_n(maps.data<float>().begin() + kFeatures, kFeatures, 0.0F);
  write_file(folder / "maps.npy", format_npy(maps));
  const Outcome o =
      heatproof("evaluate " + root_model(folder) + " " + images(folder, 0, 3) +
                " --target 0 --json --metric sparseness --attributions " + (folder / "maps.npy").string());
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_TRUE(j["scores"][0].is_null());
  EXPECT_TRUE(j["scores"][1].is_null());
  EXPECT_FALSE(j["scores"][2].is_null());
  EXPECT_NE(o.err.find("not finite for 1 of 3 samples (first: row 0)"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("zero everywhere for 1 of 3 samples (first: row 1)"), std::string::npos) << o.err;
}

TEST(Health, CheckLeavesNoNumberAndSaysWhy) {
  const TemporaryFolder folder;
  const Outcome o = heatproof("check " + root_model(folder) + " " + images(folder, 1, 2) +
                              " --recipe gradient --target 0 --json --metric sparseness --metric positivity");
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  for (const json& row : j["axioms"]) {
    EXPECT_TRUE(row["scores"][0].is_null()) << row;
    EXPECT_TRUE(row["mean"].is_null()) << row;
  }
  EXPECT_EQ(j["warnings"].size(), 1U);
  EXPECT_NE(o.err.find("relevance is not finite for 1 of 2 samples"), std::string::npos) << o.err;
}

TEST(Health, SelectNamesAndLeavesOutARecipeThatIsNotFinite) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  const std::string command = "select " + root_model(folder) + " " + images(folder, 14) +
                              " --recipe gradient --recipe occlusion:patch=4,stride=4 --target 0 --json"
                              " --metric sparseness --out " +
                              out;
  const Outcome o = heatproof(command);
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_NE(j["best"], "gradient");
  bool found = false;
  for (const json& r : j["ranking"]) {
    if (r["recipe"] != "gradient") continue;
    found = true;
    EXPECT_TRUE(r["failed"]);
    EXPECT_TRUE(r["score"].is_null());
    EXPECT_FALSE(r["in_best_set"]);
  }
  EXPECT_TRUE(found);
  for (const char* part : {"left out of the ranking", "gradient: relevance is not finite", "node 'root'"})
    EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
  EXPECT_EQ(j["warnings"].size(), 1U);
  EXPECT_NE(read_file(out + "/report.html").find("relevance is not finite"), std::string::npos);
  // A second run finds everything and gives the same bytes.
  const std::string bytes = read_file(out + "/results.sqlite");
  EXPECT_EQ(heatproof(command).code, 0);
  EXPECT_TRUE(read_file(out + "/results.sqlite") == bytes);
}

TEST(Health, AnExplosionIsNamedByEveryCommand) {
  const TemporaryFolder folder;
  const std::string model = product_model(folder);
  const std::string inputs = " " + images(folder, 0, 4) + " --json ";
  for (const std::string& command :
       {"explain " + model + inputs + "--recipe lrp_epsilon",
        "check " + model + inputs + "--recipe lrp_epsilon --metric conservation",
        "evaluate " + model + inputs + "--recipe lrp_epsilon --metric sparseness",
        "select " + model + inputs + "--recipe lrp_epsilon --recipe gradient --metric sparseness --out " +
            (folder / "out").string()}) {
    const Outcome o = heatproof(command);
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(lines(o.err), 2U) << o.err;  // beside what is left to the derivative
    for (const char* part : {"lrp_epsilon: no rule for 1",
                             "lrp_epsilon: relevance explodes on 4 of 4 samples", "node 'product' (Mul"})
      EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
    const json j = json::parse(o.out);
    EXPECT_EQ(j["warnings"].size(), 1U);
    json explodes = j.contains("ranking") ? json() : j["explodes"];
    for (const json& r : j.contains("ranking") ? j["ranking"] : json::array())
      if (r["recipe"] == "lrp_epsilon") explodes = r["explodes"];
    ASSERT_FALSE(explodes.is_null()) << command;
    EXPECT_EQ(explodes["samples"], 4);
    EXPECT_EQ(explodes["node"], "product");
    EXPECT_GT(explodes["ratio"].get<double>(), 100);
  }
  EXPECT_NE(read_file((folder.path() / "out" / "report.html").string()).find("relevance explodes"),
            std::string::npos);
  // Gradients claim nothing.
  const Outcome quiet = heatproof("explain " + model + inputs + "--recipe gradient");
  EXPECT_EQ(quiet.err, "");
}

}  // namespace heatproof
