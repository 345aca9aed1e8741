// What methods of explanation share: parameters, the value that is explained, the input that it is compared
// with.
#pragma once

#include <string>
#include <vector>

#include "base/spec.h"
#include "explain/network.h"

namespace heatproof {

/// How the channels of a pixel become one score.
Parameter pool_parameter();
/// What is explained: the target's logit, its probability, or 1 (the derivative of the logit).
Parameter output_parameter();
/// The same for methods that watch scores, which know no 1.
Parameter score_parameter();
/// What is watched. `probability` of a network that has none is refused where the user asked for it, and is
/// the score itself where it is only the default.
ScoreKind score_kind(const Network& network, const Parameters& p, std::string_view key = "output");
/// [N, classes]: logits, or probabilities where `output=probability`; UsageError where the network has none.
Value explained(const ForwardView& forward, const Parameters& p);

/// One edge of the box of inputs as a constant that broadcasts to inputs of shape `x`: one value, one per
/// channel, or `otherwise` where it is not known. Throws UsageError when the channels do not fit.
Value box_edge(Builder& g, const std::vector<double>& values, double otherwise, const Shape& x);

/// The input in which nothing is seen. zero; black or white pixels (0 and 1 where unknown); mean of each
/// channel of this image; blur: Gaussian, its deviation a tenth of the shorter side, at least 1, mirrored at
/// the borders; or a number.
Parameter baseline_parameter();
/// Throws UsageError for texts that are none of these.
void check_baseline(const std::string& method, const std::string& text);
/// The baseline of x, in its shape or broadcastable to it. Inputs without positions count as one channel.
Value baseline(Value x, const std::string& text, Value low, Value high);

}  // namespace heatproof
