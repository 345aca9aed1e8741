// The set `patches`: two kinds of evidence of known weight.
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "data/synthetic.h"
#include "data/synthetic_drawing.h"

namespace heatproof {

namespace {

constexpr double kFirstWeight = 2;  // of the chequered patch; the striped one counts 1

/// Adds a pattern of ±1 times `depth` to a square.
template <typename Pattern>
void add(cv::Mat& image, const cv::Rect& place, double depth, Pattern pattern) {
  for (int y = 0; y < place.height; ++y) {
    for (int x = 0; x < place.width; ++x) {
      for (int c = 0; c < 3; ++c)
        image.at<cv::Vec3f>(place.y + y, place.x + x)[c] += static_cast<float>(depth * pattern(x, y));
    }
  }
}

cv::Rect somewhere(int size, int side, RandomStream& random) {
  const auto room = static_cast<std::uint64_t>(size - side);
  return {static_cast<int>(random.below(room)), static_cast<int>(random.below(room)), side, side};
}

}  // namespace

SyntheticImage draw_patches(std::int64_t, const SyntheticOptions& options, RandomStream& random) {
  const int size = static_cast<int>(options.size);
  const int side = size / 4;
  const int cell = std::max(1, side / 8);
  cv::Mat image = drawing::background(size, random) * 0.5 + cv::Scalar::all(64);
  const cv::Rect first = somewhere(size, side, random);
  cv::Rect second = somewhere(size, side, random);
  while ((first & second).area() > 0) second = somewhere(size, side, random);
  const double a = random.uniform(0.3, 1);
  const double b = random.uniform(0.3, 1);
  add(image, first, 60 * a, [&](int x, int y) { return (x / cell + y / cell) % 2 == 0 ? 1 : -1; });
  add(image, second, 60 * b, [&](int, int y) { return y / cell % 2 == 0 ? 1 : -1; });
  SyntheticImage result;
  result.kind = "patches";
  result.value = kFirstWeight * a + b;
  result.rgb = drawing::rgb_bytes(image);
  const auto pixels = static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  result.mask.assign(pixels, 0);
  result.share.assign(pixels, 0);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const auto k = static_cast<std::size_t>(y * size + x);
      const double evidence = first.contains({x, y}) ? kFirstWeight * a : second.contains({x, y}) ? b : 0;
      result.share[k] = static_cast<float>(evidence / result.value);
      result.mask[k] = evidence > 0 ? 255 : 0;
    }
  }
  return result;
}

}  // namespace heatproof
