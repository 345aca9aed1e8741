#include <gtest/gtest.h>

#include <set>

#include "ops/operators.h"

namespace heatproof {

TEST(Registry, FindsEveryOperatorByItsOwnName) {
  std::set<std::string_view> names;
  for (const Operator* op : all_operators()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name;
    EXPECT_EQ(find_operator(op->name), op);
  }
  EXPECT_EQ(find_operator("NoSuchOperator"), nullptr);
}

TEST(Registry, EveryOperatorCanBeInferredAndComputed) {
  for (const Operator* op : all_operators()) {
    EXPECT_NE(op->infer, nullptr) << op->name;
    const bool leaf = op == &kInput || op == &kConstant || op == &kFill || op == &kState;
    EXPECT_TRUE(leaf || op->lower != nullptr || op->traits.elementwise.tile != nullptr) << op->name;
  }
}

TEST(Registry, EveryOperatorDeclaresHowRelevancePasses) {
  for (const Operator* op : all_operators())
    EXPECT_NE(op->traits.behaviour, Behaviour::undeclared) << op->name;
}

}  // namespace heatproof
