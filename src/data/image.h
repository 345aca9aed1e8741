// Pictures from files: PNG, JPEG, TIFF, WebP, BMP, PNM, PAM, PFM, JPEG 2000, Radiance HDR and Sun rasters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <opencv2/core.hpp>
#include <string>
#include <string_view>

namespace heatproof {

/// More pixels than scanners and whole slides at working magnification have, and within 2 GB while decoding.
constexpr std::int64_t kMostPixels = 200'000'000;
/// Of one side; as OpenCV has it.
constexpr std::int64_t kMostSide = std::int64_t{1} << 20;

struct DecodedImage {
  std::unique_lock<std::mutex> gate;  // held with a large picture: one at a time is in memory
  cv::Mat pixels;                     // 8 bits, BGR or grey, upright
  std::string oddity;  // what a reader should know of a file that could be read nevertheless; mostly empty
};

/// Throws InputError, which names the file, for what is no picture, is damaged or cut off, or takes more
/// memory than the limits above; they are checked before it is taken. Prints nothing.
DecodedImage decode_image(const std::filesystem::path& path, bool grey);

}  // namespace heatproof
