// How one node of an .onnx file becomes nodes of a Graph.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "onnx/contents.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

/// What an importer looked at. What a node says and nobody looked at would be ignored in silence, so that the
/// node is refused.
struct Asked {
  std::set<std::string, std::less<>> attributes;
  std::set<std::size_t> inputs;
};

/// One node while it is imported.
struct Importing {
  Builder& g;
  const onnx::NodeProto& node;
  std::vector<Value> inputs;  // invalid where an optional input is absent
  std::int64_t opset;
  std::int64_t batch;     // batch size of the inputs
  std::int64_t declared;  // the one that the model was written for, where it is another; else 0
  Asked& asked;

  std::string name() const { return name_of(node); }
  bool has(std::size_t i) const {
    asked.inputs.insert(i);
    return i < inputs.size() && inputs[i];
  }
  /// Throws InputError when the input is absent.
  Value input(std::size_t i) const;
  const Shape& shape(std::size_t i) const { return input(i).shape(); }

  /// Throws InputError where it is of another type, which would be read as zero.
  const onnx::AttributeProto* attribute(std::string_view name, int type = 0) const;
  /// Attributes that change no result: how statistics of training are kept, seeds.
  void harmless(std::initializer_list<std::string_view> names) const;
  /// Throws UnsupportedError for an attribute or an input that the importer did not look at.
  void check_asked() const;
  /// Throws UnsupportedError where integers or truth values that depend on the data would be computed with:
  /// kernels read numbers of single precision. They may be moved. Throws InputError for an input without
  /// elements, other than a list of integers.
  void check_numbers() const;
  /// Whether a result may be used: what was computed with integers must be known now.
  bool is_sound(const Value& result) const;
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  /// Throws InputError where it is missing.
  std::int64_t required_integer(std::string_view name) const;
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string otherwise) const;
  /// One of `known`, the first where it is missing. Throws UnsupportedError for another.
  std::string word(std::string_view name, std::initializer_list<std::string_view> known) const;
  std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> otherwise = {}) const;

  /// Values of an input that must be known at import; throws UnsupportedError when it depends on the data.
  std::vector<std::int64_t> constant_integers(std::size_t i) const;
  Tensor constant(std::size_t i) const;
  /// A constant of one element. Throws InputError where there are more, or none.
  double constant_number(std::size_t i) const;
  /// The same of integers.
  std::int64_t constant_integer(std::size_t i) const;
  /// The i-th input if it is there, otherwise the attribute (older opsets).
  std::vector<std::int64_t> integers_of(std::size_t i, std::string_view name) const;
  /// Non-negative axis; axes that differ.
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
