#include "explain/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/sizes.h"
#include "base/threads.h"
#include "explain/rows.h"
#include "explain/walk_memo.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/batching.h"
#include "ops/convolution.h"
#include "ops/footprint.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Bytes of scores that are remembered: a small share of the memory.
constexpr std::size_t kMostRemembered = std::size_t{64} << 20;
constexpr std::size_t kShareRemembered = 32;
/// Where nobody says how much memory may be taken. Weights count several times: packed for programs, and as
/// rules modify them.
constexpr std::size_t kMemory = std::size_t{4} << 30;
constexpr std::size_t kMemoryPerWeight = 8;

constexpr std::size_t kShareOfTrials = 4;

const Output& pick_output(const Graph& graph, const std::string& name) {
  if (name.empty()) return graph.outputs().front();
  std::vector<std::string> known;
  for (const Output& output : graph.outputs()) {
    if (output.name == name) return output;
    known.push_back(output.name);
  }
  throw UsageError(fmt::format("the network has no output '{}'; it has {}", name, fmt::join(known, ", ")));
}

std::size_t weight_bytes(const Graph& graph) {
  std::size_t bytes = 0;
  for (const Node& node : graph.nodes()) {
    if (node.op == &kConstant) bytes += node.constant.bytes();
  }
  return bytes;
}

/// Runs `f`; what it throws names the file.
template <typename F>
auto in_file(const std::string& file, F&& f) {
  const auto where = [&](const std::exception& e) {
    const bool named = file.empty() || std::string_view(e.what()).starts_with(file + ": ");
    return named ? e.what() : fmt::format("{}: {}", file, e.what());
  };
  try {
    return f();
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(where(e));
  } catch (const InputError& e) {
    throw InputError(where(e));
  } catch (const UsageError&) {
    throw;
  } catch (const Error& e) {
    throw Error(where(e), e.exit_code());
  }
}

/// A final Softmax or LogSoftmax, through reshapes; invalid where there is none.
Value last_softmax(Value output) {
  while (output.is(kReshape)) output = output.input(0);
  return output.is(kSoftmax) || output.is(kLogSoftmax) ? output : Value{};
}

}  // namespace

void require_probability(const Probability& probability, std::string_view asked) {
  if (!probability)
    throw UsageError(fmt::format("{0}=probability: {1}; use {0}=logit", asked, probability.missing));
}

ForwardView forward_view(Builder& g, const Graph& network, Value input, const std::string& output_name) {
  const std::vector<Value> values = g.splice(network, {input});
  ForwardView view;
  view.input = input;
  const Output& picked = pick_output(network, output_name);
  view.output = values[static_cast<std::size_t>(picked.id)];
  const std::int64_t batch = input.shape()[0];
  if (view.output.shape().empty() || view.output.shape()[0] != batch) {
    throw InputError(
        fmt::format("the output has shape {}, which does not start with the batch of {}; run the model at "
                    "its own batch size",
                    to_string(view.output.shape()), batch));
  }
  if (view.output.dtype() != DType::f32)
    throw UnsupportedError(
        fmt::format("output '{}' holds {}, and only numbers are explained; pick another by "
                    "--output-name (heatproof run --input NAME=FILE computes all)",
                    picked.name, view.output.dtype() == DType::i64 ? "integers" : "truth values"));
  const Value softmax = last_softmax(view.output);
  const Value logits = softmax ? softmax.input(0) : view.output;
  if (sizes::is_empty(logits.shape()))
    throw InputError(
        fmt::format("output '{}' of shape {} has no elements", picked.name, to_string(view.output.shape())));
  view.logits = reshape(logits, {batch, logits.shape().elements() / batch});
  ProbabilityView probability = probability_of(view.output, softmax, view.logits, picked.name);
  view.probability = probability.value;
  view.reading = std::move(probability.how);
  return view;
}

Network::Network(std::function<Graph(std::int64_t)> specialize, NetworkOptions options)
    : specialize_(std::move(specialize)), options_(std::move(options)) {
  in_file(options_.file, [&] {
    try {
      graph(1);
    } catch (const UnsupportedError&) {
      if (options_.declared_batch < 2) throw;
      unit_ = options_.declared_batch;
    }
    const Graph& one = graph(unit_);
    if (one.inputs().size() != 1 || one.node(one.inputs()[0]).type.dtype != DType::f32) {
      throw UnsupportedError(fmt::format(
          "the network has {} inputs; explanations need exactly one input of numbers", one.inputs().size()));
    }
    input_shape_ = one.node(one.inputs()[0]).type.shape;
    if (input_shape_.empty())
      throw UnsupportedError(
          "the input is a single number; explanations need an input with axes, the first of "
          "which is the batch");
    Builder g;
    const ForwardView view =
        forward_view(g, one, g.input("x", {DType::f32, input_shape_}), options_.output_name);
    classes_ = view.logits.shape()[1];
    probability_ = view.reading;
    input_shape_[0] = 1;
    if (unit_ > 1) {
      check_size();
      check_rows(one, options_.output_name, unit_);
    }
    memory_ = options_.memory > 0 ? options_.memory : kMemory + kMemoryPerWeight * weight_bytes(one);
    walked_ = std::make_shared<WalkMemo>(std::min(kMostRemembered, memory_ / kShareRemembered));
  });
}

