// What a loaded model consists of; private to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>

#include "base/text.h"
#include "onnx/model.h"

namespace heatproof {

struct Model::Contents {
  std::filesystem::path path;
  /// What messages call it.
  std::string file() const { return abbreviated(path.filename().string(), 80); }
  std::string hash;
  onnx::ModelProto proto;
  std::int64_t opset = 0;
  std::map<std::string, Tensor> weights;
  std::vector<ModelInput> inputs;
  std::vector<UnsupportedNode> unsupported;
};

/// Whether a name of operators is ONNX's own.
inline bool is_standard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }
/// The name that messages give a node.
inline std::string name_of(const onnx::NodeProto& node) {
  return !node.name().empty() ? node.name() : node.output_size() > 0 ? node.output(0) : "";
}

/// The network for one batch size (Model::specialize).
Graph specialize(const Model& model, const Model::Contents& c, const Specialization& wanted);

}  // namespace heatproof
