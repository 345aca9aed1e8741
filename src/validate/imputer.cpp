#include "validate/imputer.h"

#include <fmt/format.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "heatproof/error.h"

namespace heatproof {

namespace {

struct Planes {
  std::int64_t channels, height, width;
};

Planes planes_of(const Tensor& input) {
  const Shape& s = input.shape();
  if (s.rank() == 4) return {s[1], s[2], s[3]};
  return {1, 1, input.elements()};
}

}  // namespace

const std::vector<std::string>& imputer_names() {
  static const std::vector<std::string> names{"mean", "black", "blur", "local_mean"};
  return names;
}

Tensor impute(const std::string& name, const Tensor& input, const std::vector<double>& black,
              std::int64_t reach) {
  Tensor result = input.clone();
  const Planes p = planes_of(input);
  const std::int64_t pixels = p.height * p.width;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    float* plane = result.data<float>().data() + c * pixels;
    if (name == "mean") {
      double sum = 0;
      for (std::int64_t i = 0; i < pixels; ++i) sum += plane[i];
      std::fill_n(plane, pixels, static_cast<float>(sum / static_cast<double>(pixels)));
    } else if (name == "black") {
      const double value = black.empty() ? 0 : black[black.size() == 1 ? 0 : static_cast<std::size_t>(c)];
      std::fill_n(plane, pixels, static_cast<float>(value));
    } else {
      cv::Mat image(static_cast<int>(p.height), static_cast<int>(p.width), CV_32F, plane);
      cv::Mat out;
      if (name == "blur") {
        const double sigma = std::max(1.0, static_cast<double>(std::min(p.height, p.width)) / 10);
        cv::GaussianBlur(image, out, {0, 0}, sigma, sigma, cv::BORDER_REFLECT_101);
      } else if (name == "local_mean") {
        const int side = static_cast<int>(2 * reach + 1);
        cv::blur(image, out, {std::min(side, image.cols), std::min(side, image.rows)}, {-1, -1},
                 cv::BORDER_REFLECT_101);
      } else {
        throw UsageError(fmt::format("unknown imputer '{}'", name));
      }
      out.copyTo(image);
    }
  }
  return result;
}

}  // namespace heatproof
