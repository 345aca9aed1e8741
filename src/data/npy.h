// Arrays in NumPy's formats: .npy (versions 1 to 3) and .npz (a zip of them).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/files.h"
#include "heatproof/tensor.h"

namespace heatproof {

/// Reads f2, f4, f8 as f32, integers as i64, booleans; C or Fortran order. Throws InputError naming the file.
Tensor read_npy(const std::filesystem::path& path);
/// The same from memory; `name` is used in errors.
Tensor parse_npy(std::string_view bytes, const std::string& name);
/// Numbers or truth values as f32.
Tensor to_float(const Tensor& tensor);
/// Version 1.0, little-endian, C order.
std::string format_npy(const Tensor& tensor);

/// An array that is read row by row. Throws as read_npy does.
class NpyFile {
 public:
  explicit NpyFile(const std::filesystem::path& path);
  NpyFile(NpyFile&&) noexcept;
  ~NpyFile();

  const Shape& shape() const;
  DType dtype() const;
  /// Whether elements are uint8, as those of pictures are.
  bool bytes() const;
  /// Rows [begin, end) of the outermost axis; safe to call from several threads.
  Tensor rows(std::int64_t begin, std::int64_t end) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes an array part by part: no file before `finish`.
class NpyWriter {
 public:
  /// At most so many rows.
  NpyWriter(const std::filesystem::path& path, std::int64_t most);
  void append(const Tensor& rows);
  void finish();

 private:
  FileWriter file_;
  DType dtype_ = DType::f32;
  Shape shape_;  // of what was appended
  std::int64_t most_;
  std::size_t header_bytes_ = 0;
  std::string held_;  // for pipes, whose header cannot be written last
};

/// All arrays of a zip, stored or deflated, by name without ".npy". Throws InputError for damaged files, and
/// for those that would take far more memory than they have bytes.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);
/// The same, and the names of those whose elements are uint8.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path, std::set<std::string>& bytes);

}  // namespace heatproof
