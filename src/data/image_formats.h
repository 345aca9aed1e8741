// What decode_image is made of. Functions throw InputError without the file's name.
#pragma once

#include <string>
#include <string_view>

#include "data/image.h"

namespace heatproof {

/// Throws for a side or a number of pixels that is out of the limits, or zero.
void check_pixels(std::int64_t width, std::int64_t height);
/// Throws where decoding takes more than this machine's memory should hold for one picture. `bytes`: besides
/// the file and its pixels.
void check_decoding(std::int64_t width, std::int64_t height, std::size_t file, double bytes);

/// Waits until no other large picture is in memory; holds nothing for those that are not.
std::unique_lock<std::mutex> gate_of(std::int64_t width, std::int64_t height);

/// The orientation of an EXIF block that starts with its byte order, 1 to 8; 1 where it has none.
int exif_orientation(std::string_view exif);
/// Turned and mirrored as an orientation says.
cv::Mat upright(const cv::Mat& image, int orientation);

DecodedImage decode_png(std::string_view bytes, bool grey);
DecodedImage decode_jpeg(std::string_view bytes, bool grey);

/// What a file of one of the other formats says of itself before its pixels.
struct ImageHeader {
  std::int64_t width = 0, height = 0;
  double working_bytes = 0;  // that its decoder takes besides file and pixels
  std::string oddity;
};
/// Throws for formats that are not read.
ImageHeader read_image_header(std::string_view bytes);

}  // namespace heatproof
