// Exact incremental inference: many inputs that differ little from one another, for the work of their
// differences. Network::walk and Network::edit_windows drive it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "explain/network.h"
#include "explain/window_graph.h"
#include "ops/convolution.h"

namespace heatproof {

class States;

/// How many images an IncrementalProgram updates at once, and how many it remembers.
struct IncrementalSize {
  std::vector<std::int64_t> patch;
  Updates mode = Updates::persistent;
  std::int64_t rows = 1;
  std::int64_t slots = 1;
  std::int64_t walking = 0;  // the first slots, whose images change; the others keep bases
  bool operator==(const IncrementalSize&) const = default;
};

/// The network's graph at a batch size with outputs "logits" and, where they are something else,
/// "probabilities" [N, classes].
Graph scores_graph(const Network& network, std::int64_t batch);

/// Bytes of the values that are kept for one image.
std::size_t kept_bytes(const Graph& network, const WindowPlan& plan);

/// First position of a window along each spatial axis.
using Place = std::vector<std::int64_t>;
/// Windows of size `patch` that cover where two inputs of shape [1, C, ...] differ.
std::vector<Place> differences(const Shape& input, const std::vector<std::int64_t>& patch,
                               std::span<const float> from, std::span<const float> x);
/// The part of an input that lies in a window, [C, patch...].
std::vector<float> window_of(const Shape& input, const std::vector<std::int64_t>& patch,
                             std::span<const float> x, const Place& place);

/// The opposite.
void put_window(const Shape& input, const std::vector<std::int64_t>& patch, std::span<const float> window,
                const Place& place, std::span<float> x);

/// Programs over shared states: whole images are loaded into slots, then windows of them change.
class IncrementalProgram {
 public:
  /// `plan` is of scores_graph(network, size.rows); `updates`: how many are to come.
  IncrementalProgram(const Network& network, WindowPlan plan, const IncrementalSize& size,
                     std::int64_t updates);

  const WindowPlan& plan() const { return plan_; }
  const IncrementalSize& size() const { return size_; }
  /// Updates that were made so far.
  std::int64_t updates() const { return updates_; }
  /// Whether transformed weights, which it lacks, pay for the updates so far and so many more.
  bool outgrown(std::int64_t more) const;

  /// Computes all values of an input into a slot.
  void load(std::int64_t slot, std::span<const float> x);
  void copy(std::int64_t from, std::int64_t to);
  /// The input that was loaded into a slot and has not changed since; empty when there is none.
  std::span<const float> held(std::int64_t slot) const { return held_[static_cast<std::size_t>(slot)]; }

  struct Change {
    std::int64_t slot;
    Place place;
    std::vector<float> window;                                    // [C, patch...]: what comes there
    std::function<void(std::span<const float> scores)> use = {};  // empty: nobody asks
  };
  /// Makes changes, one per row (at most size().rows). Persistent: all changes of a slot take effect, and its
  /// rows see all of them. Transient: each row sees its own change only. Scores follow once enough rows wait
  /// for the rest of the network, or with `flush`.
  void push(std::span<const Change> changes, ScoreKind kind);
  void flush();
  /// Forgets rows that wait, of a caller that gave up.
  void discard() { waiting_.clear(); }
  /// Both at once: the scores, row by row.
  Tensor update(std::span<const Change> changes, ScoreKind kind);

 private:
  /// Work of a graph whose batch has so many rows; products are those of one row.
  struct Part {
    convolution::Work all, transformable;
    double updates_for_transforms() const { return convolution::runs_for_transforms(transformable); }
  };
  static Part part_of(const Graph& graph, std::int64_t rows);
  /// What hangs on the number of updates.
  struct Choice {
    Convolutions update, finish;
    std::int64_t finish_rows;
  };
  Choice choose(std::int64_t updates) const;
  /// Fills the inputs of the update program.
  void place(std::span<const Change> changes);
  void keep_row(std::size_t row);

  IncrementalSize size_;
  WindowPlan plan_;
  PlaceTable places_;
  std::shared_ptr<States> states_;
  std::unique_ptr<Workspace> update_, start_, finish_;
  Shape input_;
  std::int64_t start_rows_ = 1;
  std::int64_t updates_ = 0;
  Part changing_, rest_;
  bool any_finish_rows_ = true;
  Choice chosen_{};
  std::vector<std::size_t> boundary_;  // bytes of a row of what waits for the rest of the network
  std::vector<std::function<void(std::span<const float>)>> waiting_;
  ScoreKind kind_ = ScoreKind::logit;
  std::vector<std::vector<float>> held_;
};

}  // namespace heatproof
