// Data sets whose evidence is known, drawn for a seed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "heatproof/tensor.h"

namespace heatproof {

struct SyntheticOptions {
  std::int64_t size = 64;    // side of the images
  double marked = 1;         // watermark: share of the first class's images that carry the mark
  double marked_others = 0;  // and of the other classes' images
};

/// One image with its evidence; planes are row-major, of size × size pixels.
struct SyntheticImage {
  std::string kind;                // the class's name, for the file's name
  std::int64_t label = 0;          // index of the class
  double value = 0;                // what is to be predicted, for sets without classes
  std::vector<std::uint8_t> rgb;   // 3 bytes a pixel
  std::vector<std::uint8_t> mask;  // 255 on the evidence
  std::vector<std::uint8_t> mark;  // 255 on the watermark; empty for sets without one
  std::vector<float> share;        // of the evidence that each pixel's region has; empty for sets without
};

/// All that a synthetic data set is.
struct SyntheticSet {
  std::string name, about;
  std::vector<std::string> classes;  // empty: a value is to be predicted
  SyntheticImage (*draw)(std::int64_t index, const SyntheticOptions& options, RandomStream& random);
};

const std::vector<SyntheticSet>& synthetic_sets();
/// Throws UsageError naming the nearest.
const SyntheticSet& find_synthetic(const std::string& name);

/// Image `index` of a set; equal arguments give equal images, whatever else is drawn.
SyntheticImage draw_synthetic(const SyntheticSet& set, std::int64_t index, const SyntheticOptions& options,
                              std::uint64_t seed);

/// Writes `count` images to a folder: images/, masks/ and marks/ as PNG; labels.txt and targets.npy (classes
/// in the order of the names), or values.npy; shares.npy. Throws Error where a file cannot be written.
void write_synthetic(const SyntheticSet& set, std::int64_t count, const SyntheticOptions& options,
                     std::uint64_t seed, const std::filesystem::path& folder);

// Drawings: one file each.
SyntheticImage draw_shapes(std::int64_t index, const SyntheticOptions& options, RandomStream& random);
SyntheticImage draw_watermark(std::int64_t index, const SyntheticOptions& options, RandomStream& random);
SyntheticImage draw_patches(std::int64_t index, const SyntheticOptions& options, RandomStream& random);

}  // namespace heatproof
