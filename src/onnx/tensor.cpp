// Tensors of .onnx files: inline, packed or external, converted to the types that graphs have.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <fstream>

#include "heatproof/error.h"
#include "onnx/contents.h"

namespace heatproof {

namespace {

constexpr std::int64_t kMostBytes = std::int64_t{8} << 30;

[[noreturn]] void fail(const onnx::TensorProto& proto, const std::string& what) {
  throw InputError(fmt::format("tensor '{}': {}; the file is damaged, export it again", proto.name(), what));
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

/// The bytes of external data.
std::string external_bytes(const onnx::TensorProto& proto, const std::filesystem::path& folder,
                           std::int64_t bytes) {
  std::int64_t offset = 0;
  std::int64_t length = bytes;
  for (const auto& entry : proto.external_data()) {
    try {
      if (entry.key() == "offset") offset = std::stoll(entry.value());
      if (entry.key() == "length") length = std::stoll(entry.value());
    } catch (const std::exception&) {
      fail(proto, fmt::format("external data has {} = '{}'", entry.key(), entry.value()));
    }
  }
  const std::filesystem::path path = external_file(proto, folder);
  std::error_code error;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (offset < 0 || length != bytes || offset > size || length > size - offset) {
    fail(proto, fmt::format("external data asks for {} bytes at {} of {}, and {} are needed", length, offset,
                            size, bytes));
  }
  std::string data(static_cast<std::size_t>(length), '\0');
  std::ifstream in(path, std::ios::binary);
  in.seekg(offset);
  if (!in.read(data.data(), length))
    fail(proto, fmt::format("cannot read external data '{}'", path.string()));
  return data;
}

template <typename T, typename F>
void convert_raw(const std::string& raw, std::int64_t n, auto out, F f) {
  for (std::int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, raw.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    out[static_cast<std::size_t>(i)] = f(value);
  }
}

struct Format {
  DType dtype;
  int bytes;
};

Format format_of(const onnx::TensorProto& proto) {
  using P = onnx::TensorProto;
  switch (proto.data_type()) {
    case P::FLOAT:
      return {DType::f32, 4};
    case P::DOUBLE:
      return {DType::f32, 8};
    case P::FLOAT16:
    case P::BFLOAT16:
      return {DType::f32, 2};
    case P::INT64:
      return {DType::i64, 8};
    case P::INT32:
      return {DType::i64, 4};
    case P::INT16:
    case P::UINT16:
      return {DType::i64, 2};
    case P::INT8:
    case P::UINT8:
      return {DType::i64, 1};
    case P::BOOL:
      return {DType::boolean, 1};
    default:
      break;
  }
  throw UnsupportedError(
      fmt::format("tensor '{}': element type {} is not supported", proto.name(), proto.data_type()));
}

void from_raw(const onnx::TensorProto& proto, const std::string& raw, Tensor& t) {
  using P = onnx::TensorProto;
  const std::int64_t n = t.elements();
  const auto same = [](auto v) { return v; };
  const auto integer = [](auto v) { return static_cast<std::int64_t>(v); };
  switch (proto.data_type()) {
    case P::FLOAT:
      std::memcpy(t.raw(), raw.data(), t.bytes());
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
    default:
      std::memcpy(t.raw(), raw.data(), t.bytes());
      break;
  }
}

void from_fields(const onnx::TensorProto& proto, Tensor& t) {
  using P = onnx::TensorProto;
  const std::int64_t n = t.elements();
  const auto need = [&](std::int64_t have) {
    if (have != n)
      fail(proto, fmt::format("has {} values, its shape {} needs {}", have, to_string(t.shape()), n));
  };
  for (std::int64_t i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const int j = static_cast<int>(i);
    if (t.dtype() == DType::f32) {
      if (i == 0)
        need(proto.data_type() == P::FLOAT    ? proto.float_data_size()
             : proto.data_type() == P::DOUBLE ? proto.double_data_size()
                                              : proto.int32_data_size());
      t.data<float>()[k] = proto.data_type() == P::FLOAT    ? proto.float_data(j)
                           : proto.data_type() == P::DOUBLE ? static_cast<float>(proto.double_data(j))
                           : proto.data_type() == P::BFLOAT16
                               ? from_bfloat(static_cast<std::uint16_t>(proto.int32_data(j)))
                               : from_half(static_cast<std::uint16_t>(proto.int32_data(j)));
    } else if (t.dtype() == DType::i64) {
      if (i == 0) need(proto.data_type() == P::INT64 ? proto.int64_data_size() : proto.int32_data_size());
      t.data<std::int64_t>()[k] = proto.data_type() == P::INT64 ? proto.int64_data(j) : proto.int32_data(j);
    } else {
      if (i == 0) need(proto.int32_data_size());
      static_cast<std::uint8_t*>(t.raw())[k] = proto.int32_data(j) != 0;
    }
  }
}

}  // namespace

Tensor read_tensor(const onnx::TensorProto& proto, const std::filesystem::path& folder) {
  Shape shape;
  std::int64_t n = 1;
  const Format format = format_of(proto);
  for (std::int64_t d : proto.dims()) {
    if (d < 0 || (d > 0 && n > kMostBytes / format.bytes / d))
      fail(proto, "its shape is negative or too large");
    n *= d;
    shape.push_back(d);
  }
  const std::int64_t bytes = n * format.bytes;
  const bool external = is_external(proto);
  if (!external && proto.has_raw_data() && static_cast<std::int64_t>(proto.raw_data().size()) != bytes) {
    fail(proto, fmt::format("has {} bytes of data, its shape {} needs {}", proto.raw_data().size(),
                            to_string(shape), bytes));
  }
  // Memory is taken only once the data is known to be there.
  if (external) {
    const std::string data = external_bytes(proto, folder, bytes);
    Tensor t = Tensor::zeros(format.dtype, shape);
    from_raw(proto, data, t);
    return t;
  }
  if (!proto.has_raw_data() && n > 0 &&
      n > std::int64_t{proto.float_data_size()} + proto.double_data_size() + proto.int32_data_size() +
              proto.int64_data_size()) {
    fail(proto, fmt::format("has no data for its shape {}", to_string(shape)));
  }
  Tensor t = Tensor::zeros(format.dtype, shape);
  if (proto.has_raw_data()) {
    from_raw(proto, proto.raw_data(), t);
  } else {
    from_fields(proto, t);
  }
  return t;
}

}  // namespace heatproof
