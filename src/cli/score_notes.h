// What recipes and metrics watch on a network that has no probabilities of its own.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/common.h"
#include "explain/recipe.h"
#include "validate/metric.h"

namespace heatproof::cli {

/// Throws UsageError where a recipe or a metric was told to watch what the network does not have. Otherwise
/// a line that says which of them watch the logit where a probability is their default, or the softmax of
/// logits that the network itself does not apply (empty where there is nothing to say); unless quiet, it is
/// printed to stderr.
std::string note_scores(const GlobalFlags& global, const Network& network, std::span<const Recipe> recipes,
                        std::span<const MetricSpec> metrics);

}  // namespace heatproof::cli
