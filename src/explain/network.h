// A network that can be run at any batch size: graphs, compiled programs, and predictions of many inputs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/program.h"
#include "explain/probability.h"
#include "graph/builder.h"

namespace heatproof {

class Sha256;  // base/files.h

/// Called while long work goes on: done, in all.
using OnProgress = std::function<void(std::int64_t, std::int64_t)>;

struct NetworkOptions {
  std::string output_name;  // empty: the first output
  /// Bytes that weights and working memory of a program may take; 0: so many that sizes of batches depend on
  /// the network alone (Network::memory).
  std::size_t memory = 0;
  std::int64_t batch = 0;           // 0: chosen from memory and the size of the input
  OnProgress progress = {};         // of predictions of many inputs
  bool as_written = false;          // the graph is not canonicalized
  std::int64_t declared_batch = 0;  // the size that the network was written for; 0: any
  /// Called once where rows cannot be computed together as was asked for, with what is done instead.
  std::function<void(const std::string&)> notice = {};
  /// Which programs compute something depends on the network alone, not on how much is asked for at once or
  /// was asked for before: for selections, whose cells must be the same to the last bit when they are resumed
  /// or measured in parts. Rests are padded.
  bool steady = false;
  /// Told how many bytes programs are going to take, where `memory` was left open.
  std::function<void(std::size_t bytes)> needs = {};
  std::string file = {};  // where the network comes from, for messages
};

/// Inputs that change little from one step to the next, each walk from a base of its own.
struct Walks {
  std::int64_t count = 0, steps = 0;
  std::vector<std::int64_t> patch;  // size of what changes in a step, along the spatial axes
  std::function<std::span<const float>(std::int64_t walk)> base;
  /// Writes the input of a step; several at a time, from several threads; `x` may hold anything.
  std::function<void(std::int64_t walk, std::int64_t step, std::span<float> x)> fill;
  std::function<void(std::int64_t walk, std::int64_t step, std::span<const float> scores)> use;
  /// Where it is known what changes (else empty, and inputs are compared): turns the input of the step
  /// before, at first the base, into that of a step, and tells the first positions of windows that hold all
  /// changes.
  std::function<std::vector<std::vector<std::int64_t>>(std::int64_t walk, std::int64_t step,
                                                       std::span<float> x)>
      advance = {};
  /// Where it is known (else empty): adds to a hash all that the changes of a walk hang on besides its base,
  /// so that walks of equal hashes are equal step by step, and computed once (walk_memo.h). From several
  /// threads.
  std::function<void(std::int64_t walk, Sha256& hash)> changes = {};
};

/// Inputs that differ from one of a few bases in a window (occlusion).
struct WindowEdits {
  std::int64_t count = 0;
  std::vector<std::int64_t> patch;                       // size of the window, along the spatial axes
  std::function<std::int64_t(std::int64_t edit)> image;  // which base
  std::function<std::span<const float>(std::int64_t image)> base;
  /// First position of the window along each axis; the window lies inside of the input.
  std::function<std::vector<std::int64_t>(std::int64_t edit)> first;
  /// Changes the window [channels, patch...], which holds the base's values; several at a time, from several
  /// threads.
  std::function<void(std::int64_t edit, std::span<float> window)> change;
  std::function<void(std::int64_t edit, std::span<const float> scores)> use;
};

class IncrementalProgram;  // incremental.h
class WalkMemo;            // walk_memo.h

/// What a prediction is measured as.
enum class ScoreKind { logit, probability };
/// Refuses probabilities of a network that has none; `asked`: what asked for them, such as "output".
void require_probability(const Probability& probability, std::string_view asked);

/// The network with its parts named: what is explained, and the logits that explanations start from.
struct ForwardView {
  Value input;
  Value output;         // as the network gives it
  Value logits;         // [N, classes]: the input of a final softmax, or the output itself
  Value probability;    // [N, classes]; invalid where the network has none
  Probability reading;  // how the logits become it
};

/// Splices the network into a builder, fed by `input`; finds the logits and the probabilities.
ForwardView forward_view(Builder& g, const Graph& network, Value input, const std::string& output_name);

class Network {
 public:
  /// `specialize` gives the network's graph for one row; it is canonicalized here, and batched
  /// (ops/batching.h). Where the options declare a batch and `specialize` refuses a single row
  /// (UnsupportedError), the network only runs in batches of that size. Throws UnsupportedError when the
  /// network does not have exactly one input of numbers, or is only there in batches whose rows hang on one
  /// another.
  Network(std::function<Graph(std::int64_t)> specialize, NetworkOptions options = {});

