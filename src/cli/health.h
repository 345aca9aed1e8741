// What commands say of explanations that are not finite, or whose sum is far from what they explain.
#pragma once

#include "cli/common.h"
#include "data/input_stream.h"
#include "explain/health.h"

namespace heatproof::cli {

/// What is known of every sample that was explained with one recipe; inputs are read again where one is
/// looked at more closely.
struct Explained {
  std::vector<InputItem> items;
  std::vector<std::int64_t> targets;
  std::vector<double> scores, sums;  // logits of the targets; Σ relevance, NaN where it is not finite
  std::vector<std::size_t> zero;     // samples whose relevance is zero everywhere

  void add(const InputSet& set, const Tensor& logits, const std::vector<std::int64_t>& chosen,
           const Tensor& relevance);
};

/// One line each, and the same for machines; empty and null where all is well.
struct Verdict {
  Health health;
  std::string not_finite, exploded;
  nlohmann::json explodes = nullptr;

  std::vector<std::string> warnings() const;
};

/// Of explanations of a recipe; where something is wrong, one sample is explained again with the ledger, to
/// name the node.
Verdict judge(const Session& session, const InputSource& inputs, const Recipe& recipe,
              const Explained& explained, std::uint64_t seed);

/// "k of n samples (first: NAME)".
std::string some_of(const std::vector<std::size_t>& which, const std::vector<InputItem>& all);

/// " at node 'X' (Op)" for the first value of the network that is not finite; empty where there is none.
std::string where_not_finite(const Graph& network, const std::vector<Tensor>& inputs);
/// The same of one input of a network.
std::string where_not_finite(const Network& network, const Tensor& input);

void add_nonfinite_flag(CLI::App& command, bool& allow);
/// Prints it to stderr, unless quiet.
void warn(const GlobalFlags& global, const std::string& line);

}  // namespace heatproof::cli
