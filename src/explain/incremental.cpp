#include "explain/incremental.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/states.h"
#include "graph/operator.h"
#include "ops/convolution.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Node for node the same operators on the same values, whatever their batch sizes.
bool same_structure(const Graph& a, const Graph& b) {
  return a.inputs() == b.inputs() &&
         std::ranges::equal(a.nodes(), b.nodes(), [](const Node& x, const Node& y) {
           return x.op == y.op && x.inputs == y.inputs;
         });
}

constexpr std::int64_t kLeastFinishRows = 8;
constexpr std::int64_t kMostFinishRows = 64;

/// The spatial axes of an input; absent ones come first and have length 1.
struct Space {
  std::int64_t channels;
  std::array<std::int64_t, 3> map{1, 1, 1}, patch{1, 1, 1};
  std::size_t axes;

  Space(const Shape& input, const std::vector<std::int64_t>& size) : channels(input[1]), axes(size.size()) {
    for (std::size_t a = 0; a < axes; ++a) {
      map[3 - axes + a] = input[a + 2];
      patch[3 - axes + a] = size[a];
    }
  }
  std::int64_t pixels() const { return map[0] * map[1] * map[2]; }
  std::array<std::int64_t, 3> origin(const Place& place) const {
    std::array<std::int64_t, 3> o{0, 0, 0};
    std::ranges::copy(place, o.begin() + 3 - static_cast<std::ptrdiff_t>(axes));
    return o;
  }
  /// Calls f(first pixel) for every line of the patch, row-major.
  template <typename F>
  void for_lines(const std::array<std::int64_t, 3>& o, F f) const {
    for (std::int64_t z = 0; z < patch[0]; ++z) {
      for (std::int64_t y = 0; y < patch[1]; ++y) f(((o[0] + z) * map[1] + o[1] + y) * map[2] + o[2]);
    }
  }
};

}  // namespace

Graph scores_graph(const Network& network, std::int64_t batch) {
  Builder g;
  Shape shape = network.input_shape();
  shape[0] = batch;
  const Value x = g.input("x", {DType::f32, shape});
  const ForwardView view = forward_view(g, network.graph(batch), x, network.options().output_name);
  g.output("logits", view.logits);
  if (view.probability && view.probability != view.logits) g.output("probabilities", view.probability);
  return g.build();
}

std::size_t kept_bytes(const Graph& network, const WindowPlan& plan) {
  std::int64_t elements = 0;
  for (NodeId id : kept_nodes(network, plan)) {
    const Shape& shape = network.node(id).type.shape;
    elements += shape.elements() / shape[0];
  }
  return static_cast<std::size_t>(elements) * sizeof(float);
}

IncrementalProgram::IncrementalProgram(const Network& network, WindowPlan plan, const IncrementalSize& size,
                                       std::int64_t updates)
    : size_(size),
      plan_(std::move(plan)),
      input_(network.input_shape()),
      held_(static_cast<std::size_t>(size.slots)) {
  const Graph rows = scores_graph(network, size.rows);
  UpdateGraph changed = update_graph(rows, plan_, size.slots, size.mode);
  places_ = std::move(changed.places);
  const Graph one = scores_graph(network, 1);
  const bool scales = same_structure(one, rows);
  start_rows_ = scales ? 1 : size.rows;
  const Graph first = start_graph(scales ? one : rows, plan_, size.slots);
  changing_ = part_of(changed.graph, size.rows);
  rest_ = part_of(finish_graph(scales ? one : rows, plan_), start_rows_);
  chosen_ = choose(updates);
  const Graph many = scores_graph(network, chosen_.finish_rows);
  any_finish_rows_ = same_structure(many, rows);
  if (!any_finish_rows_) chosen_ = choose(updates);
  // Persistent updates write the states, so that their layouts count; transient ones only read them.
  const bool keeps = size.mode == Updates::persistent;
  // Both read the same weights.
  const Program leading = compile(keeps ? changed.graph : first, chosen_.update);
  const Program following = compile(keeps ? first : changed.graph, leading.states(), chosen_.update);
  states_ = std::make_shared<States>(leading.states());
  update_ = std::make_unique<Workspace>(keeps ? leading : following, states_);
  start_ = std::make_unique<Workspace>(keeps ? following : leading, states_);
  const Program last = compile(finish_graph(any_finish_rows_ ? many : rows, plan_), chosen_.finish);
  for (const Port& port : last.inputs())
    boundary_.push_back(static_cast<std::size_t>(port.type.shape.elements() / chosen_.finish_rows) *
                        sizeof(float));
  finish_ = std::make_unique<Workspace>(last);
}

