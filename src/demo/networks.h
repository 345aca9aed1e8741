// Networks that demonstrations look at.
#pragma once

#include "data/input_stream.h"
#include "data/preprocessing.h"
#include "demo/demo.h"
#include "explain/explainer.h"
#include "explain/network.h"
#include "report/heatmap.h"
#include "validate/metric.h"

namespace heatproof::demo {

/// max(x1, x2) for x1, x2 ≥ 0 as ½·relu(x1 − x2) + ½·relu(x2 − x1) + ½·relu(x1 + x2).
Network max_by_halves();
/// max(x1, x2) as relu(x1) + relu(x2 − x1).
Network max_by_difference();
/// relu(x1 − (1 − delta) x2) / delta: at x = (1, 1) the score is 1, made from a neuron whose sum is delta.
Network nearly_cancelling(double delta);
/// `depth` ReLU layers of `width` neurons with He-initialised weights and small biases (none when `biased` is
/// false), then one linear output.
Network random_relu_network(std::int64_t depth, std::int64_t width, bool biased, std::uint64_t seed);

/// `depth` ReLU layers as batch normalisation makes them: random weights, and biases and scales so that on
/// typical inputs every neuron's preactivation has mean 0 and its ReLU mean square 1;
/// then one linear output.
Network normalised_relu_network(std::int64_t depth, std::int64_t width, std::uint64_t seed);

Network load_network(const std::filesystem::path& onnx);

/// The shipped network with its images and predictions.
struct Shapes {
  Network network;
  InputSet set;
  Tensor logits;
  std::vector<std::int64_t> targets;
  ExplainOptions options;
  std::vector<double> black, white;
};
Shapes load_shapes(const Options& options, std::int64_t images = 0);

/// A shipped network with its preprocessing and the box of its input.
struct Shipped {
  Network network;
  Preprocessing preprocessing;
  ExplainOptions options;
};
Shipped load_shipped(const Options& options, const std::string& name);

/// What metrics look at, for relevance whose channels are summed; `shapes` must outlive it.
Evaluation evaluation_of(const Shapes& shapes, const Tensor& relevance);

/// A grid of pictures with a heading for each column; rows follow each other.
void add_pictures(report::Page& page, const std::vector<std::string>& columns,
                  const std::vector<report::Picture>& pictures);
/// Row `i` of heatmaps [N, H, W] as a picture.
report::Picture draw_map(const Tensor& maps, std::int64_t i);

/// Relevance of several recipes for given inputs and targets.
std::vector<Tensor> explain(const Network& network, const std::vector<std::string>& recipes,
                            const Tensor& inputs, const std::vector<std::int64_t>& targets,
                            const ExplainOptions& options = {});

}  // namespace heatproof::demo
