// Pictures: the same pixels as OpenCV's, limits before memory is taken, damage noticed, nothing printed.
#include "data/image.h"

#include <fmt/format.h>

#include <gtest/gtest.h>
#include <zlib.h>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "base/files.h"
#include "base/random.h"
#include "data/image_formats.h"
#include "data/preprocessing.h"
#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

cv::Mat picture(int height, int width, int type = CV_8UC3) {
  cv::Mat m(height, width, type);
  RandomStream random(5);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width * m.channels(); ++x) {
      const double value = 120 + 90 * std::sin(0.3 * x + 0.2 * y) + 20 * random.uniform();
      if (m.depth() == CV_16U)
        m.ptr<std::uint16_t>(y)[x] = static_cast<std::uint16_t>(value * 257);
      else
        m.ptr(y)[x] = static_cast<std::uint8_t>(value);
    }
  }
  return m;
}

std::string encoded(const std::string& ending, const cv::Mat& m, const std::vector<int>& how = {}) {
  std::vector<std::uint8_t> bytes;
  cv::imencode(ending, m, bytes, how);
  return {bytes.begin(), bytes.end()};
}

std::string big_endian(std::uint32_t value, int size) {
  std::string bytes;
  for (int i = size - 1; i >= 0; --i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

std::string chunk(const std::string& body) {
  const auto check = crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return big_endian(static_cast<std::uint32_t>(body.size()) - 4, 4) + body +
         big_endian(static_cast<std::uint32_t>(check), 4);
}

std::string zipped(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
           bytes.size());
  return out.substr(0, size);
}

/// A grey PNG with chunks before its pixels.
std::string png(std::uint32_t width, std::uint32_t height, const std::string& more = "") {
  const std::string rows =
      width * std::uint64_t{height} < 10000 ? std::string((width + 1) * std::size_t{height}, '\0') : "";
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR" + big_endian(width, 4) + big_endian(height, 4) + std::string("\x08\0\0\0\0", 5)) +
         more + chunk("IDAT" + zipped(rows)) + chunk("IEND");
}

class Image : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  DecodedImage decode(const std::string& bytes, bool grey = false) {
    write_file(folder / "a", bytes);
    return decode_image(folder / "a", grey);
  }
  std::string refusal(const std::string& bytes) {
    ::testing::internal::CaptureStderr();
    std::string what;
    try {
      decode(bytes);
    } catch (const InputError& e) {
      what = e.what();
      what.erase(0, (folder / "a").string().size());
    }
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
    EXPECT_LT(what.size(), 300U);
    EXPECT_EQ(what.find('\n'), std::string::npos);
    return what;
  }
  void expect_as_opencv(const std::string& bytes, const std::string& what) {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    for (const bool grey : {false, true}) {
      const cv::Mat other = cv::imdecode(raw, grey ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
      const cv::Mat own = decode(bytes, grey).pixels;
      ASSERT_EQ(own.size(), other.size()) << what;
      ASSERT_EQ(own.type(), other.type()) << what;
      EXPECT_EQ(cv::norm(own, other, cv::NORM_INF), 0) << what;
    }
  }
};

/// The segment that says how a camera was held.
std::string exif(int orientation) {
  const std::string tiff = "MM" + big_endian(42, 2) + big_endian(8, 4) + big_endian(1, 2) +
                           big_endian(0x0112, 2) + big_endian(3, 2) + big_endian(1, 4) +
                           big_endian(static_cast<std::uint32_t>(orientation), 2) + std::string(6, '\0');
  return std::string("Exif\0\0", 6) + tiff;
}

}  // namespace

