// Files whose nodes are not in the order in which they can be computed.
#include "onnx/order.h"

#include <gtest/gtest.h>

#include "heatproof/error.h"

namespace heatproof {

namespace {

struct Link {
  const char *from, *to;
};

onnx::GraphProto graph_of(const std::vector<Link>& links) {
  onnx::GraphProto graph;
  for (const Link& link : links) {
    auto* node = graph.add_node();
    node->set_op_type("Relu");
    node->add_input(link.from);
    node->add_output(link.to);
  }
  return graph;
}

std::string order_of(const onnx::GraphProto& graph) {
  std::string names;
  for (const auto& node : graph.node()) names += node.output(0) + " ";
  return names;
}

}  // namespace

TEST(SortNodes, PutsEveryNodeBehindItsInputs) {
  onnx::GraphProto graph = graph_of({{"b", "c"}, {"x", "a"}, {"a", "b"}, {"c", "d"}});
  sort_nodes(graph);
  EXPECT_EQ(order_of(graph), "a b c d ");
}

TEST(SortNodes, LeavesWhatIsInOrder) {
  onnx::GraphProto graph = graph_of({{"x", "b"}, {"x", "a"}, {"b", "d"}, {"a", "c"}});
  sort_nodes(graph);
  EXPECT_EQ(order_of(graph), "b a d c ");
  // Only what must move moves.
  graph = graph_of({{"x", "b"}, {"e", "a"}, {"b", "d"}, {"x", "e"}});
  sort_nodes(graph);
  EXPECT_EQ(order_of(graph), "b e a d ");
}

TEST(SortNodes, NamesNodesThatWaitForEachOther) {
  for (onnx::GraphProto graph : {graph_of({{"b", "a"}, {"a", "b"}}), graph_of({{"a", "a"}}),
                                 graph_of({{"x", "y"}, {"d", "b"}, {"b", "c"}, {"c", "d"}})}) {
    try {
      sort_nodes(graph);
      ADD_FAILURE();
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find("waits for its own result"), std::string::npos) << e.what();
    }
  }
}

TEST(SortNodes, TakesDeepFilesInLinearTime) {
  constexpr int kNodes = 100'000;
  onnx::GraphProto graph;
  for (int n = kNodes; n-- > 0;) {
    auto* node = graph.add_node();
    node->add_input(std::to_string(n));
    node->add_output(std::to_string(n + 1));
  }
  sort_nodes(graph);
  for (int n = 0; n < kNodes; ++n) ASSERT_EQ(graph.node(n).output(0), std::to_string(n + 1));
}

TEST(SortNodes, DoesNotGuessWhichOfTwoNodesIsMeant) {
  onnx::GraphProto graph = graph_of({{"a", "b"}, {"x", "a"}, {"y", "a"}});
  EXPECT_THROW(sort_nodes(graph), InputError);
}

}  // namespace heatproof
