// Dense, row-major arrays: how data enters and leaves heatproof.
//
//   Tensor x = Tensor::zeros(DType::f32, {8, 3, 224, 224});
//   std::span<float> values = x.data<float>();
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace heatproof {

/// Element types. Networks compute in f32; i64 holds indices and shapes; boolean is one byte, 0 or 1.
enum class DType : std::uint8_t { f32, i64, boolean };

/// Bytes of one element.
std::size_t size_of(DType dtype);
std::string to_string(DType dtype);

/// Lengths of the axes, outermost first. A scalar has no axes.
class Shape : public std::vector<std::int64_t> {
 public:
  using std::vector<std::int64_t>::vector;
  Shape(std::initializer_list<std::int64_t> dims) : std::vector<std::int64_t>(dims) {}
  explicit Shape(std::span<const std::int64_t> dims) : std::vector<std::int64_t>(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(size()); }
  /// Number of elements. Throws Error when a dimension is negative or the product exceeds 2^40.
  std::int64_t elements() const;
  /// Row-major strides in elements.
  std::vector<std::int64_t> strides() const;
};

/// "8x3x224x224"; "scalar" without axes.
std::string to_string(const Shape& shape);

/// The shape of the result of numpy broadcasting. Throws Error when the shapes do not fit.
Shape broadcast(const Shape& a, const Shape& b);

/// Dense row-major array with shared storage, 64-byte aligned: copying a Tensor shares its elements, `clone`
/// copies them.
class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(DType dtype, Shape shape);
  static Tensor zeros(DType dtype, Shape shape);
  static Tensor filled(Shape shape, float value);
  static Tensor of(Shape shape, std::span<const float> values);
  static Tensor of(Shape shape, std::span<const std::int64_t> values);
  static Tensor scalar(float value) { return filled({}, value); }

  bool defined() const { return storage_ != nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t elements() const { return elements_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_) * size_of(dtype_); }
  void* raw() { return storage_.get(); }
  const void* raw() const { return storage_.get(); }
  /// Keeps the elements alive.
  const std::shared_ptr<void>& storage() const { return storage_; }

  /// The elements. Throws Error when T is not the element type.
  template <typename T>
  std::span<T> data() {
    check_type(sizeof(T), std::is_floating_point_v<T>);
    return {static_cast<T*>(storage_.get()), static_cast<std::size_t>(elements_)};
  }
  template <typename T>
  std::span<const T> data() const {
    check_type(sizeof(T), std::is_floating_point_v<T>);
    return {static_cast<const T*>(storage_.get()), static_cast<std::size_t>(elements_)};
  }

  Tensor clone() const;
  /// The same elements under another shape with as many elements; storage is shared.
  Tensor reshaped(Shape shape) const;
  /// Rows [begin, end) of the outermost axis; storage is shared.
  Tensor rows(std::int64_t begin, std::int64_t end) const;

 private:
  void check_type(std::size_t size, bool floating) const;

  DType dtype_ = DType::f32;
  Shape shape_;
  std::int64_t elements_ = 0;
  std::shared_ptr<void> storage_;
};

/// Tensors of equal type and tail stacked along the outermost axis. Throws Error when they do not fit.
Tensor concatenate(std::span<const Tensor> parts);

}  // namespace heatproof