void Network::announce(std::size_t bytes) const {
  if (options_.memory == 0 && options_.needs) options_.needs(bytes);
}

void Network::check_size() const {
  if (size_checked_) return;
  in_file(options_.file, [&] { check_footprint(graph(unit_), {.memory = options_.memory, .rows = unit_}); });
  size_checked_ = true;
}

Program Network::compile(const Graph& graph, Convolutions convolutions) const {
  check_size();
  return in_file(options_.file, [&] {
    const NodeId x = graph.inputs().empty() ? kNone : graph.inputs()[0];
    const bool alone = x != kNone && graph.node(x).type.shape[0] == unit_;
    if (alone)
      check_footprint(graph, {.memory = options_.memory,
                              .rows = unit_,
                              .explains = true,
                              .held = footprint(this->graph(unit_)).bytes});
    return heatproof::compile(graph, convolutions);
  });
}

std::string Network::what_rows_miss() const {
  constexpr std::int64_t kRows = 3;
  try {
    Graph together = specialize_(kRows);
    if (!options_.as_written) together = canonicalize(together);
    const Shape& y = together.node(pick_output(together, options_.output_name).id).type.shape;
    if (y.empty() || y[0] != kRows) return {};  // the batch is another axis of the result
    const Graph apart = batched(graph(1), kRows);
    if (same_function(together, apart)) return {};
    // Trying it out may take a share of the memory only.
    const bool small =
        footprint(together).bytes + footprint(apart).bytes < static_cast<double>(memory_ / kShareOfTrials);
    if (small && are_same_rows(together, apart, options_.output_name)) return {};
  } catch (const Error&) {  // the file cannot be built for several rows: they are alone there, too
    return "the file does not take several rows at once: every row is computed alone";
  }
  return "what the file gives for a row depends on the rows beside it, or that cannot be ruled out: here "
         "every row is computed alone "
         "(heatproof run --input NAME=FILE computes them together)";
}

std::int64_t Network::fit(std::int64_t wanted) const {
  if (wanted <= 1 || wanted == unit_ || (together_ && !*together_)) return unit_;
  if (together_) return wanted;
  check_size();
  std::string what;
  if (unit_ > 1) {
    what = fmt::format(
        "the network was written for batches of {}, and nothing proves what it gives for others: it runs "
        "with {} "
        "rows at a time, and copies of a row fill what is left over; export it with an open batch to run "
        "others",
        unit_, unit_);
  } else {
    try {
      batched(graph(1), 2);
    } catch (const UnsupportedError& e) {
      what = fmt::format("{}: rows run one by one", e.what());
    }
  }
  together_ = what.empty();
  if (*together_ && options_.notice) what = what_rows_miss();
  if (!what.empty() && options_.notice) options_.notice(what);
  return *together_ ? wanted : unit_;
}

std::int64_t Network::batch() const {
  if (batch_ > 0) return batch_;
  if (options_.batch > 0 || fit(2) == unit_) return batch_ = fit(options_.batch);
  // The program of one input stays for few inputs; many read transformed weights.
  const Program& one = workspace(1, ScoreKind::logit, Convolutions::direct).program();
  const std::size_t transformed = convolution::transformed_bytes(convolution::transformable(graph(1)));
  const std::size_t taken = one.constant_bytes() + one.arena_bytes() + transformed;
  batch_ = rows_that_fit(memory_, taken, one.arena_bytes(), 16);
  announce(taken + static_cast<std::size_t>(batch_) * one.arena_bytes());
  return batch_;
}