  /// Canonical; every row of its results is what the network gives for that row alone. Throws
  /// UnsupportedError for batch sizes other than those that `fit` returns.
  const Graph& graph(std::int64_t batch) const;
  /// Rows of the smallest batch: 1, unless the network was written for more and cannot be taken apart. Rows
  /// that are left over are filled with copies.
  std::int64_t unit() const { return unit_; }
  /// The batch size that serves for `wanted` rows: `wanted` as a rule; `unit()` where rows cannot be computed
  /// together, or only so many.
  std::int64_t fit(std::int64_t wanted) const;
  /// Shape of one input with a leading 1, and number of classes.
  const Shape& input_shape() const { return input_shape_; }
  std::int64_t classes() const { return classes_; }
  /// What the outputs say of probabilities.
  const Probability& probability() const { return probability_; }
  const NetworkOptions& options() const { return options_; }
  /// What options().memory says; where it is open, 4 GiB and eight times the weights.
  std::size_t memory() const { return memory_; }
  /// Tells options().needs, where the memory was left open.
  void announce(std::size_t bytes) const;
  /// Batch size for forward passes.
  std::int64_t batch() const;
  /// Compiles a graph that was made of this network for `unit()` rows, or more. Throws Error, before memory
  /// is taken, where the network is out of all proportion (ops/footprint.h). Errors name the file.
  Program compile(const Graph& graph, Convolutions convolutions = Convolutions::direct) const;

  /// Logits [N, classes] (or probabilities; UsageError where the network has none) of N inputs.
  Tensor predict(const Tensor& inputs, ScoreKind kind = ScoreKind::logit) const;

  /// Runs `count` inputs in batches without holding them all: fill(i, x) writes input i (several at a time,
  /// from several threads), use(i, scores) sees its scores, in order.
  void stream(std::int64_t count, ScoreKind kind,
              const std::function<void(std::int64_t, std::span<float>)>& fill,
              const std::function<void(std::int64_t, std::span<const float>)>& use,
              Convolutions convolutions = Convolutions::direct) const;

  /// Scores of every step of every walk: what `stream` would give (to rounding), computing only what changes
  /// from step to step where that is cheaper (incremental.cpp), and nothing again that is still known.
  /// Progress counts the steps that are computed.
  void walk(const Walks& walks, ScoreKind kind) const;
  /// From here on walks are computed again, for measuring times.
  void forget_walks() const;
  /// The same for inputs that differ from a base in one window each.
  void edit_windows(const WindowEdits& edits, ScoreKind kind) const;

 private:
  void compute(const Walks& walks, ScoreKind kind) const;
  /// Throws Error where a forward pass of the smallest batch takes more than any network of its size does.
  void check_size() const;
  /// How rows that are computed alone differ from what the file says of several; empty where they do not.
  std::string what_rows_miss() const;
  Workspace& workspace(std::int64_t batch, ScoreKind kind, Convolutions convolutions) const;
  /// A program for windows of this size, for as many as `wanted` rows and so many updates; nullptr where
  /// nothing is gained. `worthwhile` is asked with the share of the work that an update takes.
  std::shared_ptr<IncrementalProgram> incremental(const std::vector<std::int64_t>& patch, std::int64_t wanted,
                                                  std::int64_t updates, bool persistent,
                                                  const std::function<bool(double)>& worthwhile) const;

  std::function<Graph(std::int64_t)> specialize_;
  NetworkOptions options_;
  Shape input_shape_;
  std::int64_t classes_ = 0;
  Probability probability_;
  std::size_t memory_ = 0;
  std::int64_t unit_ = 1;
  mutable std::optional<bool> together_;  // whether rows can be computed together
  mutable bool size_checked_ = false;
  mutable std::int64_t batch_ = 0;  // 0: not chosen yet
  mutable std::map<std::int64_t, Graph> graphs_;
  mutable std::map<std::tuple<std::int64_t, ScoreKind, Convolutions>, Workspace> workspaces_;
  mutable std::vector<std::shared_ptr<IncrementalProgram>> incremental_;  // used last comes last
  std::shared_ptr<WalkMemo> walked_;
};

/// How many rows fit into the memory, at least 1, where `taken` bytes are taken already.
std::int64_t rows_that_fit(std::size_t memory, std::size_t taken, std::size_t row, std::int64_t most);

/// Index of the largest value of each row.
std::vector<std::int64_t> argmax_rows(const Tensor& scores);

}  // namespace heatproof
