// .onnx files: import, canonicalize, compile, run, and explain networks that are tiny.
#include "onnx/model.h"

#include <algorithm>

#include "base/random.h"
#include "explain/explainer.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"
#include "graph/rewrite.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

namespace {

constexpr std::int64_t kMostElements = 1 << 17;  // of all values together
constexpr double kMostProducts = 1e7;
constexpr std::int64_t kOpen = 6;  // length of axes that the file leaves open

Specialization sizes_of(const Model& model) {
  Specialization s;
  for (const ModelInput& input : model.inputs()) {
    Shape shape;
    for (const auto& d : input.dims) shape.push_back(shape.empty() ? -1 : d.value_or(kOpen));
    s.shapes[input.name] = shape;
  }
  return s;
}

/// Whether a run takes milliseconds.
bool is_tiny(const Graph& graph) {
  double elements = 0;
  double products = 0;
  for (const Node& node : graph.nodes()) {
    const auto own = static_cast<double>(node.type.shape.elements());
    elements += own;
    for (NodeId input : node.inputs) {
      if (input != kNone &&
          (node.op == &kConv || node.op == &kConvTranspose || node.op == &kLinear || node.op == &kMatMul))
        products += own * static_cast<double>(graph.node(input).type.shape.elements());
    }
    if (node.attributes.has("kernel_shape")) {
      double taps = own;
      for (std::int64_t k : node.attributes.integers("kernel_shape")) taps *= static_cast<double>(k);
      products += taps;
    }
  }
  return elements < static_cast<double>(kMostElements) && products < kMostProducts;
}

Tensor numbers(const Type& type) {
  RandomStream random(1, {"fuzz", "model"});
  Tensor t = Tensor::zeros(type.dtype, type.shape);
  if (type.dtype == DType::f32) {
    for (float& v : t.data<float>()) v = static_cast<float>(random.normal());
  }
  return t;
}

/// With all inputs, as `run --input` does.
void run(const Graph& graph) {
  Workspace workspace(compile(graph));
  std::vector<Tensor> inputs;
  for (NodeId id : graph.inputs()) inputs.push_back(numbers(graph.node(id).type));
  const std::vector<Tensor> outputs = workspace.run(inputs);
  if (outputs.size() != graph.outputs().size()) fail("another number of outputs");
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].shape() != graph.node(graph.outputs()[i].id).type.shape)
      fail("an output of another shape");
  }
}

void explain(const Model& model, const Specialization& sizes) {
  const Network network(
      [&](std::int64_t batch) {
        Specialization s = sizes;
        s.batch = batch;
        Graph graph = model.specialize(s);
        if (!is_tiny(graph)) throw Error("too large for a fuzzer");
        return graph;
      },
      {.declared_batch = model.declared_batch().value_or(0)});
  Shape shape = network.input_shape();
  shape[0] = 2;
  if (network.unit() > 4 || network.classes() < 1) return;
  const Tensor x = numbers({DType::f32, shape});
  network.predict(x);
  Explainer explainer(network, {parse_recipe("gradient"), parse_recipe("lrp_epsilon")}, {.ledger = true});
  const Explanation e = explainer.explain(x, std::vector<std::int64_t>(2, network.classes() - 1));
  for (const Tensor& relevance : e.relevance) {
    if (relevance.shape() != x.shape()) fail("relevance of another shape");
  }
}

}  // namespace

void model(std::string_view bytes) {
  if (bytes.size() > 1 << 18) return;
  may_refuse([&] {
    const Model m = Model::inspect(file_of(bytes, "model.onnx"));
    m.producer(), m.outputs(), m.hash();
    m.check_supported();
    const Specialization sizes = sizes_of(m);
    const Graph graph = m.specialize(sizes);
    if (!is_tiny(graph)) return;
    may_refuse([&] { run(graph); });
    may_refuse([&] { run(canonicalize(graph)); });
    may_refuse([&] { explain(m, sizes); });
  });
}

}  // namespace heatproof::fuzz
