#include "explain/window_graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

using Ints = std::vector<std::int64_t>;

std::string state_name(NodeId id) { return fmt::format("value {}", id); }

Ints map_of(const Shape& s) { return {s.begin() + 2, s.end()}; }

class Emitter {
 public:
  Emitter(const Graph& network, const WindowPlan& plan, std::int64_t slots, Updates mode)
      : network_(network),
        plan_(plan),
        slots_(slots),
        mode_(mode),
        kept_(network.nodes().size(), false),
        constant_(constant_nodes(network)),
        users_(network.users()),
        values_(network.nodes().size()),
        maps_(network.nodes().size()) {
    for (NodeId id : kept_nodes(network, plan)) kept_[static_cast<std::size_t>(id)] = true;
    zeros_ = WindowView{.starts = std::vector<Ints>(plan.patch.size())};
    for (std::size_t a = 0; a < plan.patch.size(); ++a)
      zeros_.starts[a].assign(plan.of(network.inputs()[0]).changing[a].size(), 0);
    collect_columns();
  }

  UpdateGraph emit() {
    const Shape& x = network_.node(network_.inputs()[0]).type.shape;
    Shape window{x[0], x[1]};
    window.insert(window.end(), plan_.patch.begin(), plan_.patch.end());
    const Value input = g_.input("window", {DType::f32, window});
    places_ = g_.input("places", {DType::i64, {x[0], table_.width()}});
    for (NodeId id = 0; id < network_.size(); ++id) {
      if (!plan_.windowed(id) && !constant_[static_cast<std::size_t>(id)]) continue;
      values_[static_cast<std::size_t>(id)] = id == network_.inputs()[0] ? input : node(id);
      if (plan_.windowed(id) && kept_[static_cast<std::size_t>(id)]) keep(id);
    }
    for (NodeId id : boundary_nodes(network_, plan_)) g_.output(state_name(id), whole(id));
    return {g_.build(), std::move(table_)};
  }

 private:
  // Where windows lie.

  std::int64_t column(const std::vector<Ints>& starts) {
    std::vector<PlaceTable::Column> wanted;
    for (std::size_t a = 0; a < starts.size(); ++a) wanted.push_back({a, starts[a]});
    const auto known = std::ranges::search(table_.columns, wanted);
    const auto at = known.begin() - table_.columns.begin();
    if (known.empty()) {
      if (places_) throw Error("a window's place was not planned");
      table_.columns.insert(table_.columns.end(), wanted.begin(), wanted.end());
    }
    return at + 1;
  }

  std::vector<Ints> own_starts(NodeId id, const WindowView& relative_to) const {
    const MapWindow& w = plan_.of(id);
    std::vector<Ints> starts(w.map.size());
    for (std::size_t a = 0; a < starts.size(); ++a) {
      for (std::size_t j = 0; j < w.changing[a].size(); ++j)
        starts[a].push_back(w.start(a, j) - relative_to.starts[a][j]);
    }
    return starts;
  }

  /// The width of the table must be known before the input that holds it is made.
  void collect_columns() {
    column(zeros_.starts);
    for (NodeId id = 0; id < network_.size(); ++id) {
      if (!plan_.windowed(id)) continue;
      if (kept_[static_cast<std::size_t>(id)]) column(own_starts(id, zeros_));
      if (is_variable_leaf(network_.node(id))) continue;
      const Windowed how = *windowed(network_, id);
      if (how.scale.defined()) column(own_starts(id, zeros_));
      for (NodeId i : network_.node(id).inputs) {
        if (i == kNone) continue;
        if (!plan_.windowed(i)) {
          column(own_starts(id, zeros_));
          continue;
        }
        const WindowView view = plan_.view(how, id, i);
        if (view.direct) continue;
        column(view.starts);
        if (mode_ == Updates::transient) column(own_starts(i, view));
      }
    }
  }

  Value gather(Value map, const WindowView& view, float outside) {
    Attributes a{{"at", column(view.starts)}, {"size", view.size}};
    if (std::ranges::any_of(view.steps, [](std::int64_t s) { return s != 1; })) a.set("steps", view.steps);
    if (outside != 0) a.set("outside", static_cast<double>(outside));
    return g_.add(kGatherWindow, {map, places_}, a);
  }

