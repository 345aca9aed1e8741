// Many similar inputs: which are computed incrementally, in which order, in which memory.
#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "explain/incremental.h"
#include "explain/walk_memo.h"

namespace heatproof {

namespace {

constexpr std::int64_t kMostRows = 8;
constexpr std::int64_t kManyUpdates = 1 << 20;  // of networks whose programs must not hang on how many
constexpr std::size_t kPrograms = 2;            // remembered by a network
/// Of the memory, per program; the rest is for arenas, weights, and the other program.
constexpr double kShareOfStates = 0.25;
constexpr std::int64_t kMostBases = 8;

std::int64_t power_of_two(std::int64_t least) {
  std::int64_t n = 1;
  while (n < least) n *= 2;
  return n;
}

/// The slot from `first` on that holds the values of an input, −1 where none does.
std::int64_t held_in(const IncrementalProgram& program, std::span<const float> x, std::int64_t first) {
  for (std::int64_t slot = first; slot < program.size().slots; ++slot) {
    if (std::ranges::equal(program.held(slot), x)) return slot;
  }
  return -1;
}

/// The slot that holds the values of a base; they are computed where none does.
std::int64_t slot_of(IncrementalProgram& program, std::span<const float> base, std::int64_t& next) {
  const std::int64_t first = program.size().walking;
  if (const std::int64_t known = held_in(program, base, first); known >= 0) return known;
  const std::int64_t slot = first + next++ % (program.size().slots - first);
  program.load(slot, base);
  return slot;
}

/// Everything that one call of Network::walk holds.
class Walker {
 public:
  Walker(IncrementalProgram& program, const Shape& input, const Walks& walks, ScoreKind kind)
      : program_(program), input_(input), walks_(walks), kind_(kind), rows_(program.size().rows) {}

  /// Walks [first, last) step by step, one slot each. Rows that a step leaves empty go on with the next.
  void run(std::int64_t first, std::int64_t last, const std::function<void()>& after_step) {
    first_ = first;
    const auto n = static_cast<std::size_t>(last - first);
    inputs_.resize(n);
    next_.resize(n);
    places_.resize(n);
    for (std::int64_t w = first; w < last; ++w) begin(w - first, walks_.base(w));
    for (std::int64_t step = 0; step < walks_.steps; ++step) {
      advance(step);
      // Between two steps of a walk lie those of the others; fewer than rows do not keep them apart.
      if (static_cast<std::int64_t>(n) < rows_) push_rest();
      after_step();
    }
    push_rest();
  }

 private:
  void begin(std::int64_t slot, std::span<const float> base) {
    program_.copy(slot_of(program_, base, next_base_), slot);
    inputs_[static_cast<std::size_t>(slot)].assign(base.begin(), base.end());
  }

  /// Brings an input to a step, and finds where it changes.
  void change(std::size_t i, std::int64_t step) {
    const std::int64_t walk = first_ + static_cast<std::int64_t>(i);
    if (walks_.advance) {
      places_[i] = walks_.advance(walk, step, inputs_[i]);
      return;
    }
    next_[i].resize(inputs_[i].size());
    walks_.fill(walk, step, next_[i]);
    places_[i] = differences(input_, walks_.patch, inputs_[i], next_[i]);
    inputs_[i].swap(next_[i]);
  }

  void advance(std::int64_t step) {
    const auto n = static_cast<std::int64_t>(inputs_.size());
    try_parallel_for(n, [&](std::int64_t i) { change(static_cast<std::size_t>(i), step); });
    for (std::int64_t i = 0; i < n; ++i) {
      auto& own = places_[static_cast<std::size_t>(i)];
      const auto& x = inputs_[static_cast<std::size_t>(i)];
      const WindowPlan& plan = program_.plan();
      if (static_cast<double>(own.size()) * plan.update > plan.whole + plan.update) {
        program_.load(i, x);
        own.clear();
      }
      // Scores come from an update, even where nothing is left to change.
      if (own.empty()) own.emplace_back(plan.patch.size(), 0);
      for (std::size_t k = 0; k < own.size(); ++k) {
        changes_.push_back({i, own[k], window_of(input_, walks_.patch, x, own[k]), {}});
        if (k + 1 == own.size())
          changes_.back().use = [this, walk = first_ + i, step](std::span<const float> s) {
            walks_.use(walk, step, s);
          };
        if (static_cast<std::int64_t>(changes_.size()) == rows_) push_rest();
      }
    }
  }

