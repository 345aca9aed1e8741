#include "ops/footprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/memory.h"
#include "heatproof/error.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Bytes that every network may take, however small it is, and how many times its weights and its input a
/// larger one may (docs/decisions/limits.md).
constexpr double kBytes = 1.2e9;
constexpr double kPerWeight = 64;
constexpr double kPerInput = 1024;
constexpr double kPerPair = 256;  // of positions along the longest axis: attention
constexpr double kForExplanations = 8;

/// Multiply-adds that every network may take, and how many for every pair of a weight and an input: no layer
/// uses a weight more often than there are positions.
constexpr double kWork = 5e10;
constexpr double kWorkPerPair = 256;
constexpr double kOtherWork = 65536;  // weights that operators without any count as

/// Results are handed out, gathered and looked at as copies.
constexpr double kCopiesOfResults = 3;

/// What takes as long as so many multiply-adds of a convolution.
constexpr double kPerElement = 32;
constexpr double kPerTap = 16;

double elements(const Type& type) { return static_cast<double>(type.shape.elements()); }
double bytes_of(const Type& type) { return elements(type) * (type.dtype == DType::i64 ? 8 : 4); }

/// Of a window; along the last axis kernels may look at taps that lie outside, too.
double taps(const Node& node, const Shape& x) {
  const auto kernel = node.attributes.integers("kernel_shape");
  double all = 1;
  double sum = 0;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const auto length = static_cast<double>(kernel[i]);
    const bool last = i + 1 == kernel.size() || i + 2 >= x.size();
    all *= last ? length : std::min(length, static_cast<double>(x[i + 2]));
    sum += length;
  }
  return all + sum;
}

double work_of(const Graph& graph, const Node& node) {
  const auto type = [&](std::size_t i) -> const Type& { return graph.node(node.inputs[i]).type; };
  const double y = elements(node.type);
  if (node.inputs.empty() || node.op == &kReshape) return 0;
  if (node.op == &kConv) return y * elements(type(1)) / static_cast<double>(type(1).shape[0]);
  if (node.op == &kConvTranspose)
    return elements(type(0)) * elements(type(1)) / static_cast<double>(type(1).shape[0]);
  if (node.op == &kLinear) return y * static_cast<double>(type(1).shape.back());
  if (node.op == &kMatMul) return y * static_cast<double>(type(0).shape.back());
  if (node.op == &kMaxPool || node.op == &kAveragePool) return y * kPerTap * taps(node, type(0).shape);
  const bool picks = node.op == &kSlice || node.op == &kGather || node.inputs[0] == kNone;
  return kPerElement * std::max(y, picks ? 0.0 : elements(type(0)));
}

bool is_elementwise(const Node& node) { return node.op->traits.elementwise.tile != nullptr; }

/// Memory of the values of a graph while it is walked through in order.
class Walk {
 public:
  explicit Walk(const Graph& graph) : graph_(graph), constant_(graph.nodes().size()) {
    const auto end = static_cast<std::size_t>(graph.size());
    root_.resize(end);
    last_.resize(end);
    for (std::size_t id = 0; id < end; ++id) {
      const Node& node = graph.nodes()[id];
      const bool alias = node.op == &kReshape;
      root_[id] = alias ? root(node.inputs[0]) : id;
      bool constant = !is_variable_leaf(node);
      for (NodeId input : node.inputs) {
        if (input == kNone) continue;
        last_[root(input)] = id;
        constant = constant && constant_[static_cast<std::size_t>(input)];
        // A repeated value without storage is written out for whoever does not read it element by element.
        if (graph.node(input).op == &kFill && !is_elementwise(node)) written_.insert(input);
      }
      constant_[id] = constant;
    }
    for (const Output& output : graph.outputs()) last_[root(output.id)] = end;
  }

  void measure(Footprint& f) const {
    const auto end = static_cast<std::size_t>(graph_.size());
    std::vector<std::vector<std::size_t>> ending(end + 1);
    for (std::size_t id = 0; id < end; ++id) ending[std::max(last_[id], id)].push_back(id);
    double made = 0;
    double now = 0;
    double most = 0;
    for (std::size_t id = 0; id < end; ++id) {
      const Node& node = graph_.nodes()[id];
      const double bytes = stored(id);
      (constant_[id] ? made : now) += bytes;
      most = std::max(most, now);
      if (bytes > f.most && !is_elementwise(node)) f.most = bytes, f.largest = static_cast<NodeId>(id);
      for (std::size_t gone : ending[id])
        if (!constant_[gone]) now -= stored(gone);
    }
    double results = 0;
    for (const Output& output : graph_.outputs()) results += bytes_of(graph_.node(output.id).type);
    f.bytes = made + most + kCopiesOfResults * results;
  }

