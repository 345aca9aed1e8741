// Estimators: methods that run programs many times, so that they are no graph of their own.
//
//   Estimate estimate = method.estimator({network, {}, {}, 0}, parameters);
//   Tensor relevance = estimate({inputs, targets, ids});
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "explain/network.h"
#include "explain/parameters.h"

namespace heatproof {

/// What an estimator is made for.
struct EstimatorSetup {
  const Network& network;
  std::vector<double> low, high;  // box of the input (black and white), as ExplainOptions has them
  std::uint64_t seed = 0;
};

/// What is explained: inputs [N, ...], a class and a number (for random streams) of each.
struct Samples {
  const Tensor& inputs;
  std::span<const std::int64_t> targets;
  std::span<const std::uint64_t> ids;

  std::int64_t size() const { return inputs.shape()[0]; }
  /// Elements of sample n.
  std::span<const float> row(std::int64_t n) const;
};

/// Relevance in the inputs' shape; a sample's own does not depend on the others. Owns the programs that it
/// compiled.
using Estimate = std::function<Tensor(const Samples&)>;

/// Scores [sample][copy] of the targets for `copies` edited copies of each sample; edit(sample, copy, x)
/// changes a copy in place, and may be called from several threads.
using EditCopy = std::function<void(std::int64_t sample, std::int64_t copy, std::span<float> x)>;
std::vector<std::vector<double>> scores_of_copies(const Network& network, const Samples& samples,
                                                  ScoreKind kind, std::int64_t copies, const EditCopy& edit);

/// The largest program of equal parts of `all` steps, at most `most` and as many as the network takes, whose
/// working memory is at most that of the network's options; `count` becomes its part.
Program program_that_fits(std::int64_t all, std::int64_t most, const Network& network, std::int64_t& count,
                          const std::function<Graph(std::int64_t)>& graph);

/// Baselines of all samples, in the inputs' shape.
Tensor baselines_of(const EstimatorSetup& setup, const Samples& samples, const std::string& text);

}  // namespace heatproof
