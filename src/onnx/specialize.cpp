// A model → the graph for one batch size.
#include <fmt/format.h>

#include <functional>
#include <new>
#include <unordered_map>

#include "base/sizes.h"
#include "base/text.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/import.h"
#include "ops/batching.h"

namespace heatproof {

namespace {

constexpr std::size_t kLongest = 280;  // bytes of what is said of a node, so that all is a line

/// Runs `f`, adding file, node and operator to the message of whatever it throws.
template <typename F>
auto with_context(const std::string& file, const onnx::NodeProto& node, F&& f) {
  const auto where = [&](const std::exception& e) {
    return fmt::format("{}: node '{}' ({}): {}", file, abbreviated(name_of(node)),
                       abbreviated(node.op_type(), 40), abbreviated(e.what(), kLongest));
  };
  try {
    return f();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(where(e));
  } catch (const std::exception& e) {
    throw InputError(where(e));
  }
}

// Of what a file becomes once what is equal or known is one node. Networks that people explain have some ten
// thousand; running so many takes one and a half gigabytes.
constexpr NodeId kMostNodes = 600'000;

class Specializer {
 public:
  Specializer(const Model& model, const Model::Contents& c, const Specialization& wanted)
      : c_(c), wanted_(wanted), file_(c.file()), declared_(model.declared_batch().value_or(0)) {}

  Graph run() {
    for (const ModelInput& input : c_.inputs)
      values_[input.name] = builder_.input(input.name, {input.dtype, shape_of(input)});
    for (const auto& node : c_.proto.graph().node()) {
      with_context(file_, node, [&] { import(node); });
    }
    for (const auto& output : c_.proto.graph().output()) {
      const auto it = values_.find(output.name());
      if (it == values_.end())
        throw_unknown(fmt::format("{}: output '{}' is ", file_, abbreviated(output.name())), output.name());
      builder_.output(output.name(), it->second);
    }
    return builder_.build();
  }

 private:
  Shape shape_of(const ModelInput& input) const {
    Shape shape;
    const std::string name = abbreviated(input.name);
    const auto given = wanted_.shapes.find(input.name);
    for (std::size_t i = 0; i < input.dims.size(); ++i) {
      std::optional<std::int64_t> d = input.dims[i];
      if (given != wanted_.shapes.end()) {
        if (given->second.size() != input.dims.size()) {
          throw InputError(fmt::format("{}: input '{}' has {} axes, data of shape {} was given", file_, name,
                                       input.dims.size(), abbreviated(to_string(given->second))));
        }
        if (i > 0 && d && given->second[i] > 0 && *d != given->second[i]) {
          throw InputError(fmt::format(
              "{}: input '{}' takes {} along axis {}, data of shape {} was given; use --size or other data",
              file_, name, *d, i, abbreviated(to_string(given->second))));
        }
        if (given->second[i] > 0) d = given->second[i];
      }
      if (i == 0 && (given == wanted_.shapes.end() || given->second[0] <= 0)) d = wanted_.batch;
      if (!d) {
        throw InputError(
            fmt::format("{}: axis {} of input '{}' is open; give its size with --size or data of that shape",
                        file_, i, name));
      }
      shape.push_back(*d);
    }
    if (!sizes::is_within(shape, std::int64_t{1} << 33))
      throw InputError(fmt::format("{}: input '{}' of shape {} is too large; use a smaller batch", file_,
                                   name, abbreviated(to_string(shape))));
    return shape;
  }

  Value value(const std::string& name) {
    if (name.empty()) return {};
    if (const auto it = values_.find(name); it != values_.end()) return it->second;
    if (const auto it = c_.weights.find(name); it != c_.weights.end())
      return values_[name] = builder_.constant(it->second, name);
    throw_unknown(fmt::format("input '{}' is ", abbreviated(name)), name);
  }

  [[noreturn]] void throw_unknown(const std::string& what, const std::string& name) const {
    if (const auto it = missing_.find(name); it != missing_.end())
      throw UnsupportedError(fmt::format("{}{}, which is not supported", what, it->second));
    throw InputError(what + "neither an input, a weight nor computed before; the file is damaged");
  }