  // Maps: of a whole value, with its window put in.

  Value state(NodeId id) {
    Shape shape = network_.node(id).type.shape;
    shape[0] = slots_;
    return g_.state(state_name(id), shape);
  }

  void keep(NodeId id) {
    Value& map = maps_[static_cast<std::size_t>(id)];
    map = state(id);
    if (mode_ == Updates::persistent)
      map = g_.add(kScatterWindow, {map, values_[static_cast<std::size_t>(id)], places_},
                   {{"at", column(own_starts(id, zeros_))}});
    // All windows that later nodes want are cut at once, so that they are there when convolutions want to
    // add them.
    for (NodeId user : users_[static_cast<std::size_t>(id)]) {
      if (plan_.windowed(user)) seen(user, id, *windowed(network_, user));
    }
  }

  /// What `user` sees of `id`.
  Value seen(NodeId user, NodeId id, const Windowed& how) {
    const WindowView view = plan_.view(how, user, id);
    const Value own = values_[static_cast<std::size_t>(id)];
    const Value map = maps_[static_cast<std::size_t>(id)];
    if (view.direct) return own;
    if (mode_ == Updates::persistent) return gather(map, view, how.outside);
    // Picked positions are picked after the window has been put in.
    WindowView dense = view;
    for (std::size_t a = 0; a < view.size.size(); ++a) {
      dense.size[a] = (view.size[a] - 1) * view.steps[a] + 1;
      dense.steps[a] = 1;
    }
    const Value covered = g_.add(kScatterWindow, {gather(map, dense, how.outside), own, places_},
                                 {{"at", column(own_starts(id, view))}, {"own", std::int64_t{1}}});
    if (dense.size == view.size) return covered;
    Ints starts(view.size.size() + 2, 0);
    Ints ends(covered.shape().begin(), covered.shape().end());
    Ints steps{1, 1};
    steps.insert(steps.end(), view.steps.begin(), view.steps.end());
    return g_.add(kSlice, {covered}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
  }

  Value whole(NodeId id) {
    WindowView all = zeros_;
    all.size = plan_.of(id).map;
    const Value map = gather(maps_[static_cast<std::size_t>(id)], all, 0);
    if (mode_ == Updates::persistent) return map;
    return g_.add(kScatterWindow, {map, values_[static_cast<std::size_t>(id)], places_},
                  {{"at", column(own_starts(id, zeros_))}, {"own", std::int64_t{1}}});
  }

  /// A map [1, ..., spatial...] of constants, as a node on windows sees it.
  Value constant_window(NodeId user, Value constant) {
    const MapWindow& w = plan_.of(user);
    Shape shape(static_cast<std::size_t>(2) + w.map.size() - constant.shape().size(), 1);
    shape.insert(shape.end(), constant.shape().begin(), constant.shape().end());
    if (map_of(shape) == Ints(w.map.size(), 1)) return constant;
    const Value same_rank = reshape(constant, shape);
    std::ranges::copy(w.map, shape.begin() + 2);
    WindowView view{.size = w.size, .starts = own_starts(user, zeros_)};
    return gather(expand(same_rank, shape), view, 0);
  }

  Value node(NodeId id) {
    const Node& n = network_.node(id);
    if (n.op == &kConstant) return g_.constant(n.constant, n.name);
    std::vector<Value> inputs;
    if (!plan_.windowed(id)) {
      for (NodeId i : n.inputs) inputs.push_back(i == kNone ? Value{} : values_[static_cast<std::size_t>(i)]);
      return g_.add(*n.op, std::move(inputs), n.attributes, n.name);
    }
    const Windowed how = *windowed(network_, id);
    const bool elementwise = n.op->traits.elementwise.tile != nullptr;
    for (NodeId i : n.inputs) {
      if (i == kNone)
        inputs.emplace_back();
      else if (plan_.windowed(i))
        inputs.push_back(seen(id, i, how));
      else
        inputs.push_back(elementwise ? constant_window(id, values_[static_cast<std::size_t>(i)])
                                     : values_[static_cast<std::size_t>(i)]);
    }
    Value result = how.copies ? inputs[0] : g_.add(*n.op, std::move(inputs), how.attributes, n.name);
    if (how.scale.defined()) result = result * constant_window(id, g_.constant(how.scale));
    return result;
  }

  const Graph& network_;
  const WindowPlan& plan_;
  std::int64_t slots_;
  Updates mode_;
  std::vector<bool> kept_, constant_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<Value> values_, maps_;  // windows, or whole values; kept values as maps
  WindowView zeros_;
  PlaceTable table_;
  Builder g_;
  Value places_;
};

}  // namespace