  void push_rest() {
    if (!changes_.empty()) program_.push(changes_, kind_);
    changes_.clear();
  }

  IncrementalProgram& program_;
  const Shape& input_;
  const Walks& walks_;
  ScoreKind kind_;
  std::int64_t rows_, first_ = 0, next_base_ = 0;
  std::vector<std::vector<float>> inputs_, next_;
  std::vector<std::vector<Place>> places_;
  std::vector<IncrementalProgram::Change> changes_;  // fewer than rows
};

/// Windows that change in a typical step.
double typical_changes(const Shape& input, const Walks& walks) {
  double sum = 0;
  const std::int64_t step = walks.steps / 2;
  const auto size = static_cast<std::size_t>(input.elements());
  for (const std::int64_t walk : {std::int64_t{0}, walks.count - 1}) {
    std::vector<float> before(size);
    std::vector<float> after(size);
    if (step > 0)
      walks.fill(walk, step - 1, before);
    else
      std::ranges::copy(walks.base(walk), before.begin());
    walks.fill(walk, step, after);
    sum += 0.5 * static_cast<double>(differences(input, walks.patch, before, after).size());
  }
  return sum;
}

/// The most rows (a power of two) whose programs and states fit into the memory, and room for bases. What is
/// left is for walks that share rows, however many there are: programs of one size are found again.
std::optional<IncrementalSize> size_that_fits(const Network& network, const WindowPlan& plan,
                                              std::int64_t wanted, Updates mode) {
  const Graph one = scores_graph(network, 1);
  const double memory = kShareOfStates * static_cast<double>(network.memory());
  const auto slot = static_cast<double>(kept_bytes(one, plan));
  for (std::int64_t rows = std::min(kMostRows, power_of_two(wanted)); rows >= 1; rows /= 2) {
    std::int64_t walking = mode == Updates::persistent ? rows : 0;
    const auto room = static_cast<std::int64_t>(memory / slot) - walking - 1;
    if (room < 1) continue;
    const std::int64_t bases = std::min(kMostBases, room);
    if (walking == kMostRows) walking += std::min(rows - 1, room - bases);
    return IncrementalSize{plan.patch, mode, rows, walking + bases, walking};
  }
  return std::nullopt;
}

}  // namespace

std::shared_ptr<IncrementalProgram> Network::incremental(
    const std::vector<std::int64_t>& patch, std::int64_t wanted, std::int64_t updates, bool persistent,
    const std::function<bool(double)>& worthwhile) const {
  if (fit(2) == unit_) return nullptr;
  if (options_.steady) wanted = kMostRows, updates = kManyUpdates;
  const auto plan = plan_windows(scores_graph(*this, 1), patch);
  if (!plan || !worthwhile(plan->update / plan->whole)) return nullptr;
  const auto size =
      size_that_fits(*this, *plan, wanted, persistent ? Updates::persistent : Updates::transient);
  if (!size) return nullptr;
  auto known = std::ranges::find_if(incremental_, [&](const auto& p) { return p->size() == *size; });
  // Calls that come one after the other may together be worth what one would not.
  if (known != incremental_.end() && (*known)->outgrown(updates)) {
    updates += (*known)->updates();
    incremental_.erase(known);
    known = incremental_.end();
  }
  if (known == incremental_.end()) {
    const auto rows = plan_windows(scores_graph(*this, size->rows), patch);
    if (!rows) return nullptr;
    if (incremental_.size() == kPrograms) incremental_.erase(incremental_.begin());
    incremental_.push_back(std::make_shared<IncrementalProgram>(*this, *rows, *size, updates));
    known = incremental_.end() - 1;
  }
  std::rotate(known, known + 1, incremental_.end());
  incremental_.back()->discard();
  return incremental_.back();
}

void Network::walk(const Walks& walks, ScoreKind kind) const {
  if (walks.count < 1 || walks.steps < 1) return;
  if (!walks.changes) {
    compute(walks, kind);
    return;
  }
  bool all_known = true;
  walked_->run(walks, kind, classes_, [&](const Walks& unknown) {
    all_known = false;
    compute(unknown, kind);
  });
  const std::int64_t all = walks.count * walks.steps;
  if (all_known && options_.progress) options_.progress(all, all);
}

void Network::forget_walks() const { walked_->forget(); }

void Network::compute(const Walks& walks, ScoreKind kind) const {
  if (kind == ScoreKind::probability) require_probability(probability_, "score");
  const auto program =
      incremental(walks.patch, walks.count, walks.count * walks.steps, true, [&](double share) {
        const auto steps = static_cast<double>(walks.steps);
        return 1 + steps * share * typical_changes(input_shape_, walks) < steps;
      });
  if (program == nullptr) {
    stream(
        walks.count * walks.steps, kind,
        [&](std::int64_t i, std::span<float> x) { walks.fill(i / walks.steps, i % walks.steps, x); },
        [&](std::int64_t i, std::span<const float> s) { walks.use(i / walks.steps, i % walks.steps, s); },
        Convolutions::fastest);
    return;
  }
  Walker walker(*program, input_shape_, walks, kind);
  const std::int64_t most = program->size().walking;
  const std::int64_t groups = (walks.count + most - 1) / most;
  std::int64_t done = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t first = walks.count * g / groups;
    const std::int64_t last = walks.count * (g + 1) / groups;
    walker.run(first, last, [&] {
      done += last - first;
      if (options_.progress) options_.progress(done, walks.count * walks.steps);
    });
  }
  program->flush();
}

