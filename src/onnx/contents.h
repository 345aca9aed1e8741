// What a loaded model consists of; private to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>

#include "onnx/model.h"

namespace heatproof {

struct Model::Contents {
  std::filesystem::path path;
  std::string hash;
  onnx::ModelProto proto;
  std::int64_t opset = 0;
  std::map<std::string, Tensor> weights;
  std::vector<ModelInput> inputs;
  std::vector<UnsupportedNode> unsupported;
};

/// Converts a TensorProto, inline or external, to f32, i64 or boolean. `folder`: of the model; external data
/// must lie in it. Throws InputError with the tensor's name.
Tensor read_tensor(const onnx::TensorProto& proto, const std::filesystem::path& folder);

}  // namespace heatproof
