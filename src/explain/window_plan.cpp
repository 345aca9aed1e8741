#include "explain/window_plan.h"

#include <algorithm>

namespace heatproof {

namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

std::vector<std::int64_t> spatial_of(const Shape& s) { return {s.begin() + 2, s.end()}; }

double product(const std::vector<std::int64_t>& values) {
  double p = 1;
  for (std::int64_t v : values) p *= static_cast<double>(v);
  return p;
}

/// Positions of a result that see any of the input's positions.
Span seen_by(const Span& changed, const Reach& reach, std::int64_t length) {
  const std::int64_t first = ceil_div(changed.first + reach.begin - reach.extent + 1, reach.stride);
  const std::int64_t last = floor_div(changed.last + reach.begin, reach.stride);
  const std::int64_t inside = std::clamp<std::int64_t>(first, 0, length - 1);
  return {inside, std::clamp<std::int64_t>(last, inside, length - 1)};
}

void set_size(MapWindow& window) {
  window.size.clear();
  for (const auto& spans : window.changing) {
    std::int64_t most = 1;
    for (const Span& s : spans) most = std::max(most, s.last - s.first + 1);
    window.size.push_back(most);
  }
}

class Planner {
 public:
  explicit Planner(const Graph& graph)
      : graph_(graph), constant_(constant_nodes(graph)), windows_(graph.nodes().size()) {}

  /// The window of every node that can be computed on windows at all.
  void grow(const std::vector<std::int64_t>& patch) {
    const NodeId input = graph_.inputs()[0];
    MapWindow first{spatial_of(graph_.node(input).type.shape), patch, {}};
    for (std::size_t a = 0; a < patch.size(); ++a) {
      first.changing.emplace_back();
      for (std::int64_t j = 0; j + patch[a] <= first.map[a]; ++j)
        first.changing[a].push_back({j, j + patch[a] - 1});
    }
    at(input) = std::move(first);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (id != input && !constant(id)) at(id) = window_of(id);
    }
  }

  /// Work when nodes are computed on windows whose share of the map is at most `most`.
  double work(double most) const {
    // Multiply-adds; moving an element costs as much as several, and small convolutions are less efficient.
    constexpr double kMove = 8;
    constexpr double kSmall = 1.2;
    const auto chosen = choose(most);
    double sum = 0;
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (constant(id) || is_variable_leaf(graph_.node(id))) continue;
      const auto& window = windows_[static_cast<std::size_t>(id)];
      const auto elements = static_cast<double>(graph_.node(id).type.shape.elements());
      if (!chosen[static_cast<std::size_t>(id)]) {
        sum += own_work(id);
      } else {
        sum += window->share() * (kSmall * own_work(id) + 2 * kMove * elements);
      }
    }
    return sum;
  }

  std::vector<bool> choose(double most) const {
    std::vector<bool> chosen(graph_.nodes().size(), false);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      const auto& window = windows_[static_cast<std::size_t>(id)];
      chosen[static_cast<std::size_t>(id)] =
          window && window->share() <= most && std::ranges::all_of(graph_.node(id).inputs, [&](NodeId i) {
            return i == kNone || constant(i) || chosen[static_cast<std::size_t>(i)];
          });
    }
    return chosen;
  }

  const std::optional<MapWindow>& window(NodeId id) const { return windows_[static_cast<std::size_t>(id)]; }

 private:
  std::optional<MapWindow>& at(NodeId id) { return windows_[static_cast<std::size_t>(id)]; }
  bool constant(NodeId id) const { return constant_[static_cast<std::size_t>(id)]; }

  std::optional<MapWindow> window_of(NodeId id) const {
    const Node& node = graph_.node(id);
    const Shape& input = graph_.node(graph_.inputs()[0]).type.shape;
    const Shape& shape = node.type.shape;
    if (node.type.dtype != DType::f32 || shape.rank() != input.rank() || shape[0] != input[0]) return {};
    const auto how = windowed(graph_, id);
    if (!how) return {};
    MapWindow result{spatial_of(shape), {}, {}};
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const NodeId i = node.inputs[k];
      if (i == kNone || (constant(i) && fits_windows(id, i))) continue;
      const auto& from = windows_[static_cast<std::size_t>(i)];
      if (constant(i) || !from || (k > 0 && !how->axes.empty()) ||
          (how->axes.empty() && from->map != result.map))
        return {};
      for (std::size_t a = 0; a < result.map.size(); ++a) {
        const Reach reach = how->axes.empty() ? Reach{} : how->axes[a];
        if (result.changing.size() == a) result.changing.emplace_back();
        for (std::size_t j = 0; j < from->changing[a].size(); ++j) {
          const Span span = seen_by(from->changing[a][j], reach, result.map[a]);
          if (result.changing[a].size() == j) result.changing[a].push_back(span);
          Span& known = result.changing[a][j];
          known = {std::min(known.first, span.first), std::max(known.last, span.last)};
        }
      }
    }
    set_size(result);
    return result;
  }

  /// Constants that are the same at all positions, or maps that elementwise operators see windows of.
  bool fits_windows(NodeId id, NodeId constant) const {
    const Shape& map = graph_.node(id).type.shape;
    const Shape& c = graph_.node(constant).type.shape;
    const bool elementwise = graph_.node(id).op->traits.elementwise.tile != nullptr;
    if (!elementwise) return c.size() != map.size() || spatial_of(c) != spatial_of(map);
    if (graph_.node(constant).type.dtype != DType::f32) return false;
    bool uniform = true;
    for (std::size_t a = 2; a < map.size(); ++a) {
      const std::size_t own = a + c.size() - map.size();
      uniform = uniform && (own >= c.size() || c[own] == 1);
    }
    return uniform || c.size() < map.size() || c[0] == 1;
  }

  double own_work(NodeId id) const {
    const Node& node = graph_.node(id);
    const auto elements = static_cast<double>(node.type.shape.elements());
    if (node.op->traits.kind != Kind::convolution && node.op->traits.kind != Kind::dense) return 2 * elements;
    const Shape& weights = graph_.node(node.inputs[1]).type.shape;
    return elements * static_cast<double>(weights.elements()) / static_cast<double>(weights[0]);
  }

  const Graph& graph_;
  std::vector<bool> constant_;
  std::vector<std::optional<MapWindow>> windows_;
};

}  // namespace

