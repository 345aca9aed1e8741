// Arrays in NumPy's formats: .npy (versions 1 to 3) and .npz (a zip of them).
#pragma once

#include <filesystem>
#include <map>
#include <string>

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

/// All arrays of a zip, stored or deflated, by name without ".npy". Throws InputError for damaged or
/// oversized files.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);

}  // namespace heatproof