TEST_F(Image, PixelsAreThoseOfOpenCV) {
  for (const int type : {CV_8UC1, CV_8UC3, CV_8UC4, CV_16UC1, CV_16UC3, CV_16UC4}) {
    const cv::Mat m = picture(41, 34, type);
    for (const char* ending : {".png", ".jpg", ".tif", ".webp", ".bmp", ".ppm", ".jp2"}) {
      const bool deep = m.depth() == CV_16U;
      if (deep && std::string(ending) != ".png" && std::string(ending) != ".tif") continue;
      if (std::string(ending) == ".ppm" && m.channels() != 3) continue;
      if (std::string(ending) == ".jp2" && m.channels() == 4) continue;
      expect_as_opencv(encoded(ending, m), fmt::format("{} of type {}", ending, type));
    }
  }
  const cv::Mat m = picture(40, 50);
  expect_as_opencv(encoded(".jpg", m, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}), "progressive");
  expect_as_opencv(encoded(".jpg", m, {cv::IMWRITE_JPEG_RST_INTERVAL, 2}), "with restarts");
  expect_as_opencv(encoded(".png", picture(9, 9, CV_8UC1) > 128, {cv::IMWRITE_PNG_BILEVEL, 1}), "one bit");
  // An interlaced palette with transparency.
  const std::string palette = chunk("PLTE" + std::string("\x10\x20\x30\xf0\xe0\xd0", 6)) + chunk("tRNS\x80");
  std::string interlaced =
      "\x89PNG\r\n\x1a\n" +
      chunk("IHDR" + big_endian(8, 4) + big_endian(8, 4) + std::string("\x01\x03\0\0\1", 5)) + palette;
  std::string rows;
  for (const int n : {1, 1, 1, 2, 2, 4, 4}) {
    for (int i = 0; i < n; ++i) rows += std::string(1, '\0') + static_cast<char>(37 * i + n);
  }
  expect_as_opencv(interlaced + chunk("IDAT" + zipped(rows)) + chunk("IEND"), "interlaced palette");
}

TEST_F(Image, CamerasThatWereTurnedAreRespected) {
  const std::string jpeg = encoded(".jpg", picture(16, 24));
  const std::string plain = encoded(".png", picture(16, 24));
  for (int orientation = 0; orientation < 10; ++orientation) {
    const std::string block = exif(orientation);
    const std::string segment =
        "\xff\xe1" + big_endian(static_cast<std::uint32_t>(block.size()) + 2, 2) + block;
    expect_as_opencv(jpeg.substr(0, 2) + segment + jpeg.substr(2), fmt::format("JPEG {}", orientation));
    expect_as_opencv(plain.substr(0, 33) + chunk("eXIf" + block.substr(6)) + plain.substr(33),
                     fmt::format("PNG {}", orientation));
  }
  EXPECT_EQ(exif_orientation(exif(6).substr(6)), 6);
  for (std::size_t n = 0; n + 4 < exif(6).size() - 6; ++n)
    EXPECT_EQ(exif_orientation(exif(6).substr(6, n)), 1) << n;
}

