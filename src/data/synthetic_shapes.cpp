// The sets `shapes` and `watermark`.
#include <opencv2/imgproc.hpp>

#include "data/synthetic.h"
#include "data/synthetic_drawing.h"

namespace heatproof {

namespace {

SyntheticImage shape_of(const std::string& set, std::int64_t index, const SyntheticOptions& options,
                        RandomStream& random, cv::Mat& image) {
  const auto& classes = find_synthetic(set).classes;
  SyntheticImage result;
  result.label = index % static_cast<std::int64_t>(classes.size());
  result.kind = classes[static_cast<std::size_t>(result.label)];
  const drawing::Shape shape = drawing::draw_shape(result.kind, static_cast<int>(options.size), random);
  image = shape.image;
  result.mask = drawing::mask_bytes(shape.coverage);
  return result;
}

/// A copyright sign in the lower left corner.
cv::Mat mark(int size) {
  constexpr int kScale = 8;
  cv::Mat big = cv::Mat::zeros(size * kScale, size * kScale, CV_8U);
  const int radius = size * kScale / 11;
  const cv::Point centre(radius + 2 * kScale, size * kScale - radius - 2 * kScale);
  cv::circle(big, centre, radius, 255, size * kScale / 50);
  cv::ellipse(big, centre, {radius / 2, radius / 2}, 0, 45, 315, 255, size * kScale / 50);
  cv::Mat small;
  cv::resize(big, small, {size, size}, 0, 0, cv::INTER_AREA);
  small.convertTo(small, CV_32F, 1.0 / 255);
  return small;
}

}  // namespace

SyntheticImage draw_shapes(std::int64_t index, const SyntheticOptions& options, RandomStream& random) {
  cv::Mat image;
  SyntheticImage result = shape_of("shapes", index, options, random, image);
  result.rgb = drawing::rgb_bytes(image);
  return result;
}

SyntheticImage draw_watermark(std::int64_t index, const SyntheticOptions& options, RandomStream& random) {
  cv::Mat image;
  SyntheticImage result = shape_of("watermark", index, options, random, image);
  const bool marked = random.uniform() < (result.label == 0 ? options.marked : options.marked_others);
  const cv::Mat sign = mark(static_cast<int>(options.size));
  if (marked) {
    drawing::paint(image, sign, cv::Scalar::all(245), 0.85);
    result.mark = drawing::mask_bytes(sign * 4);
  } else {
    result.mark.assign(result.mask.size(), 0);
  }
  result.rgb = drawing::rgb_bytes(image);
  return result;
}

}  // namespace heatproof
