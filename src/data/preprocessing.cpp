#include "data/preprocessing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "base/text.h"
#include "data/image.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

double at(const std::vector<double>& values, std::size_t i, double otherwise) {
  return values.empty() ? otherwise : values[values.size() == 1 ? 0 : i];
}

std::vector<double> shade(const Preprocessing& p, double value) {
  std::vector<double> values;
  for (std::size_t c = 0; c < static_cast<std::size_t>(p.channel_count()); ++c) {
    values.push_back((value - at(p.mean, c, 0)) / at(p.std, c, 1));
  }
  return values;
}

float value_of(double pixel, double range, double mean, double std) {
  return static_cast<float>((pixel * (range / 255.0) - mean) / std);
}

/// What a network takes is read whole, as four bytes per value, and so is what is cropped of it.
constexpr std::int64_t kMostInputPixels = std::int64_t{1} << 26;

/// Throws where resizing or cropping would take more than a network's input can have.
void check_fitting(double rows, double cols, double height, double width) {
  if (rows * cols > static_cast<double>(kMostPixels) || rows > kMostSide || cols > kMostSide)
    throw InputError(
        fmt::format("would be resized to {:.0f}x{:.0f} pixels, too many; use a smaller --resize or --size, "
                    "or crop it",
                    cols, rows));
  if (height * width > static_cast<double>(kMostInputPixels))
    throw InputError(
        fmt::format("{:.0f}x{:.0f} pixels are too many for a network's input, at most {} million are fed; "
                    "use --size",
                    width, height, kMostInputPixels >> 20));
}

/// Shorter side to `resize`, then the centre crop; without `resize`, a crop larger than the image scales it
/// up first.
cv::Mat fit(cv::Mat image, const Preprocessing& p, bool mask) {
  const int height = static_cast<int>(p.height.value_or(image.rows));
  const int width = static_cast<int>(p.width.value_or(image.cols));
  // Without a resize the whole image is used: its shorter side becomes the crop's.
  const double wanted =
      p.resize ? static_cast<double>(*p.resize) / std::min(image.rows, image.cols)
               : std::max(static_cast<double>(height) / image.rows, static_cast<double>(width) / image.cols);
  const double least =
      std::max(static_cast<double>(height) / image.rows, static_cast<double>(width) / image.cols);
  const double scale = std::max(wanted, least);
  check_fitting(image.rows * scale, image.cols * scale, height, width);
  if (std::abs(scale - 1) > 1e-9) {
    const int rows = std::max(height, static_cast<int>(std::lround(image.rows * scale)));
    const int cols = std::max(width, static_cast<int>(std::lround(image.cols * scale)));
    const int method = mask ? cv::INTER_NEAREST : scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR;
    cv::resize(image, image, {cols, rows}, 0, 0, method);
  }
  const cv::Rect crop((image.cols - width) / 2, (image.rows - height) / 2, width, height);
  return image(crop).clone();
}

}  // namespace

std::vector<double> Preprocessing::black() const { return shade(*this, 0); }
std::vector<double> Preprocessing::white() const { return shade(*this, range); }

void check(const Preprocessing& p) {
  const auto n = static_cast<std::size_t>(p.channel_count());
  if (p.channels != "rgb" && p.channels != "bgr" && p.channels != "gray")
    throw UsageError(fmt::format("channels = '{}' must be rgb, bgr or gray", abbreviated(p.channels, 100)));
  if (p.range != 1 && p.range != 255) throw UsageError(fmt::format("range = {} must be 1 or 255", p.range));
  for (const auto& [name, values] : {std::pair("mean", p.mean), std::pair("std", p.std)}) {
    if (!values.empty() && values.size() != 1 && values.size() != n)
      throw UsageError(fmt::format("{} has {} values, the network has {} channels", name, values.size(), n));
  }
  if (std::ranges::any_of(p.std, [](double v) { return !(v > 0) || !std::isfinite(v); }))
    throw UsageError("std must be positive and finite");
  for (const auto& values : {p.black(), p.white()}) {
    if (std::ranges::any_of(values, [](double v) { return !(std::fabs(v) <= 1e30); }))
      throw UsageError("mean and std must be numbers that leave pixels finite");
  }
  for (const auto& v : {p.resize, p.height, p.width}) {
    if (v && (*v < 1 || *v > 20000))
      throw UsageError(fmt::format("resize and size must be between 1 and 20000, not {}", *v));
  }
}

