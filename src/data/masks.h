// Masks of the true evidence, for metrics of localisation.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "data/input_source.h"

namespace heatproof {

/// Where the masks of the inputs are; they are read with them. A mask has its photo's size, and goes through
/// the same resize and crop without interpolation; or it has the network's size, and stays. What is above
/// half (PNG) or above 0 (array) is evidence.
class Masks {
 public:
  /// None.
  Masks() = default;
  /// From an array [N, H, W], or a folder of PNGs or arrays [H, W] named like the inputs (NAME.png,
  /// NAME.npy); one picture is the mask of one photo. Throws InputError for an array of another shape.
  static Masks at(const std::filesystem::path& path, const InputSource& inputs);
  /// From files beside the inputs, with endings .png or .npy: NAME.mask.png, masks/NAME.png in the photos'
  /// folder or next to it; INPUT.mask.npy for an array. None where no input has one.
  static Masks beside(const InputSource& inputs);

  explicit operator bool() const { return array_ || find_; }
  /// Reads those of the samples, if there are any. Throws InputError where one is missing, empty, or of
  /// another size.
  void read(InputSet& set) const;

 private:
  using Find = std::function<std::filesystem::path(const std::string& name)>;

  /// Rows of an array, which must be as many as the inputs.
  static Masks from_array(const std::filesystem::path& path, const InputSource& inputs);

  std::shared_ptr<const NpyFile> array_;
  Find find_;           // throws where there is no mask
  std::string source_;  // of an array, for errors
  Preprocessing preprocessing_;
};

}  // namespace heatproof
