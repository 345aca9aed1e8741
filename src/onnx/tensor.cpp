// Tensors of .onnx files: inline, packed or external, converted to the types that graphs have.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <optional>

#include "base/sizes.h"
#include "base/text.h"
#include "heatproof/error.h"
#include "onnx/weights.h"

namespace heatproof {

namespace {

constexpr std::int64_t kMostBytes = std::int64_t{8} << 30;

[[noreturn]] void fail(const onnx::TensorProto& proto, const std::string& what) {
  throw InputError(fmt::format("tensor '{}': {}; the file is damaged, export it again",
                               abbreviated(proto.name()), abbreviated(what, 200)));
}

float from_half(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
  std::uint32_t exponent = (h >> 10) & 0x1fU;
  std::uint32_t mantissa = h & 0x3ffU;
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    exponent = 113;
    while ((mantissa & 0x400U) == 0) {
      mantissa <<= 1;
      --exponent;
    }
    return std::bit_cast<float>(sign | (exponent << 23) | ((mantissa & 0x3ffU) << 13));
  }
  exponent = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (exponent << 23) | (mantissa << 13));
}

float from_bfloat(std::uint16_t b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b) << 16); }

template <typename T, typename F>
void convert_raw(const std::string& raw, std::int64_t n, auto out, F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, raw.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    out[static_cast<std::size_t>(i)] = f(value);
  }
}

std::optional<ElementFormat> format_of(const onnx::TensorProto& proto) {
  using P = onnx::TensorProto;
  switch (proto.data_type()) {
    case P::FLOAT:
      return ElementFormat{DType::f32, 4};
    case P::DOUBLE:
      return ElementFormat{DType::f32, 8};
    case P::FLOAT16:
    case P::BFLOAT16:
      return ElementFormat{DType::f32, 2};
    case P::INT64:
      return ElementFormat{DType::i64, 8};
    case P::INT32:
      return ElementFormat{DType::i64, 4};
    case P::INT16:
    case P::UINT16:
      return ElementFormat{DType::i64, 2};
    case P::INT8:
    case P::UINT8:
      return ElementFormat{DType::i64, 1};
    case P::BOOL:
      return ElementFormat{DType::boolean, 1};
    default:
      return std::nullopt;
  }
}

/// What a number of int32_data may be.
struct Range {
  std::int32_t least, most;
};

Range range_of(const onnx::TensorProto& proto) {
  using P = onnx::TensorProto;
  switch (proto.data_type()) {
    case P::INT8:
      return {INT8_MIN, INT8_MAX};
    case P::UINT8:
      return {0, UINT8_MAX};
    case P::INT16:
      return {INT16_MIN, INT16_MAX};
    case P::UINT16:
      return {0, UINT16_MAX};
    case P::FLOAT16:
    case P::BFLOAT16:  // bits, with or without their sign
      return {INT16_MIN, UINT16_MAX};
    default:
      return {INT32_MIN, INT32_MAX};
  }
}

void from_raw(const onnx::TensorProto& proto, const std::string& raw, Tensor& t) {
  using P = onnx::TensorProto;
  const std::int64_t n = t.elements();
  const auto same = [](auto v) { return v; };
  const auto integer = [](auto v) { return static_cast<std::int64_t>(v); };
  switch (proto.data_type()) {
    case P::FLOAT:
      if (n > 0) std::memcpy(t.raw(), raw.data(), t.bytes());
      break;
    case P::DOUBLE:
      convert_raw<double>(raw, n, t.data<float>(), [](double v) { return static_cast<float>(v); });
      break;
    case P::FLOAT16:
      convert_raw<std::uint16_t>(raw, n, t.data<float>(), from_half);
      break;
    case P::BFLOAT16:
      convert_raw<std::uint16_t>(raw, n, t.data<float>(), from_bfloat);
      break;
    case P::INT64:
      convert_raw<std::int64_t>(raw, n, t.data<std::int64_t>(), same);
      break;
    case P::INT32:
      convert_raw<std::int32_t>(raw, n, t.data<std::int64_t>(), integer);
      break;
    case P::INT16:
      convert_raw<std::int16_t>(raw, n, t.data<std::int64_t>(), integer);
      break;
    case P::UINT16:
      convert_raw<std::uint16_t>(raw, n, t.data<std::int64_t>(), integer);
      break;
    case P::INT8:
      convert_raw<std::int8_t>(raw, n, t.data<std::int64_t>(), integer);
      break;
    case P::UINT8:
      convert_raw<std::uint8_t>(raw, n, t.data<std::int64_t>(), integer);
      break;
    default:  // kernels count on 0 and 1
      convert_raw<std::uint8_t>(raw, n, static_cast<std::uint8_t*>(t.raw()),
                                [](std::uint8_t v) { return static_cast<std::uint8_t>(v != 0); });
      break;
  }
}

/// Narrow types lie in wide fields, which could hold what they cannot.
const google::protobuf::RepeatedField<std::int32_t>& narrow(const onnx::TensorProto& proto) {
  const Range range = range_of(proto);
  for (std::int32_t v : proto.int32_data()) {
    if (v < range.least || v > range.most)
      fail(proto, fmt::format("has a value {}, and its type holds {} to {}", v, range.least, range.most));
  }
  return proto.int32_data();
}

