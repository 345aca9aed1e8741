// What `run` says of the outputs of a network: probabilities where it has them, else values.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "cli/common.h"

namespace heatproof::cli {

/// The label of a target; where outputs are no row of classes also its index, and its class is the one that
/// is chosen at its place.
std::string target_name(const Session& session, std::int64_t target);
/// Whether labels name outputs: these are a row of classes, or one.
bool has_labels(const Network& network);

class Outputs {
 public:
  /// shape: of the output of one input.
  Outputs(const Session& session, Shape shape);

  /// The probability of an output, or its value where the network has none.
  double score(std::span<const float> logits, std::int64_t output) const;
  /// The five likeliest classes (or largest values) of one input; where classes are chosen at many places,
  /// those that are chosen most often; else the largest outputs with their places. print: also to stdout.
  nlohmann::json top(std::span<const float> logits, bool print) const;
  /// What scores are: "probability", "softmax of the logits" or "value".
  std::string kind() const;

 private:
  /// The index along each axis but the batch's.
  std::vector<std::int64_t> place(std::int64_t output) const;
  nlohmann::json classes(std::span<const float> logits, bool print) const;
  nlohmann::json shares(std::span<const float> logits, bool print) const;
  nlohmann::json places(std::span<const float> logits, bool print) const;

  const Labels& labels_;
  const Probability& probability_;
  Shape shape_;
};

}  // namespace heatproof::cli