void Network::edit_windows(const WindowEdits& edits, ScoreKind kind) const {
  if (edits.count < 1) return;
  if (kind == ScoreKind::probability) require_probability(probability_, "score");
  const auto program = incremental(edits.patch, edits.count, edits.count, false, [&](double share) {
    // Bases are computed once; how many there are is not known, but some edits share each.
    return 1 + static_cast<double>(edits.count) * share < static_cast<double>(edits.count);
  });
  const auto changed = [&](std::int64_t i) {
    auto window = window_of(input_shape_, edits.patch, edits.base(edits.image(i)), edits.first(i));
    edits.change(i, window);
    return window;
  };
  if (program == nullptr) {
    stream(
        edits.count, kind,
        [&](std::int64_t i, std::span<float> x) {
          std::ranges::copy(edits.base(edits.image(i)), x.begin());
          put_window(input_shape_, edits.patch, changed(i), edits.first(i), x);
        },
        edits.use, Convolutions::fastest);
    return;
  }
  std::int64_t next = 0;
  for (std::int64_t done = 0; done < edits.count;) {
    std::vector<IncrementalProgram::Change> changes;
    const std::int64_t most = std::min(program->size().rows, edits.count - done);
    for (std::int64_t i = 0; i < most; ++i) {
      const auto base = edits.base(edits.image(done + i));
      // A base that must be computed could take the slot of another row.
      if (i > 0 && held_in(*program, base, 0) < 0) break;
      changes.push_back({slot_of(*program, base, next), {}, {}, {}});
    }
    const auto n = static_cast<std::int64_t>(changes.size());
    try_parallel_for(n, [&](std::int64_t i) {
      changes[static_cast<std::size_t>(i)].place = edits.first(done + i);
      changes[static_cast<std::size_t>(i)].window = changed(done + i);
    });
    for (std::int64_t i = 0; i < n; ++i)
      changes[static_cast<std::size_t>(i)].use = [&edits, edit = done + i](std::span<const float> s) {
        edits.use(edit, s);
      };
    program->push(changes, kind);
    done += n;
    if (options_.progress) options_.progress(done, edits.count);
  }
  program->flush();
}

}  // namespace heatproof