template <typename From, typename To, typename F>
void convert(const onnx::TensorProto& proto, const From& from, const Tensor& t, To* to, F f) {
  if (from.size() != t.elements())
    fail(proto, fmt::format("has {} values, its shape {} needs {}", from.size(), to_string(t.shape()),
                            t.elements()));
  for (int i = 0; i < from.size(); ++i) to[i] = f(from[i]);
}

void from_fields(const onnx::TensorProto& proto, Tensor& t) {
  using P = onnx::TensorProto;
  const auto floats = [](auto v) { return static_cast<float>(v); };
  const auto integers = [](auto v) { return static_cast<std::int64_t>(v); };
  const auto to = static_cast<float*>(t.raw());
  const auto type = proto.data_type();
  if (type == P::FLOAT) {
    convert(proto, proto.float_data(), t, to, floats);
  } else if (type == P::DOUBLE) {
    convert(proto, proto.double_data(), t, to, floats);
  } else if (type == P::BFLOAT16) {
    convert(proto, narrow(proto), t, to, [](auto v) { return from_bfloat(static_cast<std::uint16_t>(v)); });
  } else if (type == P::FLOAT16) {
    convert(proto, narrow(proto), t, to, [](auto v) { return from_half(static_cast<std::uint16_t>(v)); });
  } else if (type == P::INT64) {
    convert(proto, proto.int64_data(), t, static_cast<std::int64_t*>(t.raw()), integers);
  } else if (t.dtype() == DType::i64) {
    convert(proto, narrow(proto), t, static_cast<std::int64_t*>(t.raw()), integers);
  } else {
    convert(proto, narrow(proto), t, static_cast<std::uint8_t*>(t.raw()),
            [](auto v) { return static_cast<std::uint8_t>(v != 0); });
  }
}

}  // namespace

bool is_known(const onnx::TensorProto& proto) { return format_of(proto).has_value(); }

ElementFormat element_format(const onnx::TensorProto& proto) {
  if (const auto format = format_of(proto)) return *format;
  throw UnsupportedError(fmt::format("tensor '{}': element type {} is not supported",
                                     abbreviated(proto.name()), proto.data_type()));
}

std::int64_t data_bytes(const onnx::TensorProto& proto) {
  const std::int64_t element = element_format(proto).bytes;
  std::int64_t n = 1;
  if (proto.dims_size() > kMostAxes) fail(proto, fmt::format("has {} axes", proto.dims_size()));
  for (std::int64_t d : proto.dims()) {
    if (d < 0 || (d > 0 && n > kMostBytes / element / d)) fail(proto, "its shape is negative or too large");
    n *= d;
  }
  return n * element;
}

namespace {

Shape shape_of(const onnx::TensorProto& proto) {
  return Shape(
      std::span<const std::int64_t>(proto.dims().data(), static_cast<std::size_t>(proto.dims_size())));
}

/// Numbers that lie in the message, but for raw_data.
std::int64_t fields_of(const onnx::TensorProto& proto) {
  return std::int64_t{proto.float_data_size()} + proto.double_data_size() + proto.int32_data_size() +
         proto.int64_data_size() + proto.uint64_data_size() + proto.string_data_size();
}

void check_data(const onnx::TensorProto& proto) {
  if (proto.has_segment())
    throw UnsupportedError(fmt::format("tensor '{}': is a segment of a tensor, which is not supported",
                                       abbreviated(proto.name())));
  const bool raw = !proto.raw_data().empty();
  if (raw + (fields_of(proto) > 0) + is_external(proto) > 1)
    fail(proto, "has data in several places, and only one can be right");
}

}  // namespace

Tensor read_tensor(const onnx::TensorProto& proto, const std::string& data) {
  check_data(proto);
  if (static_cast<std::int64_t>(data.size()) != data_bytes(proto))
    fail(proto, fmt::format("has {} bytes of data, its shape {} needs {}", data.size(),
                            to_string(shape_of(proto)), data_bytes(proto)));
  Tensor t = Tensor::empty(element_format(proto).dtype, shape_of(proto));
  from_raw(proto, data, t);
  return t;
}

Tensor read_tensor(const onnx::TensorProto& proto) {
  const ElementFormat format = element_format(proto);
  if (is_external(proto)) fail(proto, "its external data was not read");
  if (proto.has_raw_data() && !(proto.raw_data().empty() && fields_of(proto) > 0))
    return read_tensor(proto, proto.raw_data());
  check_data(proto);
  const std::int64_t n = data_bytes(proto) / format.bytes;
  // Memory is taken only once the data is known to be there.
  if (n > fields_of(proto))
    fail(proto, fmt::format("has no data for its shape {}", to_string(shape_of(proto))));
  Tensor t = Tensor::empty(format.dtype, shape_of(proto));
  from_fields(proto, t);
  return t;
}

}  // namespace heatproof
