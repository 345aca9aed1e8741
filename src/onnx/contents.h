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

/// Whether the tensor's data lies in another file; entries of external data alone say nothing.
bool is_external(const onnx::TensorProto& proto);
/// The file of an external tensor. Refuses what leaves the model's folder, also through links, and what is no
/// regular file: throws InputError.
std::filesystem::path external_file(const onnx::TensorProto& proto, const std::filesystem::path& folder);
/// All files that the model hangs on besides its own, by the names that it gives them: of weights, and of
/// tensors of nodes, of their subgraphs and of functions. Throws as external_file does.
std::map<std::string, std::filesystem::path> external_files(const onnx::ModelProto& model,
                                                            const std::filesystem::path& folder);

}  // namespace heatproof
