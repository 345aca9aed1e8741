#include "onnx/import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/sizes.h"
#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof {

Value Importing::input(std::size_t i) const {
  if (!has(i)) throw InputError(fmt::format("input {} is missing", i));
  return inputs[i];
}

const onnx::AttributeProto* Importing::attribute(std::string_view wanted, int type) const {
  asked.attributes.emplace(wanted);
  for (const auto& a : node.attribute()) {
    if (a.name() != wanted) continue;
    if (!a.ref_attr_name().empty())
      throw UnsupportedError(fmt::format("attribute {} belongs to a function; inline it", wanted));
    if (type != 0 && a.type() != onnx::AttributeProto::UNDEFINED && a.type() != type)
      throw InputError(fmt::format(
          "attribute {} is of type {}, and {} is needed; export the model again", wanted,
          onnx::AttributeProto::AttributeType_Name(a.type()),
          onnx::AttributeProto::AttributeType_Name(static_cast<onnx::AttributeProto::AttributeType>(type))));
    return &a;
  }
  return nullptr;
}

void Importing::harmless(std::initializer_list<std::string_view> names) const {
  for (std::string_view each : names) asked.attributes.emplace(each);
}

void Importing::check_asked() const {
  // In which precision something is computed in between: heatproof has one.
  harmless({"stash_type"});
  std::unordered_set<std::string_view> names;
  for (const auto& a : node.attribute()) {
    if (!names.insert(a.name()).second)
      throw InputError(
          fmt::format("attribute {} is there twice; export the model again", abbreviated(a.name())));
    if (!asked.attributes.contains(a.name()))
      throw UnsupportedError(
          fmt::format("attribute {} is not supported, and ignoring it could change the result; export the "
                      "model without it",
                      abbreviated(a.name())));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] && !asked.inputs.contains(i))
      throw UnsupportedError(
          fmt::format("input {} ('{}') is not supported, and ignoring it could change the result; export the "
                      "model without it",
                      i, abbreviated(node.input(static_cast<int>(i)))));
  }
}

namespace {

bool moves(std::string_view op) {
  static const std::set<std::string, std::less<>> movers{
      "Identity", "Reshape", "Flatten", "Squeeze",      "Unsqueeze",    "Transpose", "Slice", "Split",
      "Concat",   "Expand",  "Gather",  "DepthToSpace", "SpaceToDepth", "Tile",      "Cast",  "Where"};
  return movers.contains(op);
}

/// Operators that read all their operands as numbers of single precision.
bool takes_numbers(std::string_view op) {
  static const std::set<std::string, std::less<>> takers{"Conv",
                                                         "ConvTranspose",
                                                         "Gemm",
                                                         "MatMul",
                                                         "MaxPool",
                                                         "AveragePool",
                                                         "GlobalAveragePool",
                                                         "GlobalMaxPool",
                                                         "BatchNormalization",
                                                         "InstanceNormalization",
                                                         "GroupNormalization",
                                                         "LayerNormalization",
                                                         "PRelu",
                                                         "Softmax",
                                                         "LogSoftmax"};
  return takers.contains(op);
}

bool is_unknown_integer(const Value& v) { return v && v.dtype() != DType::f32 && !v.is(kConstant); }

}  // namespace

void Importing::check_numbers() const {
  if (moves(node.op_type()) || node.op_type() == "Shape" || node.op_type() == "Size") return;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool list = inputs[i] && inputs[i].dtype() == DType::i64 && inputs[i].is(kConstant);
    if (inputs[i] && !list && sizes::is_empty(inputs[i].shape()))
      throw InputError(
          fmt::format("input {} ('{}') has no elements (shape {}), and nothing can be computed with it; "
                      "export the model with the values that belong there",
                      i, node.input(static_cast<int>(i)), to_string(inputs[i].shape())));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] && inputs[i].dtype() != DType::f32 && takes_numbers(node.op_type()))
      throw UnsupportedError(
          fmt::format("input {} ('{}') holds integers or truth values, and only numbers are computed with; "
                      "export the model with floating-point values",
                      i, node.input(static_cast<int>(i))));
    if (is_unknown_integer(inputs[i]))
      throw UnsupportedError(fmt::format(
          "input {} holds integers or truth values that depend on the data; only numbers are computed with",
          i));
  }
}

bool Importing::is_sound(const Value& result) const {
  return moves(node.op_type()) || !is_unknown_integer(result);
}