const Graph& Network::graph(std::int64_t batch) const {
  const auto it = graphs_.find(batch);
  if (it != graphs_.end()) return it->second;
  if (batch == unit_) {
    Graph written = specialize_(unit_);
    const Shape& y = written.node(pick_output(written, options_.output_name).id).type.shape;
    if (unit_ == 1 &&
        (y.empty() || y[0] != 1)) {  // rows come first, unless they are those of the file's own constants
      if (options_.declared_batch == 0) specialize_(3);
      written = batched(written, 1);
    }
    return graphs_[batch] = options_.as_written ? std::move(written) : canonicalize(written);
  }
  if (unit_ > 1)
    throw UnsupportedError(fmt::format("the network only runs in batches of {}, not of {}", unit_, batch));
  return graphs_[batch] = batched(graph(1), batch);
}

Workspace& Network::workspace(std::int64_t batch, ScoreKind kind, Convolutions convolutions) const {
  if (kind == ScoreKind::probability) require_probability(probability_, "score");
  const auto key = std::tuple(batch, kind, convolutions);
  if (const auto it = workspaces_.find(key); it != workspaces_.end()) return it->second;
  Builder g;
  Shape shape = input_shape_;
  shape[0] = batch;
  const ForwardView view =
      forward_view(g, graph(batch), g.input("x", {DType::f32, shape}), options_.output_name);
  g.output("scores", kind == ScoreKind::logit ? view.logits : view.probability);
  check_size();
  Program program = in_file(options_.file, [&] { return heatproof::compile(g.build(), convolutions); });
  return workspaces_.emplace(key, Workspace(std::move(program))).first->second;
}

void Network::stream(std::int64_t count, ScoreKind kind,
                     const std::function<void(std::int64_t, std::span<float>)>& fill,
                     const std::function<void(std::int64_t, std::span<const float>)>& use,
                     Convolutions convolutions) const {
  const std::int64_t size = input_shape_.elements();
  const bool many =
      options_.steady || static_cast<double>(count) >= convolution::runs_for_transforms(graph(unit_));
  for (std::int64_t done = 0; done < count;) {
    // A rest runs one by one where that is less than the whole batch; more sizes would pack more weights.
    const std::int64_t rest = count - done;
    const bool alone = !options_.steady && (rest == 1 || 4 * rest <= 3 * batch());
    const std::int64_t rows = alone ? unit_ : batch();
    Shape shape = input_shape_;
    shape[0] = rows;
    Tensor x = Tensor::zeros(DType::f32, shape);
    const std::int64_t n = std::min(rows, rest);
    try_parallel_for(n, [&](std::int64_t i) {
      fill(done + i,
           x.data<float>().subspan(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size)));
    });
    for (std::int64_t i = n; i < rows; ++i)
      std::ranges::copy(x.rows(n - 1, n).data<float>(), x.rows(i, i + 1).data<float>().begin());
    const Tensor scores = workspace(rows, kind, many ? convolutions : Convolutions::direct).run({x})[0];
    const auto row = static_cast<std::size_t>(classes_);
    for (std::int64_t i = 0; i < n; ++i)
      use(done + i, scores.data<float>().subspan(static_cast<std::size_t>(i) * row, row));
    done += n;
    if (options_.progress) options_.progress(done, count);
  }
}

Tensor Network::predict(const Tensor& inputs, ScoreKind kind) const {
  const std::int64_t n = inputs.shape()[0];
  Tensor scores = Tensor::empty(DType::f32, {n, classes_});
  const auto size = static_cast<std::size_t>(input_shape_.elements());
  const auto row = static_cast<std::size_t>(classes_);
  if (static_cast<std::int64_t>(size) * n != inputs.elements()) {
    throw InputError(fmt::format("inputs of shape {} do not fit the network's {}", to_string(inputs.shape()),
                                 to_string(input_shape_)));
  }
  stream(
      n, kind,
      [&](std::int64_t i, std::span<float> x) {
        std::ranges::copy(inputs.data<float>().subspan(static_cast<std::size_t>(i) * size, size), x.begin());
      },
      [&](std::int64_t i, std::span<const float> s) {
        std::ranges::copy(
            s, scores.data<float>().begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * row));
      });
  return scores;
}

std::int64_t rows_that_fit(std::size_t memory, std::size_t taken, std::size_t row, std::int64_t most) {
  const std::size_t room = memory > taken ? memory - taken : 0;
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(room / std::max<std::size_t>(row, 1)), 1, most);
}

std::vector<std::int64_t> argmax_rows(const Tensor& scores) {
  std::vector<std::int64_t> best;
  const auto row = static_cast<std::size_t>(scores.shape()[1]);
  for (std::int64_t i = 0; i < scores.shape()[0]; ++i) {
    const auto values = scores.data<float>().subspan(static_cast<std::size_t>(i) * row, row);
    const auto most = std::ranges::max_element(
        values, [](float a, float b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
    best.push_back(most - values.begin());
  }
  return best;
}

}  // namespace heatproof
