// The header of .npy files: a Python dictionary with the element type, the order and the shape.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "heatproof/tensor.h"

namespace heatproof {

struct NpyHeader {
  char kind = 'f';  // f, i, u or b, as NumPy writes them
  int bytes = 4;    // of an element
  bool swapped = false;
  bool fortran = false;
  Shape shape;
  std::size_t data = 0;  // offset of the elements

  /// Whether elements are those of pictures, uint8.
  bool pixels() const { return kind == 'u' && bytes == 1; }
  DType dtype() const { return kind == 'f' ? DType::f32 : kind == 'b' ? DType::boolean : DType::i64; }
};

/// Bytes of a file that hold every header that is read.
constexpr std::size_t kMostNpyHeader = (std::size_t{1} << 16) + 12;

/// Of the start of a file, at least `kMostNpyHeader` bytes where it has as many; `size`: of the whole file,
/// which must hold the elements and nothing else. Throws InputError, which begins with `name`, for damaged
/// headers, and for elements that are no numbers or truth values.
NpyHeader parse_npy_header(std::string_view bytes, std::size_t size, const std::string& name);

}  // namespace heatproof
