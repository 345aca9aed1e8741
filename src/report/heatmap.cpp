#include "report/heatmap.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>

#include "heatproof/error.h"

namespace heatproof::report {

namespace {

struct Colour {
  double r, g, b;
};

/// From blue over white to red, with even steps of lightness on both sides.
Colour diverging(double t) {
  static constexpr Colour kRed[] = {
      {255, 255, 255}, {253, 212, 194}, {246, 133, 99}, {209, 44, 42}, {103, 0, 18}};
  static constexpr Colour kBlue[] = {
      {255, 255, 255}, {205, 225, 240}, {116, 174, 214}, {35, 110, 177}, {8, 40, 95}};
  const Colour* map = t >= 0 ? kRed : kBlue;
  const double position = std::min(1.0, std::fabs(t)) * 4;
  const int k = std::min(3, static_cast<int>(position));
  const double f = position - k;
  return {map[k].r + f * (map[k + 1].r - map[k].r), map[k].g + f * (map[k + 1].g - map[k].g),
          map[k].b + f * (map[k + 1].b - map[k].b)};
}

double scale_of(std::span<const float> relevance) {
  std::vector<float> sizes;
  for (float r : relevance) {
    if (std::isfinite(r)) sizes.push_back(std::fabs(r));
  }
  if (sizes.empty()) return 1;
  const auto k = static_cast<std::ptrdiff_t>(static_cast<double>(sizes.size() - 1) * 0.995);
  std::nth_element(sizes.begin(), sizes.begin() + k, sizes.end());
  const double scale = sizes[static_cast<std::size_t>(k)];
  const double most = *std::ranges::max_element(sizes);
  return scale > 0 ? scale : most > 0 ? most : 1;
}

void put(Picture& picture, std::size_t i, const Colour& c) {
  picture.rgb[3 * i] = static_cast<std::uint8_t>(std::lround(c.r));
  picture.rgb[3 * i + 1] = static_cast<std::uint8_t>(std::lround(c.g));
  picture.rgb[3 * i + 2] = static_cast<std::uint8_t>(std::lround(c.b));
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace

Picture draw_input(std::span<const float> x, int channels, int height, int width,
                   const std::vector<double>& low, const std::vector<double>& high) {
  Picture picture{height, width, {}};
  float least = INFINITY;
  float most = -INFINITY;
  for (const float v : x) {
    if (std::isfinite(v)) least = std::min(least, v), most = std::max(most, v);
  }
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  for (std::size_t i = 0; i < pixels; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const std::size_t channel = channels == 3 ? c : 0;
      const double black = low.empty() ? least : low[low.size() == 1 ? 0 : channel];
      const double white = high.empty() ? most : high[high.size() == 1 ? 0 : channel];
      const double v = white > black ? 255 * (x[channel * pixels + i] - black) / (white - black) : 0;
      picture.rgb.push_back(
          static_cast<std::uint8_t>(std::isfinite(v) ? std::lround(std::clamp(v, 0.0, 255.0)) : 128));
    }
  }
  return picture;
}

Picture draw_heatmap(std::span<const float> relevance, int height, int width) {
  Picture picture{
      height, width,
      std::vector<std::uint8_t>(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3)};
  const double scale = scale_of(relevance);
  for (std::size_t i = 0; i < relevance.size(); ++i) {
    put(picture, i, std::isfinite(relevance[i]) ? diverging(relevance[i] / scale) : Colour{128, 128, 128});
  }
  return picture;
}

Picture draw_overlay(std::span<const float> relevance, const Picture& photo) {
  Picture picture = photo;
  const double scale = scale_of(relevance);
  for (std::size_t i = 0; i < relevance.size(); ++i) {
    const double gray =
        0.75 * (0.299 * photo.rgb[3 * i] + 0.587 * photo.rgb[3 * i + 1] + 0.114 * photo.rgb[3 * i + 2]) + 40;
    if (!std::isfinite(relevance[i])) {
      put(picture, i, {255, 190, 0});  // no colour of evidence, and not the photo as if there were none
      continue;
    }
    const double t = std::clamp(relevance[i] / scale, -1.0, 1.0);
    const Colour c = diverging(0.35 * (t > 0 ? 1 : -1) + 0.5 * t);
    const double alpha = std::min(0.92, 1.5 * std::fabs(t));
    put(picture, i, {gray + alpha * (c.r - gray), gray + alpha * (c.g - gray), gray + alpha * (c.b - gray)});
  }
  return picture;
}

Picture enlarge(const Picture& p, int least) {
  const int factor =
      std::max(1, (least + std::min(p.height, p.width) - 1) / std::max(1, std::min(p.height, p.width)));
  if (factor == 1) return p;
  Picture big{p.height * factor, p.width * factor, {}};
  big.rgb.reserve(p.rgb.size() * static_cast<std::size_t>(factor) * static_cast<std::size_t>(factor));
  for (int y = 0; y < big.height; ++y) {
    for (int x = 0; x < big.width; ++x) {
      const auto from = 3 * (static_cast<std::size_t>(y / factor) * static_cast<std::size_t>(p.width) +
                             static_cast<std::size_t>(x / factor));
      big.rgb.insert(big.rgb.end(), p.rgb.begin() + static_cast<std::ptrdiff_t>(from),
                     p.rgb.begin() + static_cast<std::ptrdiff_t>(from) + 3);
    }
  }
  return big;
}

std::string encode_png(const Picture& p) {
  cv::Mat bgr(p.height, p.width, CV_8UC3);
  for (std::size_t i = 0; i < p.rgb.size(); i += 3) {
    bgr.data[i] = p.rgb[i + 2];
    bgr.data[i + 1] = p.rgb[i + 1];
    bgr.data[i + 2] = p.rgb[i];
  }
  std::vector<std::uint8_t> bytes;
  if (!cv::imencode(".png", bgr, bytes, {cv::IMWRITE_PNG_COMPRESSION, 6}))
    throw Error("a picture could not be encoded as PNG");
  return {bytes.begin(), bytes.end()};
}

std::string data_uri(const Picture& picture) {
  return "data:image/png;base64," + base64(encode_png(picture));
}

}  // namespace heatproof::report
