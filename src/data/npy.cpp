#include "data/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "data/npy_header.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

using Header = NpyHeader;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw InputError(fmt::format("{}: {}", name, what));
}

float half_to_float(std::uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const float value = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
                      : exponent == 31 ? (mantissa != 0 ? NAN : INFINITY)
                                       : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (h & 0x8000) != 0 ? -value : value;
}

template <typename T>
T load(const char* at, bool swapped) {
  char bytes[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = at[swapped ? sizeof(T) - 1 - i : i];
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

double load_number(const Header& h, const char* at) {
  if (h.kind == 'f') {
    if (h.bytes == 2) return half_to_float(load<std::uint16_t>(at, h.swapped));
    return h.bytes == 4 ? load<float>(at, h.swapped) : load<double>(at, h.swapped);
  }
  if (h.kind == 'u') {
    return h.bytes == 1   ? load<std::uint8_t>(at, h.swapped)
           : h.bytes == 2 ? load<std::uint16_t>(at, h.swapped)
           : h.bytes == 4 ? load<std::uint32_t>(at, h.swapped)
                          : static_cast<double>(load<std::uint64_t>(at, h.swapped));
  }
  return h.bytes == 1   ? load<std::int8_t>(at, h.swapped)
         : h.bytes == 2 ? load<std::int16_t>(at, h.swapped)
         : h.bytes == 4 ? load<std::int32_t>(at, h.swapped)
                        : static_cast<double>(load<std::int64_t>(at, h.swapped));
}

std::int64_t load_integer(const Header& h, const char* at, const std::string& name) {
  if (h.bytes < 8) return static_cast<std::int64_t>(load_number(h, at));
  const auto value = load<std::int64_t>(at, h.swapped);
  if (h.kind == 'u' && value < 0)
    fail(name, fmt::format("value {} is above the largest int64; use smaller numbers",
                           static_cast<std::uint64_t>(value)));
  return value;
}

/// All elements of the header's shape, which start at `data`.
Tensor elements_of(const Header& h, const char* data, const std::string& name) {
  const std::int64_t n = h.shape.elements();
  const DType dtype = h.dtype();
  Tensor t = Tensor::empty(dtype, h.shape);
  if (!h.fortran && !h.swapped && ((h.kind == 'f' && h.bytes == 4) || (h.kind == 'i' && h.bytes == 8))) {
    std::memcpy(t.raw(), data, t.bytes());
    return t;
  }
  const auto strides = h.shape.strides();
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t from = k;
    if (h.fortran) {
      from = 0;
      std::int64_t step = 1;
      for (std::size_t i = 0; i < h.shape.size(); ++i) {
        from += k / strides[i] % h.shape[i] * step;
        step *= h.shape[i];
      }
    }
    const char* at = data + from * h.bytes;
    const auto to = static_cast<std::size_t>(k);
    if (dtype == DType::f32)
      t.data<float>()[to] = static_cast<float>(load_number(h, at));
    else if (dtype == DType::i64)
      t.data<std::int64_t>()[to] = load_integer(h, at, name);
    else
      static_cast<std::uint8_t*>(t.raw())[to] = *at != 0;
  }
  return t;
}

std::string header_of(DType dtype, const Shape& s, std::size_t at_least) {
  const std::string_view type = dtype == DType::f32 ? "<f4" : dtype == DType::i64 ? "<i8" : "|b1";
  const std::string shape = s.size() == 1 ? fmt::format("{},", s[0]) : fmt::format("{}", fmt::join(s, ", "));
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  text.append(63 - (10 + text.size()) % 64, ' ');
  if (11 + text.size() < at_least) text.append(at_least - 11 - text.size(), ' ');
  text += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(text.size() & 255);
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

std::string_view bytes_of(const Tensor& t) { return {static_cast<const char*>(t.raw()), t.bytes()}; }

}  // namespace

Tensor parse_npy(std::string_view bytes, const std::string& name) {
  const Header h = parse_npy_header(bytes, bytes.size(), name);
  return elements_of(h, bytes.data() + h.data, name);
}

struct NpyFile::State {
  std::string name;
  Header header;
  std::optional<FileReader> file;
  Tensor whole;  // of files that have no order of rows, or cannot be read twice
};

NpyFile::NpyFile(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.name = path.filename().string();
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    s.file.emplace(path);
    s.header = parse_npy_header(s.file->read(0, kMostNpyHeader), s.file->size(), s.name);
    if (!s.header.fortran && !s.header.shape.empty()) return;
    s.file.reset();
  }
  const std::string bytes = read_file(path);
  s.header = parse_npy_header(bytes, bytes.size(), s.name);
  s.whole = elements_of(s.header, bytes.data() + s.header.data, s.name);
}
NpyFile::NpyFile(NpyFile&&) noexcept = default;
NpyFile::~NpyFile() = default;

const Shape& NpyFile::shape() const { return state_->header.shape; }
DType NpyFile::dtype() const { return state_->header.dtype(); }
bool NpyFile::bytes() const { return state_->header.pixels(); }

Tensor NpyFile::rows(std::int64_t begin, std::int64_t end) const {
  const State& s = *state_;
  if (s.whole.defined()) return s.whole.rows(begin, end);
  Header part = s.header;
  part.shape[0] = 1;
  const auto row = static_cast<std::size_t>(part.shape.elements() * part.bytes);
  part.shape[0] = end - begin;
  const std::size_t wanted = row * static_cast<std::size_t>(end - begin);
  const std::string bytes = s.file->read(part.data + row * static_cast<std::size_t>(begin), wanted);
  if (bytes.size() < wanted) fail(s.name, "became shorter while it was read");
  return elements_of(part, bytes.data(), s.name);
}

NpyWriter::NpyWriter(const std::filesystem::path& path, std::int64_t most) : file_(path), most_(most) {}

void NpyWriter::append(const Tensor& rows) {
  if (shape_.empty()) {
    dtype_ = rows.dtype();
    shape_ = rows.shape();
    shape_[0] = most_;
    const std::string space = header_of(dtype_, shape_, 0);  // for the final one
    header_bytes_ = space.size();
    shape_[0] = 0;
    if (file_.can_rewrite()) file_.write(space);
  }
  shape_[0] += rows.shape()[0];
  if (file_.can_rewrite())
    file_.write(bytes_of(rows));
  else
    held_ += bytes_of(rows);
}

void NpyWriter::finish() {
  const std::string header = header_of(dtype_, shape_, header_bytes_);
  if (file_.can_rewrite()) {
    file_.rewrite(header);
  } else {
    file_.write(header);
    file_.write(held_);
  }
  file_.commit();
}

Tensor read_npy(const std::filesystem::path& path) {
  return parse_npy(read_file(path), path.filename().string());
}

Tensor to_float(const Tensor& t) {
  if (t.dtype() == DType::f32) return t;
  Tensor f = Tensor::empty(DType::f32, t.shape());
  for (std::int64_t i = 0; i < t.elements(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    f.data<float>()[k] = t.dtype() == DType::i64 ? static_cast<float>(t.data<std::int64_t>()[k])
                                                 : static_cast<const std::uint8_t*>(t.raw())[i];
  }
  return f;
}

std::string format_npy(const Tensor& tensor) {
  return header_of(tensor.dtype(), tensor.shape(), 0).append(bytes_of(tensor));
}

}  // namespace heatproof
