// Tensors of .onnx files, in the file or beside it → tensors.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>

#include "heatproof/tensor.h"

namespace heatproof {

/// Whether the tensor's data lies in another file; entries of external data alone say nothing.
bool is_external(const onnx::TensorProto& proto);
/// How the elements of a tensor lie in a file, and what they become.
struct ElementFormat {
  DType dtype;
  int bytes;  // in the file
};
/// Whether graphs have the type of its elements.
bool is_known(const onnx::TensorProto& proto);
/// Throws UnsupportedError where it is not known.
ElementFormat element_format(const onnx::TensorProto& proto);
/// Bytes that the tensor's data takes in a file. Throws InputError for shapes that nothing can have.
std::int64_t data_bytes(const onnx::TensorProto& proto);
/// Converts a tensor whose data lies in its message to f32, i64 or boolean. Throws InputError with the
/// tensor's name where the message contradicts itself.
Tensor read_tensor(const onnx::TensorProto& proto);
/// The same of a tensor whose data lies beside the message.
Tensor read_tensor(const onnx::TensorProto& proto, const std::string& data);

/// Converts all initializers and empties their messages; reads external data of the graph's nodes into their
/// messages, so that no file is read again. Returns what all that lies beside the model adds to its SHA-256
/// (of nodes, of their subgraphs and of functions, too; only what the model refers to is read): empty where
/// nothing does. Throws InputError with the tensor's name for what leaves the folder.
std::string read_weights(onnx::ModelProto& proto, const std::filesystem::path& folder,
                         std::map<std::string, Tensor>& weights);

}  // namespace heatproof