 private:
  std::size_t root(NodeId id) const { return root_[static_cast<std::size_t>(id)]; }
  /// Bytes that a node takes besides those of its operands and of the file.
  double stored(std::size_t id) const {
    const Node& node = graph_.nodes()[id];
    if (root_[id] != id || node.op == &kConstant) return 0;
    if (node.op == &kFill && !written_.contains(static_cast<NodeId>(id))) return 0;
    return bytes_of(node.type);
  }

  const Graph& graph_;
  std::vector<bool> constant_;
  std::vector<std::size_t> root_, last_;  // whose memory it is, and who reads it last
  std::set<NodeId> written_;
};

std::string size_text(double bytes) {
  constexpr double kKilo = 1024;
  if (bytes < kKilo * kKilo) return fmt::format("{:.1f} kB", bytes / kKilo);
  if (bytes < kKilo * kKilo * kKilo) return fmt::format("{:.1f} MB", bytes / kKilo / kKilo);
  return fmt::format("{:.1f} GB", bytes / kKilo / kKilo / kKilo);
}

std::string node_text(const Graph& graph, NodeId id) {
  if (id == kNone) return "";
  const Node& node = graph.node(id);
  const std::string name = node.name.empty() ? "" : fmt::format(" '{}'", node.name.substr(0, 80));
  return fmt::format("node{} ({})", name, node.op->name);
}

void check_memory(const Graph& graph, const Footprint& f, const Allowance& allowed) {
  const double rows = static_cast<double>(std::max<std::int64_t>(allowed.rows, 1));
  const double share =
      kPerWeight * f.weights + kPerInput * f.inputs / rows + kPerPair * f.longest * f.longest;
  const double proportion = std::max(kBytes, share * (allowed.explains ? kForExplanations : 1));
  const double most = std::max(proportion, static_cast<double>(allowed.memory));
  const double bytes = f.bytes + allowed.held;
  if (bytes > most)
    throw Error(fmt::format(
        "one input would take about {} of memory, most of it at {} with a result of {}, out of all "
        "proportion to {} of weights and input; if that is meant, allow it with --memory {}G",
        size_text(bytes), node_text(graph, f.largest),
        f.largest == kNone ? "" : to_string(graph.node(f.largest).type.shape),
        size_text(f.weights + f.inputs), static_cast<std::int64_t>(bytes / (1024.0 * 1024 * 1024)) + 1));
  const auto free = static_cast<double>(memory_that_can_be_had());
  if (free > 0 && f.most > free)
    throw Error(
        fmt::format("{} alone, with a result of {}, takes {} of memory, and {} are free; use smaller "
                    "inputs or another machine",
                    node_text(graph, f.largest), to_string(graph.node(f.largest).type.shape),
                    size_text(f.most), size_text(free)));
}

void check_work(const Graph& graph, const Footprint& f, const Allowance& allowed) {
  const double rows = static_cast<double>(std::max<std::int64_t>(allowed.rows, 1));
  const double pairs = (f.weights / 4 + kOtherWork) * (f.inputs / 4 / rows);
  if (f.work <= std::max(kWork, kWorkPerPair * pairs)) return;
  throw Error(fmt::format(
      "one input would take about {:.0e} multiply-adds, most of them at {} with a result of {}, out of all "
      "proportion to {:.0f} weights and {:.0f} numbers of input; check its attributes",
      f.work, node_text(graph, f.heaviest), to_string(graph.node(f.heaviest).type.shape), f.weights / 4,
      f.inputs / 4 / rows));
}

}  // namespace

Footprint footprint(const Graph& graph) {
  Footprint f;
  std::set<const void*> counted;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == &kInput) {
      f.inputs += bytes_of(node.type);
      for (std::size_t i = 1; i < node.type.shape.size(); ++i)  // behind the batch
        f.longest = std::max(f.longest, static_cast<double>(node.type.shape[i]));
    }
    // What was computed while the network was read has no name.
    if (node.op == &kConstant && !node.name.empty() && counted.insert(node.constant.raw()).second)
      f.weights += static_cast<double>(node.constant.bytes());
    const double work = work_of(graph, node);
    f.work += work;
    if (work > f.hardest) f.hardest = work, f.heaviest = id;
  }
  Walk(graph).measure(f);
  return f;
}

void check_footprint(const Graph& graph, const Allowance& allowed) {
  const Footprint f = footprint(graph);
  check_memory(graph, f, allowed);
  if (!allowed.explains) check_work(graph, f, allowed);
}

}  // namespace heatproof
