// Samples as commands work on them: some of them, decoded.
#pragma once

#include <string>
#include <vector>

#include "heatproof/tensor.h"

namespace heatproof {

struct InputItem {
  std::string name;                    // file name, or "row 3"
  std::string hash;                    // SHA-256 of what the network sees
  std::int64_t height = 0, width = 0;  // of the photo as it is on the disk; 0 for rows of arrays
  std::int64_t place = 0;              // in the folder or the array, among unreadable files, too
  std::int64_t index = 0;              // among the samples that can be read
};

/// A file of a folder that was left out; or one that could be read, but of which a reader should know more.
struct SkippedFile {
  std::string name, reason;
};

struct InputSet {
  std::vector<InputItem> items;
  Tensor inputs;                               // [N, ...]
  std::vector<std::vector<std::uint8_t>> rgb;  // photos only: H·W·3 each
  Tensor masks;                                // [N, H, W] where given

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
};

/// Throws InputError, with `name` and the position, for a value that is not finite; `t` starts at element
/// `first` of what the name stands for.
void check_finite(const Tensor& t, const std::string& name, std::int64_t first = 0);

}  // namespace heatproof