std::vector<NodeId> kept_nodes(const Graph& graph, const WindowPlan& plan) {
  std::vector<bool> kept(graph.nodes().size(), false);
  for (NodeId id = 0; id < graph.size(); ++id) {
    for (NodeId i : graph.node(id).inputs) {
      if (i == kNone || !plan.windowed(i)) continue;
      if (!plan.windowed(id) || !plan.view(*windowed(graph, id), id, i).direct)
        kept[static_cast<std::size_t>(i)] = true;
    }
  }
  for (const Output& output : graph.outputs()) {
    if (plan.windowed(output.id)) kept[static_cast<std::size_t>(output.id)] = true;
  }
  std::vector<NodeId> ids;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (kept[static_cast<std::size_t>(id)]) ids.push_back(id);
  }
  return ids;
}

std::vector<NodeId> boundary_nodes(const Graph& graph, const WindowPlan& plan) {
  std::vector<bool> needed(graph.nodes().size(), false);
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (plan.windowed(id)) continue;
    for (NodeId i : graph.node(id).inputs) {
      if (i != kNone && plan.windowed(i)) needed[static_cast<std::size_t>(i)] = true;
    }
  }
  for (const Output& output : graph.outputs()) {
    if (plan.windowed(output.id)) needed[static_cast<std::size_t>(output.id)] = true;
  }
  std::vector<NodeId> ids;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (needed[static_cast<std::size_t>(id)]) ids.push_back(id);
  }
  return ids;
}

Graph finish_graph(const Graph& network, const WindowPlan& plan) {
  Builder g;
  std::vector<Value> values(network.nodes().size());
  for (NodeId id : boundary_nodes(network, plan))
    values[static_cast<std::size_t>(id)] = g.input(state_name(id), network.node(id).type);
  for (NodeId id = 0; id < network.size(); ++id) {
    const Node& n = network.node(id);
    if (plan.windowed(id)) continue;
    Value& value = values[static_cast<std::size_t>(id)];
    if (n.op == &kConstant) {
      value = g.constant(n.constant, n.name);
      continue;
    }
    std::vector<Value> inputs;
    for (NodeId i : n.inputs) inputs.push_back(i == kNone ? Value{} : values[static_cast<std::size_t>(i)]);
    value = g.add(*n.op, std::move(inputs), n.attributes, n.name);
  }
  for (const Output& output : network.outputs())
    g.output(output.name, values[static_cast<std::size_t>(output.id)]);
  return g.build();
}

void PlaceTable::fill(std::int64_t slot, const std::vector<std::int64_t>& at, std::int64_t* row) const {
  *row++ = slot;
  for (const Column& c : columns) *row++ = c.starts[static_cast<std::size_t>(at[c.axis])];
}

UpdateGraph update_graph(const Graph& network, const WindowPlan& plan, std::int64_t slots, Updates mode) {
  return Emitter(network, plan, slots, mode).emit();
}

Graph start_graph(const Graph& network, const WindowPlan& plan, std::int64_t slots) {
  Builder g;
  const NodeId input = network.inputs()[0];
  const Type& type = network.node(input).type;
  const Value x = g.input("x", type);
  const auto axes = static_cast<std::int64_t>(plan.patch.size());
  const Value places = g.input("places", {DType::i64, {type.shape[0], 1 + axes}});
  const std::vector<Value> values = g.splice(network, {x});
  for (NodeId id : kept_nodes(network, plan)) {
    Shape shape = network.node(id).type.shape;
    shape[0] = slots;
    const Value value = values[static_cast<std::size_t>(id)];
    g.output(state_name(id), g.add(kScatterWindow, {g.state(state_name(id), shape), value, places},
                                   {{"at", std::int64_t{1}}}));
  }
  return g.build();
}

}  // namespace heatproof
