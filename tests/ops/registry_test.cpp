// The registry against what the sources declare: a list that is compared with itself cannot fail.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "base/files.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

using Names = std::set<std::string>;

Names found_in(const std::string& text, const std::regex& pattern) {
  Names names;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern); it != std::sregex_iterator(); ++it)
    names.insert((*it)[1]);
  return names;
}

/// Every text of the sources whose name ends so.
std::string sources(const std::string& ending) {
  std::string all;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(HEATPROOF_SOURCE_DIR) + "/src")) {
    if (entry.path().extension() == ending) all += read_file(entry.path());
  }
  return all;
}

/// kX of every `extern const Operator kX, kY;`.
Names declared() {
  const std::string text = sources(".h");
  static const std::regex statement("extern const Operator ([^;]*);");
  Names names;
  for (const std::string& list : found_in(text, statement))
    names.merge(found_in(list, std::regex("(k\\w+)")));
  return names;
}

/// What the operators whose definitions begin with `const Operator kX = {.name = "X"` are called.
Names defined(const char* group) { return found_in(sources(".cpp"), std::regex(group)); }

Names registered() {
  Names names;
  for (const Operator* op : all_operators()) names.insert(std::string(op->name));
  return names;
}

bool is_leaf(const Operator& op) {
  return &op == &kInput || &op == &kConstant || &op == &kFill || &op == &kState;
}

}  // namespace

TEST(Registry, FindsEveryOperatorByItsOwnName) {
  for (const Operator* op : all_operators()) EXPECT_EQ(find_operator(op->name), op) << op->name;
  EXPECT_EQ(registered().size(), all_operators().size()) << "a name occurs twice";
  EXPECT_EQ(find_operator("NoSuchOperator"), nullptr);
}

TEST(Registry, HasEveryOperatorOfTheSources) {
  const Names of_headers = declared();
  EXPECT_GE(of_headers.size(), 70U);
  EXPECT_EQ(defined("\\nconst Operator (k\\w+) = \\{"), of_headers);
  EXPECT_EQ(defined("\\nconst Operator k\\w+ = \\{\\s*\\.name = \"(\\w+)\""), registered());
}

TEST(Registry, EveryOperatorCanBeInferredAndComputed) {
  for (const Operator* op : all_operators()) {
    EXPECT_NE(op->infer, nullptr) << op->name;
    EXPECT_TRUE(is_leaf(*op) || op->lower != nullptr || op->traits.elementwise.tile != nullptr) << op->name;
  }
}

TEST(Registry, EveryOperatorHasADerivativeOrIsKnownToHaveNone) {
  // Of what only explanations and updates of windows are made; products of a network are refused by name.
  const Names none{"OneHot", "GatherWindow", "ScatterWindow", "MaxPoolGradient"};
  for (const Operator* op : all_operators()) {
    const bool has = op->derivative != nullptr;
    EXPECT_EQ(has, !is_leaf(*op) && !none.contains(std::string(op->name))) << op->name;
  }
}

TEST(Registry, EveryOperatorDeclaresHowRelevancePasses) {
  for (const Operator* op : all_operators())
    EXPECT_NE(op->traits.behaviour, Behaviour::undeclared) << op->name;
}

}  // namespace heatproof
