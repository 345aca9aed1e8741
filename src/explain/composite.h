// Which rule each operator of a network gets: an ordered list of (match → rule), the first match wins.
//
//   Composite composite{{"activation", "pass"}, {"first linear", "flat"}, {"convolution", "zplus"}, {"dense",
//   "epsilon"}};
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/spec.h"
#include "graph/builder.h"

namespace heatproof {

/// `match` is one of: a kind (activation, convolution, dense, linear = convolution or dense, sum,
/// average_pool, max_pool, normalization, softmax), an operator's name ("op:Relu"), a pattern of node names
/// ("name:features.*"), each after an optional "first " (no linear layer lies between it and the input) or
/// "last " (none between it and the output). `rule` is a rule with parameters: "epsilon:epsilon=0.01",
/// "gamma:gamma=0.25", "zplus", "alpha_beta:alpha=2,beta=1", "w2", "flat", "zbox", "deep_taylor:gamma=0.25",
/// "norm", "pass", "guided", "deconvnet", "gradient".
struct Assignment {
  std::string match;
  std::string rule;
};

using Composite = std::vector<Assignment>;

/// Names and parameters of every rule that a composite may assign.
struct RuleDeclaration {
  std::string name;
  std::vector<Parameter> parameters;
  std::string about;
};
const std::vector<RuleDeclaration>& rule_declarations();

/// Relevance that one node hands to one of its inputs.
struct Contribution {
  Value to;
  Value relevance;
};

/// One entry of the conservation ledger: per-sample sums [N] of the relevance at a node's output, at its
/// inputs, in its bias and in its stabilizers.
struct LedgerEntry {
  std::string node, op, rule;
  Value entering, leaving;
  Value absorbed, stabilized;  // by biases and stabilizers; invalid where there are none
};

struct PropagationInputs {
  Value input;      // where relevance ends
  Value output;     // where it starts
  Value relevance;  // at the output, in its shape
  Value low, high;  // the box of zbox, broadcastable to the input
};

/// Walks from the output to the input and returns the relevance of the input. Operators without a rule pass
/// relevance by their derivative. Throws UsageError for matches and rules that do not exist, UnsupportedError
/// for operators that have no derivative.
Value propagate(const PropagationInputs& in, const Composite& composite,
                std::vector<LedgerEntry>* ledger = nullptr);

}  // namespace heatproof
