// How photos become the input of a network: the table [input] of MODEL.toml, or the flags of the same names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "heatproof/tensor.h"

namespace heatproof {

struct Preprocessing {
  std::optional<std::int64_t> resize;           // pixels of the shorter side before cropping
  std::optional<std::int64_t> height, width;    // of the centre crop; open: what the network declares
  std::string channels = "rgb";                 // rgb, bgr or gray
  double range = 1;                             // pixel values run from 0 to 1 or to 255
  std::vector<double> mean, std;                // per channel, in that range; empty: 0 and 1
  std::optional<std::filesystem::path> labels;  // file with one label per line
  bool stated = false;                          // somebody gave range, mean or std

  std::int64_t channel_count() const { return channels == "gray" ? 1 : 3; }
  /// Network values of black and of white pixels, per channel of the network.
  std::vector<double> black() const;
  std::vector<double> white() const;
};

/// Reads the table [input] of a .toml file. Throws InputError for unknown keys and wrong types, naming line
/// and key.
Preprocessing read_model_config(const std::filesystem::path& path);

/// Which axes of an input are which: N, C, H, W, or N, H, W, C as Keras has them.
struct ImageAxes {
  std::size_t channels = 1, height = 2, width = 3;
  bool channels_last() const { return channels == 3; }
};
/// Of declared lengths, -1 where open: channels come last where the last axis can be those of an image, and
/// the second cannot.
ImageAxes image_axes(const std::vector<std::int64_t>& dims);

/// Checks what does not depend on images. Throws UsageError.
void check(const Preprocessing& preprocessing);

/// A photo and what the network sees of it.
struct Photo {
  Tensor input;                        // [1, C, H, W]
  std::vector<std::uint8_t> rgb;       // H·W·3: the crop, for display
  std::int64_t height = 0, width = 0;  // before resize and crop
  std::string oddity;                  // what a reader should know of its file; mostly empty
};

/// Pixels [height, width, 3] that need no resizing. Throws Error where their number is another.
Photo photo_of(const std::vector<std::uint8_t>& rgb, std::int64_t height, std::int64_t width,
               const Preprocessing& preprocessing);

/// Decodes (EXIF orientation respected), resizes the shorter side (area interpolation when shrinking), crops
/// the centre. Throws InputError for files that are no images or too large.
Photo load_photo(const std::filesystem::path& path, const Preprocessing& preprocessing);

/// Values of pixels, from 0 to 255, as the network takes them: [1, C, ...] in the network's channels, or
/// [1, ..., C]. Throws UsageError where mean and std are per channel and no axis has as many.
Tensor prepared(const Tensor& pixels, const Preprocessing& preprocessing);

/// A grey picture as 0 and 1 (above half), [H, W].
Tensor read_gray(const std::filesystem::path& path);
/// A mask drawn on a photo, [H, W] of 0 and 1, brought through the photo's resize and crop without
/// interpolation.
Tensor fit_mask(const Tensor& mask, const Preprocessing& preprocessing);

/// Labels of classes: one per line, or `index,label, synonym, ...`.
class Labels {
 public:
  Labels() = default;
  static Labels read(const std::filesystem::path& path);
  /// The label, or the index as text where there is none.
  std::string name(std::int64_t index) const;
  /// The class whose label or synonym is `text` (case-insensitive), or a unique part of one. Throws
  /// UsageError otherwise.
  std::int64_t find(const std::string& text) const;
  bool empty() const { return names_.empty(); }

 private:
  std::vector<std::string> names_;
};

}  // namespace heatproof
