#include "onnx/import.h"

#include <fmt/format.h>

#include "heatproof/error.h"

namespace heatproof {

Value Importing::input(std::size_t i) const {
  if (!has(i)) throw InputError(fmt::format("input {} is missing", i));
  return inputs[i];
}

const onnx::AttributeProto* Importing::attribute(std::string_view wanted) const {
  for (const auto& a : node.attribute()) {
    if (a.name() == wanted) return &a;
  }
  return nullptr;
}

std::int64_t Importing::integer(std::string_view wanted, std::int64_t otherwise) const {
  const auto* a = attribute(wanted);
  return a != nullptr ? a->i() : otherwise;
}

double Importing::number(std::string_view wanted, double otherwise) const {
  const auto* a = attribute(wanted);
  return a != nullptr ? static_cast<double>(a->f()) : otherwise;
}

std::string Importing::text(std::string_view wanted, std::string otherwise) const {
  const auto* a = attribute(wanted);
  return a != nullptr ? a->s() : otherwise;
}

std::vector<std::int64_t> Importing::integers(std::string_view wanted,
                                              std::vector<std::int64_t> otherwise) const {
  const auto* a = attribute(wanted);
  return a != nullptr ? std::vector<std::int64_t>(a->ints().begin(), a->ints().end()) : otherwise;
}

Tensor Importing::constant(std::size_t i) const {
  const Value v = input(i);
  if (v.is(kConstant)) return v.node().constant;
  if (v.is(kFill)) return Tensor::filled(v.shape(), static_cast<float>(v.attributes().number("value", 0)));
  throw UnsupportedError(fmt::format("input {} depends on the data; only constants are supported there", i));
}

std::vector<std::int64_t> Importing::constant_integers(std::size_t i) const {
  const Tensor t = constant(i);
  if (t.dtype() == DType::f32) {
    std::vector<std::int64_t> values;
    for (float v : t.data<float>()) values.push_back(static_cast<std::int64_t>(v));
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