std::int64_t MapWindow::start(std::size_t axis, std::size_t place) const {
  return std::min(changing[axis][place].first, map[axis] - size[axis]);
}

double MapWindow::share() const { return product(size) / product(map); }

WindowView WindowPlan::view(const Windowed& how, NodeId user, NodeId value) const {
  const MapWindow& to = of(user);
  const MapWindow& from = of(value);
  WindowView v;
  v.direct = true;
  for (std::size_t a = 0; a < to.map.size(); ++a) {
    const Reach reach = how.axes.empty() ? Reach{} : how.axes[a];
    const bool picks = reach.extent == 1;
    v.steps.push_back(picks ? reach.stride : 1);
    v.size.push_back(picks ? to.size[a] : (to.size[a] - 1) * reach.stride + reach.extent);
    v.direct = v.direct && v.steps[a] == 1 && v.size[a] == from.size[a];
    v.starts.emplace_back();
    for (std::size_t j = 0; j < to.changing[a].size(); ++j) {
      v.starts[a].push_back(to.start(a, j) * reach.stride - reach.begin);
      v.direct = v.direct && v.starts[a][j] == from.start(a, j);
    }
  }
  return v;
}

std::optional<Windowed> windowed(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op->traits.elementwise.tile != nullptr) return Windowed{.attributes = node.attributes};
  if (node.op->windowed == nullptr) return std::nullopt;
  NodeView view{node, {}};
  for (NodeId i : node.inputs) view.inputs.push_back(i == kNone ? nullptr : &graph.node(i));
  return node.op->windowed(view);
}

std::vector<bool> constant_nodes(const Graph& graph) {
  std::vector<bool> constant;
  for (const Node& node : graph.nodes()) {
    constant.push_back(!is_variable_leaf(node) && std::ranges::all_of(node.inputs, [&](NodeId i) {
      return i == kNone || constant[static_cast<std::size_t>(i)];
    }));
  }
  return constant;
}

std::optional<WindowPlan> plan_windows(const Graph& graph, const std::vector<std::int64_t>& patch) {
  constexpr double kWorthwhile = 0.85;
  const Shape& input = graph.node(graph.inputs()[0]).type.shape;
  if (input.rank() < 3 || input.rank() > 5 || patch.size() + 2 != input.size()) return std::nullopt;
  for (std::size_t a = 0; a < patch.size(); ++a) {
    if (patch[a] < 1 || patch[a] > input[a + 2]) return std::nullopt;
  }
  Planner planner(graph);
  planner.grow(patch);
  WindowPlan plan{.patch = patch, .whole = planner.work(-1)};
  plan.update = plan.whole;
  double most = -1;
  for (double share = 0.05; share < 1; share += 0.05) {
    const double work = planner.work(share);
    if (work < plan.update) plan.update = work, most = share;
  }
  if (plan.update > kWorthwhile * plan.whole) return std::nullopt;
  const auto chosen = planner.choose(most);
  for (NodeId id = 0; id < graph.size(); ++id) {
    plan.window.push_back(-1);
    if (!chosen[static_cast<std::size_t>(id)]) continue;
    const auto known = std::ranges::find(plan.windows, *planner.window(id));
    plan.window.back() = static_cast<int>(known - plan.windows.begin());
    if (known == plan.windows.end()) plan.windows.push_back(*planner.window(id));
  }
  return plan;
}

}  // namespace heatproof