Photo photo_of(const std::vector<std::uint8_t>& bytes, std::int64_t height, std::int64_t width,
               const Preprocessing& p) {
  if (static_cast<std::int64_t>(bytes.size()) != height * width * 3)
    throw Error(fmt::format("{} bytes are no {}x{} RGB image", bytes.size(), height, width));
  Photo photo{{}, bytes};
  const cv::Mat rgb(static_cast<int>(height), static_cast<int>(width), CV_8UC3, photo.rgb.data());
  cv::Mat pixels;  // memory of its own: the photo that is shown stays RGB
  if (p.channels == "bgr")
    cv::cvtColor(rgb, pixels, cv::COLOR_RGB2BGR);
  else if (p.channels == "gray")
    cv::cvtColor(rgb, pixels, cv::COLOR_RGB2GRAY);
  else
    pixels = rgb;
  const std::int64_t channels = p.channel_count();
  const std::int64_t size = std::int64_t{pixels.rows} * pixels.cols;
  photo.input = Tensor::empty(DType::f32, {1, channels, pixels.rows, pixels.cols});
  float* out = photo.input.data<float>().data();
  for (std::int64_t c = 0; c < channels; ++c) {
    const double mean = at(p.mean, static_cast<std::size_t>(c), 0);
    const double std = at(p.std, static_cast<std::size_t>(c), 1);
    for (std::int64_t i = 0; i < size; ++i) {
      out[c * size + i] = value_of(pixels.data[i * channels + c], p.range, mean, std);
    }
  }
  return photo;
}

Tensor prepared(const Tensor& pixels, const Preprocessing& p) {
  const Shape& s = pixels.shape();
  const std::size_t per_channel = std::max(p.mean.size(), p.std.size());
  const auto has = [&](std::size_t axis) {
    return axis < s.size() && s[axis] == static_cast<std::int64_t>(per_channel);
  };
  const std::size_t axis = has(1) ? 1 : s.size() - 1;
  if (per_channel > 1 && !has(axis))
    throw UsageError(fmt::format("mean and std have {} values, and pixels of shape {} no such channels",
                                 per_channel, to_string(s)));
  const auto stride = static_cast<std::size_t>(s.strides()[axis]);
  Tensor values = Tensor::empty(DType::f32, s);
  for (std::size_t i = 0; i < values.data<float>().size(); ++i) {
    const std::size_t c = i / stride % static_cast<std::size_t>(s[axis]);
    values.data<float>()[i] = value_of(pixels.data<float>()[i], p.range, at(p.mean, c, 0), at(p.std, c, 1));
  }
  return values;
}

ImageAxes image_axes(const std::vector<std::int64_t>& dims) {
  const auto colours = [](std::int64_t n) { return n == 1 || n == 3; };
  const auto extent = [](std::int64_t n) { return n < 1 || n > 4; };
  if (dims.size() == 4 && colours(dims[3]) && extent(dims[1]) && extent(dims[2])) return {3, 1, 2};
  return {};
}

Photo load_photo(const std::filesystem::path& path, const Preprocessing& p) {
  cv::Mat rgb;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::string oddity;
  {
    DecodedImage image = decode_image(path, false);
    height = image.pixels.rows, width = image.pixels.cols;
    oddity = std::move(image.oddity);
    try {
      cv::cvtColor(fit(image.pixels, p, false), rgb, cv::COLOR_BGR2RGB);
    } catch (const InputError& e) {
      throw InputError(fmt::format("{}: {}", path.string(), e.what()));
    } catch (const cv::Exception& e) {
      if (e.code == cv::Error::StsNoMem)
        throw Error(fmt::format("{}: out of memory while it was resized; scale it down", path.string()));
      throw InputError(fmt::format("{}: cannot be resized; convert it to PNG or JPEG", path.string()));
    }
  }
  Photo photo = photo_of({rgb.datastart, rgb.dataend}, rgb.rows, rgb.cols, p);
  photo.height = height, photo.width = width;
  photo.oddity = std::move(oddity);
  return photo;
}

Tensor read_gray(const std::filesystem::path& path) {
  const DecodedImage image = decode_image(path, true);
  const cv::Mat& gray = image.pixels;
  Tensor mask = Tensor::empty(DType::f32, {gray.rows, gray.cols});
  for (std::int64_t i = 0; i < mask.elements(); ++i)
    mask.data<float>()[static_cast<std::size_t>(i)] = gray.data[i] > 127 ? 1.0F : 0.0F;
  return mask;
}

Tensor fit_mask(const Tensor& mask, const Preprocessing& p) {
  const cv::Mat whole(static_cast<int>(mask.shape()[0]), static_cast<int>(mask.shape()[1]), CV_32F,
                      const_cast<void*>(mask.raw()));
  const cv::Mat fitted = fit(whole, p, true);
  return Tensor::of({fitted.rows, fitted.cols}, std::span(fitted.ptr<const float>(), fitted.total()));
}

}  // namespace heatproof
