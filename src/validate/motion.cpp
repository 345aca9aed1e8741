#include "validate/motion.h"

#include <fmt/format.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr double kDegrees = 2;
constexpr double kDarkening = 0.03;

void warp(std::span<const float> x, const Shape& s, const cv::Mat& matrix, int interpolation,
          std::span<float> to) {
  const int height = static_cast<int>(s[2]);
  const int width = static_cast<int>(s[3]);
  const auto pixels = static_cast<std::size_t>(s[2] * s[3]);
  std::vector<float> from(x.begin(), x.end());
  for (std::size_t offset = 0; offset < x.size(); offset += pixels) {
    const cv::Mat in(height, width, CV_32F, from.data() + offset);
    cv::Mat out(height, width, CV_32F, to.data() + offset);
    cv::warpAffine(in, out, matrix, out.size(), interpolation, cv::BORDER_REPLICATE);
  }
}

}  // namespace

const std::vector<std::string>& motion_names() {
  static const std::vector<std::string> names{"translation", "rotation", "brightness"};
  return names;
}

void move_image(const std::string& motion, std::span<const float> x, const Shape& shape,
                const std::vector<double>& black, std::int64_t k, std::span<float> to) {
  const auto step = static_cast<double>(k);
  if (motion == "translation") {
    const cv::Mat matrix = (cv::Mat_<double>(2, 3) << 1, 0, step, 0, 1, 0);
    warp(x, shape, matrix, cv::INTER_NEAREST, to);
  } else if (motion == "rotation") {
    const cv::Point2f centre(static_cast<float>(shape[3] - 1) / 2, static_cast<float>(shape[2] - 1) / 2);
    warp(x, shape, cv::getRotationMatrix2D(centre, kDegrees * step, 1), cv::INTER_LINEAR, to);
  } else if (motion == "brightness") {
    const auto pixels = static_cast<std::size_t>(shape[2] * shape[3]);
    for (std::size_t f = 0; f < x.size(); ++f) {
      const double dark = black.empty() ? 0 : black[black.size() == 1 ? 0 : f / pixels];
      to[f] = static_cast<float>(dark + (x[f] - dark) * std::max(0.0, 1 - kDarkening * step));
    }
  } else {
    throw UsageError(fmt::format("unknown motion '{}'", motion));
  }
}

}  // namespace heatproof
