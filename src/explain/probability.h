// Where outputs of a network are probabilities: its own last activation says so, and along which axis.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "graph/builder.h"

namespace heatproof {

/// How a row of logits (ForwardView::logits) becomes probabilities, and between which outputs it decides.
struct Probability {
  enum class From : std::uint8_t {
    none,
    output,      // logits are probabilities: the network ends in Sigmoid, or moves, cuts or averages
                 // probabilities
    logarithm,   // logits are their logarithms
    softmax,     // of the network's last Softmax or LogSoftmax, whose input the logits are
    convention,  // the same over all classes of a network [N, classes] that ends in logits
  };
  From from = From::none;
  /// Of `choices` outputs, `inner` apart from one another, one is true; 1: every output is decided by itself.
  std::int64_t choices = 1, inner = 1;
  bool classes = false;  // outputs are [N, K > 1], perhaps with further axes of length 1
  std::string missing;   // why there is none: what the network ends in

  explicit operator bool() const { return from != From::none; }
  /// Probability of an output.
  double of(std::span<const float> logits, std::int64_t output) const;
  /// Whether the network decides for an output: it is the largest of its choices (the first of equal ones),
  /// or above one half where it is decided by itself.
  bool decides(std::span<const float> logits, std::int64_t output) const;
  /// Whether an output has others that it competes with.
  bool has_rivals() const { return choices > 1 || classes; }
  /// The largest logit of those; NaN where one is no number.
  double best_rival(std::span<const float> logits, std::int64_t output) const;
};

/// Probabilities [N, classes] as a value (invalid where there are none), and how the logits become them.
struct ProbabilityView {
  Value value;
  Probability how;
};
/// output: of the network, by this name; softmax: its last Softmax or LogSoftmax, whose input as [N, classes]
/// `logits` is; invalid where `logits` is the output itself.
ProbabilityView probability_of(Value output, Value softmax, Value logits, const std::string& name);

}  // namespace heatproof
