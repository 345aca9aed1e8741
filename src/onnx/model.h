// An .onnx file: read, checked, and turned into graphs for fixed input sizes.
//
//   Model model = Model::load("resnet50.onnx");
//   Graph graph = model.specialize({.batch = 8});
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace heatproof {

struct ModelInput {
  std::string name;
  DType dtype = DType::f32;                       // fp16, bf16 and f64 are read as f32, all integers as i64
  std::vector<std::optional<std::int64_t>> dims;  // nullopt: dynamic
};

struct Specialization {
  std::int64_t batch = 1;
  /// Shapes by input name, for dynamic axes other than the first; axis 0 is replaced by `batch`.
  std::map<std::string, Shape> shapes = {};
};

struct UnsupportedNode {
  std::string node, op, reason;
};

/// Cheap to copy; immutable.
class Model {
 public:
  /// Throws InputError for files that are missing, truncated or malicious, UnsupportedError listing every
  /// operator that heatproof does not know.
  static Model load(const std::filesystem::path& path);
  /// As `load`, but leaves unsupported operators to `unsupported()`.
  static Model inspect(const std::filesystem::path& path);

  const std::filesystem::path& path() const;
  /// SHA-256 of the file and of its external data.
  const std::string& hash() const;
  const std::vector<ModelInput>& inputs() const;
  std::vector<std::string> outputs() const;
  std::int64_t opset() const;
  std::string producer() const;
  /// The batch size that the first input declares; nullopt when it is dynamic.
  std::optional<std::int64_t> declared_batch() const;
  const std::vector<UnsupportedNode>& unsupported() const;
  /// Throws UnsupportedError listing them, unless there are none.
  void check_supported() const;

  /// The network for one batch size, not yet canonical. A batch that is open, or has the size that the model
  /// declares, is what the file says. A model that declares a batch of 1 is batched otherwise
  /// (ops/batching.h): each row is what it is alone. A model that declares more runs with other sizes where
  /// it is proven to treat rows apart; else UnsupportedError. Throws InputError when a dynamic axis is not
  /// given or sizes do not fit, UnsupportedError for attributes that are not supported; each error names
  /// file, node and operator.
  Graph specialize(const Specialization& wanted) const;

  struct Contents;

 private:
  std::shared_ptr<const Contents> contents_;
};

}  // namespace heatproof
