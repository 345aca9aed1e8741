#include "explain/incremental.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/states.h"
#include "graph/operator.h"
#include "heatproof/error.h"
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
  const Value logits = forward_view(g, network.graph(batch), x, network.options().output_name).logits;
  g.output("logits", logits);
  g.output("probabilities", g.add(kSoftmax, {logits}, {{"axis", std::int64_t{1}}}));
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

IncrementalProgram::IncrementalProgram(const Network& network, WindowPlan plan, const IncrementalSize& size)
    : size_(size),
      plan_(std::move(plan)),
      input_(network.input_shape()),
      held_(static_cast<std::size_t>(size.slots)) {
  const Graph rows = scores_graph(network, size.rows);
  UpdateGraph changed = update_graph(rows, plan_, size.slots, size.mode);
  places_ = std::move(changed.places);
  const Graph one = scores_graph(network, 1);
  start_rows_ = same_structure(one, rows) ? 1 : size.rows;
  const Graph first = start_graph(start_rows_ == 1 ? one : rows, plan_, size.slots);
  // Persistent updates write the states, so that their layouts count; transient ones only read them.
  const bool keeps = size.mode == Updates::persistent;
  // Whole images are loaded too seldom for transformed weights.
  const auto how = [&](bool update) { return update ? size.convolutions : Convolutions::direct; };
  const Program leading = compile(keeps ? changed.graph : first, how(keeps));
  const Program following = compile(keeps ? first : changed.graph, leading.states(), how(!keeps));
  states_ = std::make_shared<States>(leading.states());
  update_ = std::make_unique<Workspace>(keeps ? leading : following, states_);
  start_ = std::make_unique<Workspace>(keeps ? following : leading, states_);
  // Weights of dense layers are read once for all rows that wait.
  finish_rows_ = std::min<std::int64_t>(16, 4 * size.rows);
  Graph many = scores_graph(network, finish_rows_);
  if (!same_structure(many, rows)) finish_rows_ = size.rows;
  const Program rest =
      compile(finish_graph(finish_rows_ == size.rows ? rows : many, plan_), size.convolutions);
  for (const Port& port : rest.inputs()) boundary_.push_back(Tensor::zeros(port.type.dtype, port.type.shape));
  finish_ = std::make_unique<Workspace>(rest);
}

void IncrementalProgram::load(std::int64_t slot, std::span<const float> x) {
  held_[static_cast<std::size_t>(slot)].clear();  // until all of it is there
  Shape shape = input_;
  shape[0] = start_rows_;
  Tensor inputs = Tensor::empty(DType::f32, shape);
  Tensor places = Tensor::zeros(DType::i64, {start_rows_, static_cast<std::int64_t>(plan_.patch.size()) + 1});
  for (std::int64_t r = 0; r < start_rows_; ++r) {
    std::memcpy(inputs.rows(r, r + 1).raw(), x.data(), x.size_bytes());
    places.rows(r, r + 1).data<std::int64_t>()[0] = slot;
  }
  start_->run({inputs, places});
  held_[static_cast<std::size_t>(slot)].assign(x.begin(), x.end());
}

void IncrementalProgram::copy(std::int64_t from, std::int64_t to) {
  held_[static_cast<std::size_t>(to)].clear();
  states_->copy_slot(from, to);
  held_[static_cast<std::size_t>(to)] = held_[static_cast<std::size_t>(from)];
}

void IncrementalProgram::note(std::int64_t slot, std::vector<float>& x) {
  held_[static_cast<std::size_t>(slot)].swap(x);
}

std::vector<Tensor> IncrementalProgram::inputs_of(std::span<const Change> changes) const {
  Shape shape{size_.rows, input_[1]};
  shape.insert(shape.end(), plan_.patch.begin(), plan_.patch.end());
  Tensor windows = Tensor::empty(DType::f32, shape);
  Tensor places = Tensor::empty(DType::i64, {size_.rows, places_.width()});
  for (std::int64_t r = 0; r < size_.rows; ++r) {
    // Rows that are left over do the last change once more.
    const Change& c = changes[std::min(static_cast<std::size_t>(r), changes.size() - 1)];
    std::memcpy(windows.rows(r, r + 1).raw(), c.window.data(), c.window.size() * sizeof(float));
    places_.fill(c.slot, c.place, places.rows(r, r + 1).data<std::int64_t>().data());
  }
  return {windows, places};
}

void IncrementalProgram::push(std::span<const Change> changes, ScoreKind kind) {
  if (kind != kind_) flush();
  kind_ = kind;
  const std::vector<Tensor> values = update_->run(inputs_of(changes));
  for (std::size_t r = 0; r < changes.size(); ++r) {
    if (!changes[r].use) continue;
    const auto from = static_cast<std::int64_t>(r);
    const auto to = static_cast<std::int64_t>(waiting_.size());
    for (std::size_t k = 0; k < values.size(); ++k) {
      const Tensor row = values[k].rows(from, from + 1);
      std::memcpy(boundary_[k].rows(to, to + 1).raw(), row.raw(), row.bytes());
    }
    waiting_.push_back(changes[r].use);
    if (to + 1 == finish_rows_) flush();
  }
}

void IncrementalProgram::flush() {
  if (waiting_.empty()) return;
  const auto scores = finish_->run(boundary_).at(kind_ == ScoreKind::logit ? 0 : 1);
  const auto row = static_cast<std::size_t>(scores.shape()[1]);
  const auto uses = std::exchange(waiting_, {});
  for (std::size_t i = 0; i < uses.size(); ++i) uses[i](scores.data<float>().subspan(i * row, row));
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

std::vector<StepTime> IncrementalProgram::profile(std::span<const Change> changes) {
  std::vector<StepTime> times;
  std::vector<StepTime> rest;
  update_->run(inputs_of(changes), times);
  finish_->run(boundary_, rest);
  times.insert(times.end(), rest.begin(), rest.end());
  return times;
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