IncrementalProgram::Part IncrementalProgram::part_of(const Graph& graph, std::int64_t rows) {
  Part part{.transformable = convolution::transformable(graph)};
  for (const Node& node : graph.nodes()) {
    if (node.op->traits.kind != Kind::convolution && node.op->traits.kind != Kind::dense) continue;
    const Shape& weights = graph.node(node.inputs[1]).type.shape;
    part.all.weights += static_cast<double>(weights.elements());
    part.all.products += convolution::multiply_adds(node.type.shape, weights);
  }
  part.all.products /= static_cast<double>(rows);
  part.transformable.products /= static_cast<double>(rows);
  return part;
}

IncrementalProgram::Choice IncrementalProgram::choose(std::int64_t updates) const {
  const auto many = static_cast<double>(updates);
  const auto how = [&](const Part& part) {
    return many >= part.updates_for_transforms() ? Convolutions::fastest : Convolutions::direct;
  };
  Choice c{how(changing_), how(rest_), size_.rows};
  if (!any_finish_rows_) return c;
  // The rest reads its weights once for all rows that wait, but a last run may be far from full.
  constexpr double kRead = 50;          // multiply-adds that take as long as reading a weight
  constexpr double kWorthwhile = 0.95;  // more rows leave the caches
  const bool fastest = c.finish == Convolutions::fastest;  // of 6·6 numbers per 3·3, in half the time
  const double once = kRead * (rest_.all.weights + (fastest ? 3 * rest_.transformable.weights : 0));
  const double each = rest_.all.products - (fastest ? 0.5 * rest_.transformable.products : 0);
  const auto cost = [&](std::int64_t rows) {
    return std::ceil(many / static_cast<double>(rows)) * (once + each * static_cast<double>(rows));
  };
  c.finish_rows = std::max(kLeastFinishRows, size_.rows);
  for (std::int64_t rows = 2 * c.finish_rows; rows <= kMostFinishRows; rows *= 2) {
    if (cost(rows) < kWorthwhile * cost(c.finish_rows)) c.finish_rows = rows;
  }
  return c;
}

bool IncrementalProgram::outgrown(std::int64_t more) const {
  const Choice c = choose(updates_ + more);
  const auto lacks = [](Convolutions has, Convolutions wanted) {
    return has == Convolutions::direct && wanted == Convolutions::fastest;
  };
  return lacks(chosen_.update, c.update) || lacks(chosen_.finish, c.finish);
}

void IncrementalProgram::load(std::int64_t slot, std::span<const float> x) {
  auto& held = held_[static_cast<std::size_t>(slot)];
  held.clear();  // until all of it is there
  auto* inputs = static_cast<float*>(start_->input(0));
  auto* places = static_cast<std::int64_t*>(start_->input(1));
  const std::size_t width = plan_.patch.size() + 1;
  std::fill_n(places, static_cast<std::size_t>(start_rows_) * width, 0);
  for (std::size_t r = 0; r < static_cast<std::size_t>(start_rows_); ++r) {
    std::ranges::copy(x, inputs + r * x.size());
    places[r * width] = slot;
  }
  start_->run();
  held.assign(x.begin(), x.end());
}

void IncrementalProgram::copy(std::int64_t from, std::int64_t to) {
  held_[static_cast<std::size_t>(to)].clear();
  states_->copy_slot(from, to);
}

void IncrementalProgram::place(std::span<const Change> changes) {
  auto* windows = static_cast<float*>(update_->input(0));
  auto* places = static_cast<std::int64_t*>(update_->input(1));
  for (std::int64_t r = 0; r < size_.rows; ++r) {
    // Rows that are left over do the last change once more.
    const Change& c = changes[std::min(static_cast<std::size_t>(r), changes.size() - 1)];
    std::ranges::copy(c.window, windows + r * static_cast<std::int64_t>(c.window.size()));
    places_.fill(c.slot, c.place, places + r * places_.width());
    if (size_.mode == Updates::persistent) held_[static_cast<std::size_t>(c.slot)].clear();
  }
}

