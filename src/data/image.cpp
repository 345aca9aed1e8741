#include "data/image.h"

#include <fmt/format.h>

#include <iostream>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

#include "base/files.h"
#include "data/image_formats.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// For file, pixels and what the decoder takes.
constexpr double kMostDecodingBytes = 1.75 * 1024 * 1024 * 1024;
/// Pictures above are decoded one at a time: many threads would take the memory of many.
constexpr std::int64_t kAlone = std::int64_t{16} << 20;

/// Keeps what OpenCV writes to std::cerr when a file is damaged from the terminal, while any thread decodes.
class Quiet {
 public:
  Quiet() {
    const std::lock_guard lock(mutex());
    if (count()++ == 0) before() = std::cerr.rdbuf(&nowhere());
  }
  ~Quiet() {
    const std::lock_guard lock(mutex());
    if (--count() > 0) return;
    std::cerr.rdbuf(before());
    std::cerr.clear();
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  struct Nowhere : std::streambuf {
    int overflow(int c) override { return c == EOF ? 0 : c; }
  };
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static int& count() {
    static int n = 0;
    return n;
  }
  static std::streambuf*& before() {
    static std::streambuf* b = nullptr;
    return b;
  }
  static Nowhere& nowhere() {
    static Nowhere n;
    return n;
  }
};

DecodedImage decode_otherwise(std::string_view bytes, bool grey) {
  const ImageHeader header = read_image_header(bytes);
  check_pixels(header.width, header.height);
  check_decoding(header.width, header.height, bytes.size(), header.working_bytes);
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  auto gate = gate_of(header.width, header.height);
  const Quiet quiet;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    cv::Mat image = cv::imdecode(raw, grey ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
    if (!image.empty()) return {std::move(gate), image, header.oddity};
  } catch (const cv::Exception&) {
    // says where in OpenCV
  }
  throw InputError("the picture is damaged, or of a kind that cannot be read; convert it to PNG or JPEG");
}

DecodedImage decode(std::string_view bytes, bool grey) {
  if (bytes.empty()) throw InputError("is empty; give a PNG, JPEG or .npy file");
  if (bytes.size() > static_cast<std::size_t>(kMostDecodingBytes))
    throw InputError(fmt::format("has {} MB, too many for a picture; scale it down", bytes.size() >> 20));
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(bytes, grey);
  if (bytes.starts_with("\xff\xd8\xff")) return decode_jpeg(bytes, grey);
  return decode_otherwise(bytes, grey);
}

}  // namespace

void check_pixels(std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1)
    throw InputError("the picture is damaged: its header claims no pixels; save it again");
  if (width > kMostSide || height > kMostSide || width > kMostPixels / height)
    throw InputError(fmt::format("{}x{} pixels are too many, at most {} million are read; scale it down",
                                 width, height, kMostPixels / 1'000'000));
}

void check_decoding(std::int64_t width, std::int64_t height, std::size_t file, double bytes) {
  const double needed = static_cast<double>(file) + 3.0 * static_cast<double>(width * height) + bytes;
  if (needed > kMostDecodingBytes)
    throw InputError(
        fmt::format("decoding its {}x{} pixels would take {:.1f} GB of memory, more than {:.2f}; "
                    "scale it down, or save it as a PNG",
                    width, height, needed / (1 << 30), kMostDecodingBytes / (1 << 30)));
}

std::unique_lock<std::mutex> gate_of(std::int64_t width, std::int64_t height) {
  static std::mutex gate;
  return width * height > kAlone ? std::unique_lock(gate) : std::unique_lock<std::mutex>();
}

int exif_orientation(std::string_view exif) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(exif[i]));
  };
  if (exif.size() < 8 || exif[0] != exif[1]) return 1;
  const bool little = exif[0] == 'I';
  const auto number = [&](std::size_t at, std::size_t size) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | byte(at + (little ? size - 1 - i : i));
    return value;
  };
  if (number(2, 2) != 42) return 1;
  const std::size_t first = number(4, 4);
  if (first + 2 > exif.size()) return 1;
  const std::size_t entries = number(first, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = first + 2 + i * 12;
    if (entry + 12 > exif.size()) return 1;
    const std::size_t tag = number(entry, 2);
    // A description, maker or model that lies outside ends the reading, as OpenCV has it.
    const std::size_t length = number(entry + 4, 4);
    if (tag >= 0x010e && tag <= 0x0110 && length > 4 && number(entry + 8, 4) + length > exif.size()) return 1;
    if (tag != 0x0112) continue;
    const std::size_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

cv::Mat upright(const cv::Mat& image, int orientation) {
  constexpr int kNone = 2;
  constexpr int kFlips[] = {kNone, kNone, 1, -1, 0, kNone, 1, -1, 0};
  cv::Mat turned = image;
  if (orientation > 4) cv::transpose(image, turned);
  if (kFlips[orientation] != kNone) cv::flip(turned, turned, kFlips[orientation]);
  return turned;
}

DecodedImage decode_image(const std::filesystem::path& path, bool grey) {
  const std::string bytes = read_file(path);
  try {
    return decode(bytes, grey);
  } catch (const cv::Exception&) {
    throw Error(fmt::format("{}: out of memory while it was decoded; scale it down", path.string()));
  } catch (const InputError& e) {
    throw InputError(fmt::format("{}: {}", path.string(), e.what()));
  }
}

}  // namespace heatproof