std::int64_t Importing::integer(std::string_view wanted, std::int64_t otherwise) const {
  const auto* a = attribute(wanted, onnx::AttributeProto::INT);
  return a != nullptr ? a->i() : otherwise;
}

std::int64_t Importing::required_integer(std::string_view wanted) const {
  if (attribute(wanted) == nullptr)
    throw InputError(fmt::format("attribute {} is missing; export the model again", wanted));
  return integer(wanted, 0);
}

double Importing::number(std::string_view wanted, double otherwise) const {
  const auto* a = attribute(wanted, onnx::AttributeProto::FLOAT);
  if (a != nullptr && std::isnan(a->f()))
    throw InputError(fmt::format("attribute {} is NaN, which is no number; export the model again", wanted));
  return a != nullptr ? static_cast<double>(a->f()) : otherwise;
}

std::string Importing::text(std::string_view wanted, std::string otherwise) const {
  const auto* a = attribute(wanted, onnx::AttributeProto::STRING);
  return a != nullptr ? a->s() : otherwise;
}

std::string Importing::word(std::string_view wanted, std::initializer_list<std::string_view> known) const {
  std::string given = text(wanted, std::string(*known.begin()));
  if (std::ranges::find(known, given) == known.end())
    throw UnsupportedError(fmt::format("{} = '{}' is not supported; known are {}", wanted,
                                       abbreviated(given, 40), fmt::join(known, ", ")));
  return given;
}

std::vector<std::int64_t> Importing::integers(std::string_view wanted,
                                              std::vector<std::int64_t> otherwise) const {
  const auto* a = attribute(wanted, onnx::AttributeProto::INTS);
  return a != nullptr ? std::vector<std::int64_t>(a->ints().begin(), a->ints().end()) : otherwise;
}

Tensor Importing::constant(std::size_t i) const {
  const Value v = input(i);
  if (v.is(kConstant)) return v.node().constant;
  if (v.is(kFill)) {
    Tensor filled = g.computed(DType::f32, v.shape());
    std::ranges::fill(filled.data<float>(), static_cast<float>(v.attributes().number("value", 0)));
    return filled;
  }
  if (v.constant())
    throw UnsupportedError(
        fmt::format("input {} of shape {} is computed from constants, but too large to be known while the "
                    "network is read; store it as a weight",
                    i, to_string(v.shape())));
  throw UnsupportedError(fmt::format("input {} depends on the data; only constants are supported there", i));
}

double Importing::constant_number(std::size_t i) const {
  if (input(i).shape().elements() != 1)
    throw InputError(
        fmt::format("input {} has {} elements where one is needed", i, input(i).shape().elements()));
  const Tensor t = constant(i);
  return t.dtype() == DType::f32   ? static_cast<double>(t.data<float>()[0])
         : t.dtype() == DType::i64 ? static_cast<double>(t.data<std::int64_t>()[0])
                                   : *static_cast<const std::uint8_t*>(t.raw());
}

std::int64_t Importing::constant_integer(std::size_t i) const {
  constant_number(i);
  return constant_integers(i)[0];
}

std::vector<std::int64_t> Importing::constant_integers(std::size_t i) const {
  const Tensor t = constant(i);
  if (t.dtype() == DType::f32) {
    std::vector<std::int64_t> values;
    for (float v : t.data<float>()) values.push_back(sizes::whole(v));
    return values;
  }
  if (t.dtype() != DType::i64) throw UnsupportedError(fmt::format("input {} must be integers", i));
  return {t.data<std::int64_t>().begin(), t.data<std::int64_t>().end()};
}

std::vector<std::int64_t> Importing::integers_of(std::size_t i, std::string_view attribute_name) const {
  return has(i) ? constant_integers(i) : integers(attribute_name);
}

std::int64_t Importing::axis(std::int64_t a, int rank) const {
  if (a < -rank || a >= rank) throw InputError(fmt::format("axis {} of a value with {} axes", a, rank));
  return a < 0 ? a + rank : a;
}

std::vector<std::int64_t> Importing::axes(std::vector<std::int64_t> list, int rank) const {
  for (std::int64_t& a : list) a = axis(a, rank);
  if (std::set(list.begin(), list.end()).size() != list.size())
    throw InputError(fmt::format("axes {} name one twice", sizes::text(list)));
  return list;
}

const ImporterTable& importers() {
  static const ImporterTable table = [] {
    ImporterTable t;
    add_elementwise_importers(t);
    add_layer_importers(t);
    add_movement_importers(t);
    add_shape_importers(t);
    add_normalization_importers(t);
    return t;
  }();
  return table;
}

}  // namespace heatproof
