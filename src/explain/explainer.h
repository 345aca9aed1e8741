// Explains inputs with several recipes at once: one compiled graph that shares the forward pass and equal
// terms.
//
//   Explainer explainer(network, {parse_recipe("lrp_epsilon_plus")}, {});
//   Explanation e = explainer.explain(inputs, targets);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explain/network.h"
#include "explain/recipe.h"

namespace heatproof {

struct ExplainOptions {
  std::vector<double> low, high;  // box of the input, one value or one per channel; empty: 0 and 1
  std::uint64_t seed = 0;         // of estimators
  bool ledger = false;            // report relevance sums of every layer
  std::int64_t batch = 0;         // 0: chosen from the network's memory
  std::int64_t expected = 0;      // inputs that will be explained in all, where a call has fewer
  OnProgress progress = {};       // of explanations of many inputs
};

/// Relevance that entered and left one node, per sample, and what its bias and its stabilizers took (created,
/// where negative). The rest is what a rule that does not conserve made of it, and rounding.
struct LedgerLine {
  std::string node, op, rule;
  std::vector<double> entering, leaving, absorbed, stabilized;  // [N]; absorbed: by the bias
};

struct Explanation {
  Tensor logits;                  // [N, classes]
  std::vector<Tensor> relevance;  // per recipe, in the inputs' shape, signed
  std::vector<std::vector<LedgerLine>>
      ledger;  // per recipe, from the output to the input; empty unless asked for
};

class Explainer {
 public:
  Explainer(const Network& network, std::vector<Recipe> recipes, ExplainOptions options);

  /// targets: class (flat index) per sample. ids: sample numbers that estimators derive their random streams
  /// from; empty: 0 … N−1.
  Explanation explain(const Tensor& inputs, std::span<const std::int64_t> targets,
                      std::span<const std::uint64_t> ids = {});
  /// The same, of one recipe alone (no ledger): what others need is not computed.
  Tensor explain_one(std::size_t recipe, const Tensor& inputs, std::span<const std::int64_t> targets,
                     std::span<const std::uint64_t> ids = {});
  const std::vector<Recipe>& recipes() const { return recipes_; }
  std::int64_t batch();
  /// Bytes that one input takes: weights as rules need them, and working memory.
  std::size_t bytes();

  /// The graph: inputs "x" [batch, ...] and "target" i64 [batch]; outputs "logits", then one per recipe
  /// that is a graph.
  Graph graph(std::int64_t batch);

 private:
  struct LedgerName {
    std::string node, op, rule;
    bool has_bias, has_stabilizer;
  };
  Workspace& workspace(std::int64_t batch);
  /// One batch; its results become rows [first, first + ids.size()) of `total`.
  void run(const Tensor& inputs, std::span<const std::int64_t> targets, std::span<const std::uint64_t> ids,
           std::int64_t first, std::int64_t total, std::optional<std::size_t> only, Explanation& out);
  void check_rows_of(const Tensor& inputs, std::span<const std::int64_t> targets);
  /// only: a recipe; else all.
  Explanation explain(const Tensor& inputs, std::span<const std::int64_t> targets,
                      std::span<const std::uint64_t> ids, std::optional<std::size_t> only);

  const Network& network_;
  std::vector<Recipe> recipes_;
  std::vector<Estimate> estimates_;  // per recipe, made when first used; empty for graphs
  ExplainOptions options_;
  std::int64_t batch_ = 0;
  bool rows_checked_ = false;
  std::map<std::int64_t, Workspace> workspaces_;
  std::vector<std::vector<LedgerName>> ledger_names_;
};

}  // namespace heatproof