void IncrementalProgram::push(std::span<const Change> changes, ScoreKind kind) {
  if (kind != kind_) flush();
  kind_ = kind;
  place(changes);
  update_->run();
  updates_ += static_cast<std::int64_t>(changes.size());
  for (std::size_t r = 0; r < changes.size(); ++r) {
    if (!changes[r].use) continue;
    keep_row(r);
    waiting_.push_back(changes[r].use);
    if (static_cast<std::int64_t>(waiting_.size()) == chosen_.finish_rows) flush();
  }
}

void IncrementalProgram::keep_row(std::size_t row) {
  for (std::size_t k = 0; k < boundary_.size(); ++k) {
    const std::size_t bytes = boundary_[k];
    std::memcpy(static_cast<char*>(finish_->input(k)) + waiting_.size() * bytes,
                static_cast<const char*>(update_->output(k)) + row * bytes, bytes);
  }
}

void IncrementalProgram::flush() {
  if (waiting_.empty()) return;
  finish_->run();
  const bool both = finish_->program().outputs().size() > 1;
  const std::size_t output = kind_ == ScoreKind::probability && both ? 1 : 0;
  const auto* scores = static_cast<const float*>(finish_->output(output));
  const auto row = static_cast<std::size_t>(finish_->program().outputs()[output].type.shape[1]);
  const auto uses = std::exchange(waiting_, {});
  for (std::size_t i = 0; i < uses.size(); ++i) uses[i]({scores + i * row, row});
}

Tensor IncrementalProgram::update(std::span<const Change> changes, ScoreKind kind) {
  std::vector<Change> asked(changes.begin(), changes.end());
  std::vector<float> scores;
  for (Change& c : asked)
    c.use = [&](std::span<const float> s) { scores.insert(scores.end(), s.begin(), s.end()); };
  flush();
  push(asked, kind);
  flush();
  const auto rows = static_cast<std::int64_t>(changes.size());
  const Shape shape{rows, static_cast<std::int64_t>(scores.size()) / rows};
  return Tensor::of(shape, std::span<const float>(scores));
}

std::vector<Place> differences(const Shape& input, const std::vector<std::int64_t>& patch,
                               std::span<const float> from, std::span<const float> x) {
  const Space s(input, patch);
  const auto pixels = static_cast<std::size_t>(s.pixels());
  const auto width = static_cast<std::size_t>(s.map[2]);
  std::vector<std::uint8_t> differs(pixels, 0);
  // Most lines are the same, byte for byte.
  for (std::size_t line = 0; line < x.size(); line += width) {
    if (std::memcmp(&from[line], &x[line], width * sizeof(float)) == 0) continue;
    for (std::size_t k = 0; k < width; ++k)
      differs[line % pixels + k] |= static_cast<std::uint8_t>(!(from[line + k] == x[line + k]));
  }
  std::vector<Place> places;
  for (auto at = std::ranges::find(differs, 1); at != differs.end(); at = std::find(at, differs.end(), 1)) {
    const std::int64_t pixel = at - differs.begin();
    std::array<std::int64_t, 3> o{pixel / (s.map[1] * s.map[2]), pixel / s.map[2] % s.map[1],
                                  pixel % s.map[2]};
    for (std::size_t a = 0; a < 3; ++a) o[a] = std::min(o[a], s.map[a] - s.patch[a]);
    s.for_lines(
        o, [&](std::int64_t first) { std::fill_n(differs.begin() + first, s.patch[2], std::uint8_t{0}); });
    places.emplace_back(o.begin() + 3 - static_cast<std::ptrdiff_t>(s.axes), o.end());
  }
  return places;
}

std::vector<float> window_of(const Shape& input, const std::vector<std::int64_t>& patch,
                             std::span<const float> x, const Place& place) {
  const Space s(input, patch);
  std::vector<float> window;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    s.for_lines(s.origin(place), [&](std::int64_t first) {
      const auto line =
          x.subspan(static_cast<std::size_t>(c * s.pixels() + first), static_cast<std::size_t>(s.patch[2]));
      window.insert(window.end(), line.begin(), line.end());
    });
  }
  return window;
}

void put_window(const Shape& input, const std::vector<std::int64_t>& patch, std::span<const float> window,
                const Place& place, std::span<float> x) {
  const Space s(input, patch);
  auto from = window.begin();
  for (std::int64_t c = 0; c < s.channels; ++c) {
    s.for_lines(s.origin(place), [&](std::int64_t first) {
      std::copy_n(from, s.patch[2], x.begin() + c * s.pixels() + first);
      from += s.patch[2];
    });
  }
}

}  // namespace heatproof
