// The graphs of incremental inference, made from a network's graph and a WindowPlan.
//
// States hold the values that windows are cut from, one slot per image. `start` computes them whole. `update`
// takes the changed window of the input: for each row of its batch it cuts windows out of the row's slot and
// computes what changes, layer by layer; it gives the whole values that the rest of the network needs.
// Persistent updates put the results back into the slot; transient ones leave it as it was, so that any
// number of rows may start from one slot. `finish` computes the rest, which may wait until a large batch has
// come together.
#pragma once

#include <cstdint>
#include <vector>

#include "explain/window_plan.h"
#include "graph/graph.h"

namespace heatproof {

enum class Updates : std::uint8_t { persistent, transient };

/// The integers that tell where the windows of a row lie: the slot, then one number per column.
struct PlaceTable {
  struct Column {
    std::size_t axis;
    std::vector<std::int64_t> starts;  // by place of the input's window along the axis
    bool operator==(const Column&) const = default;
  };
  std::vector<Column> columns;

  std::int64_t width() const { return static_cast<std::int64_t>(columns.size()) + 1; }
  /// Fills one row; `at`: the place of the input's window along each axis.
  void fill(std::int64_t slot, const std::vector<std::int64_t>& at, std::int64_t* row) const;
};

struct UpdateGraph {
  Graph
      graph;  // inputs "window" [R, C, patch...] and "places" i64 [R, width]; outputs: the boundary's values
  PlaceTable places;
};

/// Nodes on windows whose whole values are kept: some user does not see exactly the window.
std::vector<NodeId> kept_nodes(const Graph& network, const WindowPlan& plan);

/// Nodes on windows that nodes computed whole, or the outputs, need.
std::vector<NodeId> boundary_nodes(const Graph& network, const WindowPlan& plan);

/// `network` is the graph at batch R; `slots` is how many images the states hold.
UpdateGraph update_graph(const Graph& network, const WindowPlan& plan, std::int64_t slots, Updates mode);

/// Inputs: the boundary's values [F, ...]; outputs: the network's. `network` is the graph at batch F: node
/// for node that of the plan.
Graph finish_graph(const Graph& network, const WindowPlan& plan);

/// Inputs "x" [N, ...] and "places" i64 [N, 1 + spatial axes], zero but for the slot; outputs nothing but the
/// states. `network` is the graph at batch N: node for node that of the plan.
Graph start_graph(const Graph& network, const WindowPlan& plan, std::int64_t slots);

}  // namespace heatproof
