// Which hidden channels of a network can be rewritten together, and what has to follow.
//
//   const HiddenChannels hidden = hidden_channels(graph);
//   for (const HiddenLayer& layer : hidden.layers) ...
#pragma once

#include <vector>

#include "graph/graph.h"

namespace heatproof {

/// The output channels of a layer. Sets that are added up elementwise are one set: `parent` leads to it.
struct ChannelSet {
  std::int64_t size;
  std::size_t parent;
  bool fixed = false;       // reaches the output, or an operator that mixes channels
  bool homogeneous = true;  // times c > 0, everything up to the next layers is times c
};

/// All channels of a set in their order, each as `run` neighbours (of a flattened map).
struct Segment {
  std::size_t set;
  std::int64_t run;
};

/// Where a value has channels; no segments: not known.
struct Channels {
  int axis = 0;
  std::vector<Segment> segments = {};
};

/// What an axis of a constant holds for each channel.
enum class Part : std::uint8_t {
  values,   // what is in the channel or added to it: weights of the layer before, biases
  factors,  // what the channel is multiplied by
  weights,  // what it counts in the layer behind it
};

struct ChannelConstant {
  NodeId node;
  std::size_t input;
  Channels channels;
  Part part;
};

/// A layer that is not the last one.
struct HiddenLayer {
  NodeId node;
  Channels channels;  // of its result; unknown where it is left alone
};

struct HiddenChannels {
  std::vector<ChannelSet> sets;
  std::vector<Channels> values;            // of every node
  std::vector<ChannelConstant> constants;  // to be rewritten with their channels
  std::vector<HiddenLayer> layers;

  /// The set that stands for all that are added to it.
  std::size_t root(std::size_t set) const;
};

/// Channels are followed from dense layers and convolutions through elementwise operators, sums, pooling,
/// means over positions, depthwise convolutions, normalisation with constants, Concat, Reshape and Transpose
/// that keep each channel's elements together. `graph` is materialized.
HiddenChannels hidden_channels(const Graph& graph);

}  // namespace heatproof