  void import(const onnx::NodeProto& node) {
    std::vector<Value> inputs;
    for (const std::string& name : node.input()) inputs.push_back(value(name));
    Asked asked;
    const Importing importing{builder_, node,          std::move(inputs),
                              c_.opset, wanted_.batch, declared_ != wanted_.batch ? declared_ : 0,
                              asked};
    const auto it = importers().find(node.op_type());
    if (it == importers().end() || !is_standard(node.domain()))
      throw UnsupportedError("the operator is not supported");
    importing.check_numbers();
    const std::vector<Value> results = it->second(importing);
    importing.check_asked();
    for (int i = 0; i < node.output_size(); ++i) {
      const std::string& name = node.output(i);
      if (name.empty()) continue;
      if (values_.contains(name) || c_.weights.contains(name))
        throw InputError(fmt::format("'{}' is computed, though there is one already; export the model again",
                                     abbreviated(name)));
      const auto k = static_cast<std::size_t>(i);
      if (k < results.size() && importing.is_sound(results[k]))
        values_[name] = results[k];
      else
        missing_[name] =
            fmt::format("{} of node '{}' ({})",
                        k < results.size() ? "integers, the result" : fmt::format("output {}", k + 1),
                        abbreviated(importing.name()), abbreviated(node.op_type(), 40));
    }
    if (builder_.size() > kMostNodes)
      throw UnsupportedError(fmt::format(
          "the network has more than {} different nodes, the limit; explain a part of it", kMostNodes));
  }

  const Model::Contents& c_;
  const Specialization& wanted_;
  std::string file_;
  std::int64_t declared_;  // rows that the file was written for; 0 where they are open
  Builder builder_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, std::string>
      missing_;  // outputs of nodes that importers do not give, and whose
};

/// The network of one row of a network that was written for `declared` rows, where that is proven: with as
/// many rows, each computed as if it were alone, it is node for node the network as it was written.
std::optional<Graph> one_row(const std::function<Graph(const Specialization&)>& as_written,
                             const Specialization& one, std::int64_t declared,
                             const std::vector<bool>& shared) {
  Specialization all = one;
  all.batch = declared;
  try {
    Graph row = as_written(one);
    const Graph wanted = as_written(all);
    const Graph rows = batched(row, declared, shared);
    if (same_function(rows, wanted) || same_function(canonicalize(rows), canonicalize(wanted))) return row;
  } catch (const Error&) {  // its shapes do not fit one row
  }
  return std::nullopt;
}

}  // namespace

Graph specialize(const Model& model, const Model::Contents& c, const Specialization& wanted) {
  const auto as_written = [&](const Specialization& s) { return Specializer(model, c, s).run(); };
  const std::int64_t declared = model.declared_batch().value_or(wanted.batch);
  if (declared == wanted.batch) return as_written(wanted);
  // Inputs that begin with the batch have one row in the network of one; others are there for all rows.
  Specialization one = wanted;
  one.batch = 1;
  std::vector<bool> shared;
  for (const ModelInput& input : model.inputs()) {
    const auto given = one.shapes.find(input.name);
    const bool sized = given != one.shapes.end() && !given->second.empty();
    const bool leads = !input.dims.empty() && input.dims[0].value_or(declared) == declared &&
                       (!sized || given->second[0] <= 0 || given->second[0] == wanted.batch);
    if (leads && sized) given->second[0] = -1;
    shared.push_back(!leads);
  }
  if (declared == 1) return batched(as_written(one), wanted.batch, shared);
  if (const auto row = one_row(as_written, one, declared, shared))
    return wanted.batch == 1 ? *row : batched(*row, wanted.batch, shared);
  throw UnsupportedError(fmt::format(
      "{}: was written for batches of {}, and nothing proves what it gives for {} rows; run it with "
      "--batch {}, or export it with an open batch or with a batch of 1",
      c.file(), declared, wanted.batch, declared));
}

}  // namespace heatproof
