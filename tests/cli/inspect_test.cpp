// heatproof inspect --recipe, and the warning of commands that explain.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

std::string inspect(const std::string& name, const std::string& more) {
  const Outcome o = heatproof("inspect " + golden(name + ".onnx").string() + " " + more);
  EXPECT_EQ(o.code, 0) << o.err;
  return o.out;
}

}  // namespace

TEST(InspectRecipe, ListsTheRuleOfEveryNode) {
  const auto json = nlohmann::json::parse(inspect("resnet", "--recipe lrp_epsilon_plus --json"));
  EXPECT_EQ(json["recipe"], "lrp_epsilon_plus");
  int sums = 0;
  for (const auto& row : json["rules"]) {
    EXPECT_FALSE(row["left_to_derivative"].get<bool>()) << row;
    EXPECT_NE(row["behaviour"], "undeclared");
    EXPECT_FALSE(row["rule"].is_null()) << row;
    if (row["op"] != "Add") continue;
    ++sums;
    EXPECT_EQ(row["behaviour"], "linear");
    EXPECT_EQ(row["rule"], "norm:epsilon=1e-06");
  }
  EXPECT_EQ(sums, 2);
  const std::string text = inspect("resnet", "--recipe lrp_epsilon_plus");
  EXPECT_NE(text.find("behaviour"), std::string::npos);
  EXPECT_EQ(text.find("no rule"), std::string::npos);
}

TEST(InspectRecipe, NamesWhatIsLeftToTheDerivative) {
  const auto json = nlohmann::json::parse(inspect("gated", "--recipe lrp_0 --json"));
  int left = 0;
  for (const auto& row : json["rules"]) left += row["left_to_derivative"].get<bool>() ? 1 : 0;
  EXPECT_EQ(left, 3);
  EXPECT_NE(inspect("gated", "--recipe lrp_0").find("gradient (no rule)"), std::string::npos);
}

TEST(InspectRecipe, GradientsHaveNothingLeft) {
  const auto json = nlohmann::json::parse(inspect("gated", "--recipe gradient --json"));
  for (const auto& row : json["rules"]) EXPECT_FALSE(row["left_to_derivative"].get<bool>()) << row;
  EXPECT_TRUE(nlohmann::json::parse(inspect("gated", "--recipe occlusion --json"))["rules"].empty());
}

TEST(Explain, WarnsOnceOfWhatIsLeftToTheDerivative) {
  const auto explained = [](const std::string& name, const std::string& recipe) {
    const TemporaryFolder folder;
    const std::string input = (folder / "x.npy").string();
    write_file(input, format_npy(read_npz(golden(name + ".npz")).at("input")));
    const Outcome o =
        heatproof("explain " + golden(name + ".onnx").string() + " " + input + " --recipe " + recipe);
    EXPECT_EQ(o.code, 0) << o.err;
    return o.err;
  };
  const std::string line = explained("gated", "lrp_epsilon_plus");
  EXPECT_NE(line.find("no rule for 3 of the network's nodes (2 Mul, 1 Softmax)"), std::string::npos) << line;
  EXPECT_NE(line.find("inspect --recipe lrp_epsilon_plus"), std::string::npos) << line;
  EXPECT_EQ(std::ranges::count(line, '\n'), 1) << line;
  EXPECT_EQ(explained("gated", "gradient"), "");
  EXPECT_EQ(explained("gated", "lrp_0 --quiet"), "");
  EXPECT_EQ(explained("functions", "lrp_0"), "");
}

}  // namespace heatproof