TEST_F(Image, WhatIsCutOffIsRefusedInSilence) {
  const cv::Mat m = picture(34, 36);
  for (const char* ending : {".png", ".jpg", ".tif", ".webp", ".bmp", ".ppm", ".jp2"}) {
    const std::string bytes = encoded(ending, m);
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 200);
    for (std::size_t n = 0; n < bytes.size(); n += step) {
      // A JPEG without its last two bytes has all its pixels, and is read with a warning.
      if (std::string(ending) == ".jpg" && n + 4 > bytes.size()) continue;
      EXPECT_NE(refusal(bytes.substr(0, n)), "") << ending << " of " << n << " bytes";
    }
  }
  const std::string progressive = encoded(".jpg", m, {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  for (std::size_t n = 3; n < progressive.size(); n += 5)
    EXPECT_NE(refusal(progressive.substr(0, n)), "") << n;
}

TEST_F(Image, AnyBytesAreReadOrRefused) {
  const cv::Mat m = picture(33, 33);
  RandomStream random(7);
  for (const char* ending : {".png", ".jpg", ".tif", ".webp", ".bmp", ".ppm", ".jp2"}) {
    const std::string bytes = encoded(ending, m);
    for (int trial = 0; trial < 100; ++trial) {
      std::string damaged = bytes;
      for (int k = 0; k < 3; ++k)
        damaged[random.below(std::min<std::uint64_t>(damaged.size(), 100))] =
            static_cast<char>(random.below(256));
      refusal(damaged);
    }
  }
}

TEST_F(Image, SizesAreRefusedBeforeMemoryIsTaken) {
  EXPECT_NE(refusal(png(0, 0)), "");
  EXPECT_NE(refusal(png(30000, 30000)).find("30000x30000 pixels are too many"), std::string::npos);
  EXPECT_NE(refusal(png(1 << 21, 1)), "");
  std::string bmp = encoded(".bmp", picture(4, 4));
  bmp.replace(18, 8, std::string("\x00\x80\x00\x00\x00\x80\x00\x00", 8));
  EXPECT_NE(refusal(bmp).find("32768x32768 pixels"), std::string::npos);
  bmp.replace(18, 8, std::string("\x00\x20\x00\x00\x00\x20\x00\x00", 8));
  EXPECT_NE(refusal(bmp).find("cut off"), std::string::npos);
  EXPECT_NE(refusal("P6 14000 14000 255\n...").find("cut off"), std::string::npos);
  EXPECT_NE(refusal("P6 99999 99999 255\n...").find("too many"), std::string::npos);
  std::string jpeg = encoded(".jpg", picture(8, 8));
  const std::size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_NE(refusal(jpeg).find("65500x65500 pixels"), std::string::npos);
}

TEST_F(Image, ATiffWithOneImpossibleTileIsRefused) {
  const auto entry = [](int tag, int type, std::uint32_t value) {
    return big_endian(static_cast<std::uint32_t>(tag), 2) + big_endian(static_cast<std::uint32_t>(type), 2) +
           big_endian(1, 4) + (type == 3 ? big_endian(value, 2) + big_endian(0, 2) : big_endian(value, 4));
  };
  const auto tiff = [&](std::uint32_t side, int type) {
    return "MM" + big_endian(42, 2) + big_endian(8, 4) + big_endian(8, 2) + entry(256, type, 64) +
           entry(257, 4, 64) + entry(258, 3, 8) + entry(259, 3, 1) + entry(277, 3, 1) + entry(322, 4, side) +
           entry(323, 4, side) + entry(324, 4, 110) + big_endian(0, 4) + std::string(64, '\0');
  };
  EXPECT_NE(refusal(tiff(60000, 4)).find("GB of memory"), std::string::npos);
  EXPECT_NE(refusal(tiff(64, 2)).find("has type 2"), std::string::npos);
}

TEST_F(Image, TextsOfAPngAreNotUnpacked) {
  const std::string mega = zipped(std::string(7'000'000, 'x'));
  std::string texts;
  for (int i = 0; i < 300; ++i) texts += chunk(std::string("zTXtk\0\0", 7) + mega);
  EXPECT_EQ(decode(png(8, 8, texts)).pixels.rows, 8);
}

TEST_F(Image, AJpegOfThousandsOfScansIsRefused) {
  const std::string bytes = encoded(".jpg", picture(64, 64, CV_8UC1), {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  const std::size_t last = bytes.rfind("\xff\xda");
  std::string many = bytes.substr(0, last);
  const std::string scan = bytes.substr(last, bytes.size() - 2 - last);
  for (int i = 0; i < 3000; ++i) many += scan;
  EXPECT_NE(refusal(many + "\xff\xd9"), "");
}

TEST_F(Image, WhatIsOddButWholeIsReadAndSaid) {
  const std::string jpeg = encoded(".jpg", picture(16, 16));
  const cv::Mat whole = decode(jpeg).pixels;
  EXPECT_EQ(decode(jpeg).oddity, "");
  const std::string cut = jpeg.substr(0, jpeg.size() - 2);
  EXPECT_NE(decode(cut).oddity.find("without its end marker"), std::string::npos);
  EXPECT_EQ(cv::norm(decode(cut).pixels, whole, cv::NORM_INF), 0);
  const std::string padded = cut + std::string(12, '\x01') + "\xff\xd9";
  EXPECT_NE(decode(padded).oddity.find("are none of its picture"), std::string::npos);
  EXPECT_EQ(cv::norm(decode(padded).pixels, whole, cv::NORM_INF), 0);
  std::vector<cv::Mat> pages{picture(8, 8), picture(8, 8)};
  ASSERT_TRUE(cv::imwritemulti((folder / "pages.tif").string(), pages));
  EXPECT_NE(decode(read_file(folder / "pages.tif")).oddity.find("several pages"), std::string::npos);
}

TEST_F(Image, ResizingIsLimitedBeforeMemoryIsTaken) {
  write_file(folder / "thin.png", encoded(".png", picture(1, 4000)));
  Preprocessing p;
  p.resize = 20000;
  EXPECT_THROW(load_photo(folder / "thin.png", p), InputError);  // 80 million columns
  p.resize.reset();
  p.height = p.width = 20000;
  EXPECT_THROW(load_photo(folder / "thin.png", p), InputError);
}

}  // namespace heatproof
