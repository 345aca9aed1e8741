// What INPUT on the command line stands for: a photo, a folder of photos, or an array.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/preprocessing.h"

namespace heatproof {

struct InputItem {
  std::string name;                    // file name, or "row 3"
  std::string hash;                    // SHA-256 of what the network sees
  std::int64_t height = 0, width = 0;  // of the photo as it is on the disk; 0 for rows of arrays
};

struct SkippedFile {
  std::string name, reason;
};

/// All samples, decoded. Photos are loaded in parallel; the order is that of the names.
struct InputSet {
  std::vector<InputItem> items;
  Tensor inputs;                               // [N, ...]
  std::vector<std::vector<std::uint8_t>> rgb;  // photos only: H·W·3 each
  std::vector<SkippedFile> skipped;            // unreadable files of a folder
  Tensor masks;                                // [N, H, W] where given

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
};

/// Throws InputError when nothing can be read; a folder's unreadable files are skipped with their reasons.
/// `most`: at most so many samples (0: all). `expected`: the shape that the network declares, batch first, -1
/// where open.
InputSet load_inputs(const std::filesystem::path& path, const Preprocessing& preprocessing,
                     const std::vector<std::int64_t>& expected, std::int64_t most = 0);

/// Throws InputError, with `name` and the position, for a value that is not finite.
void check_finite(const Tensor& t, const std::string& name);

}  // namespace heatproof
