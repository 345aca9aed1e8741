// What INPUT on the command line stands for: a photo, a folder of photos, or an array. Nothing is held in
// memory; input_stream.h reads it in order.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/input_set.h"
#include "data/npy.h"
#include "data/preprocessing.h"

namespace heatproof {

/// One sample: `input` is [1, ...], `rgb` the crop of a photo.
struct LoadedInput {
  InputItem item;
  Tensor input;
  std::vector<std::uint8_t> rgb;
  std::string oddity;  // of a photo, see Photo
};

class InputSource {
 public:
  /// `most`: at most so many files or rows (0: all). `expected`: the shape that the network declares, batch
  /// first, -1 where open. Throws InputError where there is nothing to read, or an array of another shape.
  InputSource(const std::filesystem::path& path, const Preprocessing& preprocessing,
              const std::vector<std::int64_t>& expected, std::int64_t most = 0);

  const std::filesystem::path& path() const { return path_; }
  const Preprocessing& preprocessing() const { return preprocessing_; }
  /// True for photos, of which unreadable ones are skipped; false for an array.
  bool photos() const { return rows_ == nullptr; }
  /// True for arrays of uint8, which are prepared as the pixels of photos are where somebody said how.
  bool pixels() const;
  /// Files or rows that there are, in the order of their names; some of the files may turn out to be
  /// unreadable.
  std::int64_t places() const;
  std::string name(std::int64_t place) const;
  /// Where a photo is; the array's path.
  const std::filesystem::path& file(std::int64_t place) const;
  /// Lets arrays hold NaN and infinities, which are refused otherwise.
  void allow_nonfinite() { finite_ = false; }
  /// How many samples can be read. Reads all photos once to find out.
  std::int64_t count() const;
  /// About how many bytes a sample takes.
  std::int64_t sample_bytes() const;

  /// Decodes and hashes one. Throws InputError; safe to call from several threads.
  LoadedInput load(std::int64_t place) const;
  /// Throws InputError where a sample's shape is not what the network declares.
  void check_shape(const Shape& shape) const;

 private:
  struct Rows;

  void open_array(std::int64_t most);
  LoadedInput load_row(std::int64_t row) const;

  std::filesystem::path path_;
  Preprocessing preprocessing_;
  std::vector<std::int64_t> expected_;
  std::vector<std::filesystem::path> files_;  // of photos
  std::shared_ptr<const Rows> rows_;          // of an array
  bool finite_ = true;
  mutable std::int64_t count_ = -1;  // -1: not known yet
};

}  // namespace heatproof
