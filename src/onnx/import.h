// How one node of an .onnx file becomes nodes of a Graph.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "onnx/contents.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

/// One node while it is imported.
struct Importing {
  Builder& g;
  const onnx::NodeProto& node;
  std::vector<Value> inputs;  // invalid where an optional input is absent
  std::int64_t opset;
  std::int64_t batch;     // batch size of the inputs
  std::int64_t declared;  // the one that the model was written for, where it is another; else 0
  const std::filesystem::path& folder;

  std::string name() const {
    return !node.name().empty() ? node.name() : node.output_size() > 0 ? node.output(0) : "";
  }
  bool has(std::size_t i) const { return i < inputs.size() && inputs[i]; }
  /// Throws InputError when the input is absent.
  Value input(std::size_t i) const;
  const Shape& shape(std::size_t i) const { return input(i).shape(); }

  const onnx::AttributeProto* attribute(std::string_view name) const;
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string otherwise) const;
  std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> otherwise = {}) const;

  /// Values of an input that must be known at import; throws UnsupportedError when it depends on the data.
  std::vector<std::int64_t> constant_integers(std::size_t i) const;
  Tensor constant(std::size_t i) const;
  /// The i-th input if it is there, otherwise the attribute (older opsets).
  std::vector<std::int64_t> integers_of(std::size_t i, std::string_view name) const;
  /// Non-negative axis.
  std::int64_t axis(std::int64_t axis, int rank) const;
  std::vector<std::int64_t> axes(std::vector<std::int64_t> axes, int rank) const;

  Value add(const Operator& op, std::vector<Value> in, Attributes attributes = {}) const {
    return g.add(op, std::move(in), std::move(attributes), name());
  }
};

using Importer = std::function<std::vector<Value>(const Importing&)>;
using ImporterTable = std::unordered_map<std::string, Importer>;

// One table per family.
void add_elementwise_importers(ImporterTable& table);
void add_layer_importers(ImporterTable& table);
void add_movement_importers(ImporterTable& table);
void add_shape_importers(ImporterTable& table);
void add_normalization_importers(ImporterTable& table);

const ImporterTable& importers();

}  // namespace heatproof
