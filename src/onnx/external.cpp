// Data that lies beside an .onnx file: where it may lie, and what of it a model hangs on.
#include <fmt/format.h>

#include <fstream>

#include "heatproof/error.h"
#include "onnx/contents.h"

namespace heatproof {

namespace {

/// Calls f(tensor) for all that results can hang on, in nodes, subgraphs and functions, too.
template <typename F>
class Visitor {
 public:
  explicit Visitor(F f) : f_(std::move(f)) {}

  void graph(const onnx::GraphProto& graph) {
    for (const auto& t : graph.initializer()) f_(t);
    for (const auto& t : graph.sparse_initializer()) sparse(t);
    for (const auto& node : graph.node()) attributes(node.attribute());
  }
  void function(const onnx::FunctionProto& function) {
    for (const auto& node : function.node()) attributes(node.attribute());
  }

 private:
  void attributes(const auto& list) {
    for (const onnx::AttributeProto& a : list) {
      if (a.has_t()) f_(a.t());
      for (const auto& t : a.tensors()) f_(t);
      if (a.has_sparse_tensor()) sparse(a.sparse_tensor());
      for (const auto& t : a.sparse_tensors()) sparse(t);
      if (a.has_g()) graph(a.g());
      for (const auto& g : a.graphs()) graph(g);
    }
  }
  void sparse(const onnx::SparseTensorProto& t) {
    f_(t.values());
    f_(t.indices());
  }

  F f_;
};

std::string location_of(const onnx::TensorProto& proto) {
  std::string location;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
  }
  return location;
}

}  // namespace

bool is_external(const onnx::TensorProto& proto) {
  return proto.data_location() == onnx::TensorProto::EXTERNAL;
}

std::filesystem::path external_file(const onnx::TensorProto& proto, const std::filesystem::path& folder) {
  const std::string location = location_of(proto);
  std::error_code error;
  const auto base = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, error);
  const auto path = std::filesystem::weakly_canonical(base / location, error);
  const auto relative = path.lexically_relative(base);
  if (location.empty() || relative.empty() || *relative.begin() == ".." ||
      std::filesystem::path(location).is_absolute()) {
    throw InputError(fmt::format(
        "tensor '{}': external data '{}' leaves the model's folder, which is refused; put the file "
        "beside the model",
        proto.name(), location));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    throw InputError(fmt::format("tensor '{}': external data file '{}' is missing; put it beside the model",
                                 proto.name(), location));
  }
  return path;
}

std::map<std::string, std::filesystem::path> external_files(const onnx::ModelProto& model,
                                                            const std::filesystem::path& folder) {
  std::map<std::string, std::filesystem::path> files;
  Visitor visitor([&](const onnx::TensorProto& t) {
    if (is_external(t)) files.try_emplace(location_of(t), external_file(t, folder));
  });
  visitor.graph(model.graph());
  for (const auto& function : model.functions()) visitor.function(function);
  return files;
}

}  // namespace heatproof
