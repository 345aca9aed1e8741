// Which part of a network changes when a small window of its input does: for every value a window of fixed
// size, and where it lies for each place of the input's window. Values whose windows would cover most of
// their maps are left to be computed whole.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/operator.h"

namespace heatproof {

/// Positions first … last along one axis.
struct Span {
  std::int64_t first, last;
  bool operator==(const Span&) const = default;
};

/// A window of one size on maps of one size. Place j of the input's window along an axis: it starts at j.
struct MapWindow {
  std::vector<std::int64_t> map, size;      // lengths along the spatial axes
  std::vector<std::vector<Span>> changing;  // [axis][place]
  bool operator==(const MapWindow&) const = default;

  /// First position along an axis; the window lies inside of the map.
  std::int64_t start(std::size_t axis, std::size_t place) const;
  /// Share of the map.
  double share() const;
};

/// What a node sees of an input's map: positions starts[axis][place] + k · steps[axis], k < size[axis].
struct WindowView {
  std::vector<std::int64_t> size, steps;
  std::vector<std::vector<std::int64_t>> starts;
  bool direct = false;  // exactly the input's own window
};

struct WindowPlan {
  std::vector<std::int64_t> patch;  // size of the input's window
  std::vector<int> window;          // of each node, index into windows; −1: computed whole, or constant
  std::vector<MapWindow> windows;
  double update = 0, whole = 0;  // estimated work of an update and of computing everything

  bool windowed(NodeId id) const { return window[static_cast<std::size_t>(id)] >= 0; }
  const MapWindow& of(NodeId id) const {
    return windows[static_cast<std::size_t>(window[static_cast<std::size_t>(id)])];
  }
  /// What windowed node `user` sees of its windowed input `value`.
  WindowView view(const Windowed& how, NodeId user, NodeId value) const;
};

/// How a node is computed on windows; elementwise operators see only their own positions.
std::optional<Windowed> windowed(const Graph& graph, NodeId id);
/// For every node, whether it depends on no input.
std::vector<bool> constant_nodes(const Graph& graph);

/// For a graph with one input of shape [N, C, spatial...] and a window of it of `patch`. nullopt where little
/// is gained: nothing can be computed on windows, or the windows grow too fast.
std::optional<WindowPlan> plan_windows(const Graph& graph, const std::vector<std::int64_t>& patch);

}  // namespace heatproof
