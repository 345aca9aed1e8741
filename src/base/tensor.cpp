#include "heatproof/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "heatproof/error.h"

namespace heatproof {

namespace {
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
constexpr std::size_t kAlignment = 64;
}  // namespace

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::i64:
      return 8;
    case DType::boolean:
      return 1;
  }
  return 0;
}

std::string to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::i64:
      return "i64";
    case DType::boolean:
      return "bool";
  }
  return "?";
}

std::int64_t Shape::elements() const {
  std::int64_t n = 1;
  bool empty = false;
  for (std::int64_t d : *this) {
    if (d < 0) throw Error(fmt::format("shape {} has a negative dimension", to_string(*this)));
    empty |= d == 0;
    if (d == 0) continue;  // the product of the others stays in bounds, as strides do
    if (n > kMaxElements / d) throw Error(fmt::format("shape {} is too large", to_string(*this)));
    n *= d;
  }
  return empty ? 0 : n;
}

std::vector<std::int64_t> Shape::strides() const {
  std::vector<std::int64_t> strides(size(), 1);
  for (int i = rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * (*this)[i + 1];
  return strides;
}

std::string to_string(const Shape& shape) {
  constexpr std::size_t kShown = 12;
  if (shape.empty()) return "scalar";
  if (shape.size() > kShown)  // only in messages, which are lines
    return fmt::format("{}x... ({} axes)", fmt::join(std::span(shape).first(kShown / 2), "x"), shape.size());
  return fmt::format("{}", fmt::join(shape, "x"));
}

Shape broadcast(const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape out(rank, 1);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t da = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const std::int64_t db = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (da != db && da != 1 && db != 1) {
      throw Error(fmt::format("shapes {} and {} cannot be broadcast together", to_string(a), to_string(b)));
    }
    out[i] = da == 1 ? db : da;
  }
  return out;
}

Tensor Tensor::empty(DType dtype, Shape shape) {
  Tensor t;
  t.dtype_ = dtype;
  t.elements_ = shape.elements();
  t.shape_ = std::move(shape);
  const std::size_t size =
      std::max<std::size_t>((t.bytes() + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory == nullptr) {
    throw Error(
        fmt::format("out of memory: {} bytes for a tensor of shape {}; use a smaller batch or --memory", size,
                    to_string(t.shape_)));
  }
  t.storage_ = std::shared_ptr<void>(memory, std::free);
  return t;
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor t = empty(dtype, std::move(shape));
  std::memset(t.raw(), 0, t.bytes());
  return t;
}

Tensor Tensor::filled(Shape shape, float value) {
  Tensor t = empty(DType::f32, std::move(shape));
  std::ranges::fill(t.data<float>(), value);
  return t;
}

Tensor Tensor::of(Shape shape, std::span<const float> values) {
  Tensor t = empty(DType::f32, std::move(shape));
  if (values.size() != static_cast<std::size_t>(t.elements()))
    throw Error("Tensor::of: wrong number of values");
  std::ranges::copy(values, t.data<float>().begin());
  return t;
}

Tensor Tensor::of(Shape shape, std::span<const std::int64_t> values) {
  Tensor t = empty(DType::i64, std::move(shape));
  if (values.size() != static_cast<std::size_t>(t.elements()))
    throw Error("Tensor::of: wrong number of values");
  std::ranges::copy(values, t.data<std::int64_t>().begin());
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty(dtype_, shape_);
  std::memcpy(t.raw(), raw(), bytes());
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.elements() != elements_) {
    throw Error(fmt::format("cannot reshape {} to {}", to_string(shape_), to_string(shape)));
  }
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  if (shape_.empty() || begin < 0 || end < begin || end > shape_[0]) {
    throw Error(
        fmt::format("rows {} to {} are outside of a tensor of shape {}", begin, end, to_string(shape_)));
  }
  Tensor t = *this;
  const std::int64_t row = shape_[0] == 0 ? 0 : elements_ / shape_[0];
  t.shape_[0] = end - begin;
  t.elements_ = row * (end - begin);
  char* start = static_cast<char*>(storage_.get()) + static_cast<std::size_t>(row * begin) * size_of(dtype_);
  t.storage_ = std::shared_ptr<void>(storage_, start);
  return t;
}

void Tensor::check_type(std::size_t size, bool floating) const {
  if (size != size_of(dtype_) || floating != (dtype_ == DType::f32)) {
    throw Error(fmt::format("a tensor of {} was read as another element type", to_string(dtype_)));
  }
}

Tensor concatenate(std::span<const Tensor> parts) {
  if (parts.empty()) throw Error("concatenate: nothing to concatenate");
  Shape shape = parts[0].shape();
  if (shape.empty()) throw Error("concatenate: scalars have no axis to stack along");
  shape[0] = 0;
  for (const Tensor& part : parts) {
    Shape tail = part.shape();
    if (tail.size() == shape.size()) tail[0] = shape[0];
    if (tail != shape || part.dtype() != parts[0].dtype())
      throw Error("concatenate: tensors of different shapes");
    shape[0] += part.shape()[0];
  }
  Tensor out = Tensor::empty(parts[0].dtype(), shape);
  char* to = static_cast<char*>(out.raw());
  for (const Tensor& part : parts) {
    std::memcpy(to, part.raw(), part.bytes());
    to += part.bytes();
  }
  return out;
}

}  // namespace heatproof
