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
#include "graph/operator.h"

namespace heatproof {

/// `match` is one of: a kind (activation, convolution, dense = by a constant matrix on either side, linear =
/// convolution or dense, product = dense but for a matrix with two axes on the right, sum = of two values,
/// their difference, or over axes, scaling = negation, multiplication by or addition of a constant,
/// average_pool, max_pool, normalization, standardization = normalization by own statistics, softmax, any),
/// an operator's name ("op:Relu"), a pattern of node names ("name:features.*"), each after an optional "first
/// " (no linear layer lies between it and the input) or "last " (none between it and the output). `rule` is a
/// rule with parameters: "epsilon:epsilon=0.01", "gamma:gamma=0.25", "zplus", "alpha_beta:alpha=2,beta=1",
/// "w2", "flat", "zbox", "deep_taylor:gamma=0.25", "norm", "pass", "guided", "deconvnet", "gradient".
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

/// The derivative everywhere.
const Composite& gradients();

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

/// The rule that one node gets.
struct NodeRule {
  std::string node, op;
  Behaviour behaviour;
  std::string rule;         // empty: no relevance arrives (parts of a normalization, folded operators)
  bool by_default = false;  // left to the derivative, since nothing was assigned and nothing better is known
};

struct PropagationInputs {
  Value input;      // where relevance ends
  Value output;     // where it starts
  Value relevance;  // at the output, in its shape
  Value low, high;  // the box of zbox, broadcastable to the input
};

/// What a propagation tells of itself; filled where not null.
struct Records {
  std::vector<LedgerEntry>* ledger = nullptr;
  std::vector<NodeRule>* rules = nullptr;  // of all nodes between input and output, in the graph's order
};

/// Walks from the output to the input and returns the relevance of the input. Nodes that nothing is assigned
/// to follow their behaviour (ops/behaviour.h): what is linear shares by `norm` or hands relevance on
/// (`pass`), normalization hands it on, and the rest passes it by the derivative. Layers see affine operators
/// before them as folded in (affine_input.h), unless relevance is a gradient. Throws UsageError for matches
/// and rules that do not exist, UnsupportedError for operators that have no derivative.
Value propagate(const PropagationInputs& in, const Composite& composite, const Records& records = {});

}  // namespace heatproof
