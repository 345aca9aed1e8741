#include "data/synthetic_drawing.h"

#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace heatproof::drawing {

namespace {

constexpr double kTurn = 2 * std::numbers::pi;

cv::Mat noise(int rows, RandomStream& random) {
  cv::Mat m(rows, rows, CV_32F);
  for (int k = 0; k < rows * rows; ++k) m.at<float>(k / rows, k % rows) = static_cast<float>(random.normal());
  return m;
}

/// Corners of a shape in the unit circle; none for shapes that are drawn otherwise.
std::vector<cv::Point2d> corners(const std::string& shape) {
  std::vector<cv::Point2d> points;
  const auto spikes = [&](int count, double outer, double inner) {
    for (int k = 0; k < count; ++k) {
      const double angle = kTurn / 4 + kTurn * k / count;
      const double radius = k % 2 == 0 ? outer : inner;
      points.emplace_back(radius * std::cos(angle), radius * std::sin(angle));
    }
  };
  if (shape == "square") points = {{-.8, -.8}, {.8, -.8}, {.8, .8}, {-.8, .8}};
  if (shape == "triangle") spikes(3, 1, 1);
  if (shape == "star") spikes(10, 1.05, 0.42);
  if (shape == "cross")
    points = {{-.3, -1}, {.3, -1}, {.3, -.3}, {1, -.3}, {1, .3},   {.3, .3},
              {.3, 1},   {-.3, 1}, {-.3, .3}, {-1, .3}, {-1, -.3}, {-.3, -.3}};
  if (shape == "arrow")
    points = {{-1, -.28}, {.1, -.28}, {.1, -.75}, {1, 0}, {.1, .75}, {.1, .28}, {-1, .28}};
  return points;
}

cv::Point point(double x, double y) { return {static_cast<int>(x), static_cast<int>(y)}; }
int whole(RandomStream& random, int low, int high) {
  return low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low)));
}

}  // namespace

cv::Scalar colour(RandomStream& random) {
  cv::Mat pixel(
      1, 1, CV_8UC3,
      cv::Scalar(static_cast<double>(whole(random, 0, 180)), whole(random, 70, 256), whole(random, 90, 256)));
  cv::cvtColor(pixel, pixel, cv::COLOR_HSV2RGB);
  const auto c = pixel.at<cv::Vec3b>(0, 0);
  return {static_cast<double>(c[0]), static_cast<double>(c[1]), static_cast<double>(c[2])};
}

cv::Mat background(int size, RandomStream& random) {
  const cv::Scalar a = colour(random) * 0.7;
  const cv::Scalar b = colour(random) * 0.7;
  const double angle = random.uniform(0, kTurn);
  cv::Mat texture = cv::Mat::zeros(size, size, CV_32F);
  for (const auto& [cells, weight] : {std::pair{4, 14.0}, {12, 9.0}, {40, 7.0}}) {
    cv::Mat layer;
    cv::resize(noise(cells, random), layer, texture.size(), 0, 0, cv::INTER_CUBIC);
    texture += layer * weight;
  }
  texture *= random.uniform(0.5, 1.3);
  const bool striped = random.uniform() < 0.5;
  const double frequency = random.uniform(4, 12);
  const double depth = random.uniform(6, 16);
  cv::Mat image(size, size, CV_32FC3);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double u = static_cast<double>(x) / size;
      const double v = static_cast<double>(y) / size;
      const double t = std::clamp((u - 0.5) * std::cos(angle) + (v - 0.5) * std::sin(angle) + 0.5, 0.0, 1.0);
      double shade = texture.at<float>(y, x);
      if (striped)
        shade += depth * std::sin((u * std::cos(angle + 1) + v * std::sin(angle + 1)) * frequency * kTurn);
      for (int c = 0; c < 3; ++c)
        image.at<cv::Vec3f>(y, x)[c] = static_cast<float>(a[c] * (1 - t) + b[c] * t + shade);
    }
  }
  return image;
}

void distract(cv::Mat& image, RandomStream& random) {
  const int size = image.rows;
  const double scale = size / 64.0;
  const auto length = [&](int low, int high) { return static_cast<int>(whole(random, low, high) * scale); };
  for (int k = whole(random, 3, 8); k > 0; --k) {
    cv::Mat layer = image.clone();
    const cv::Point p(whole(random, 0, size), whole(random, 0, size));
    const cv::Scalar c = colour(random);
    const int kind = whole(random, 0, 3);
    if (kind == 0) {
      cv::line(layer, p, p + cv::Point(length(-16, 17), length(-16, 17)), c, whole(random, 1, 3),
               cv::LINE_AA);
    } else if (kind == 1) {
      cv::circle(layer, p, std::max(1, length(1, 4)), c, -1, cv::LINE_AA);
    } else {
      const double start = random.uniform(0, 360);
      cv::ellipse(layer, p, {length(4, 10), length(4, 10)}, random.uniform(0, 180), start,
                  start + random.uniform(40, 110), c, whole(random, 1, 3), cv::LINE_AA);
    }
    const double alpha = random.uniform(0.6, 1);
    image = layer * alpha + image * (1 - alpha);
  }
}

cv::Mat coverage(const std::string& shape, int size, cv::Point2d centre, double radius, double angle) {
  constexpr int kScale = 8;
  cv::Mat big = cv::Mat::zeros(size * kScale, size * kScale, CV_8U);
  const cv::Point2d c = centre * kScale;
  const double r = radius * kScale;
  const std::vector<cv::Point2d> outline = corners(shape);
  if (!outline.empty()) {
    std::vector<cv::Point> points;
    for (const cv::Point2d& p : outline)
      points.push_back(point((p.x * std::cos(angle) - p.y * std::sin(angle)) * r + c.x,
                             (p.x * std::sin(angle) + p.y * std::cos(angle)) * r + c.y));
    cv::fillPoly(big, std::vector<std::vector<cv::Point>>{points}, 255);
  } else {
    cv::circle(big, point(c.x, c.y), static_cast<int>(r * 0.9), 255, -1);
    if (shape == "ring") cv::circle(big, point(c.x, c.y), static_cast<int>(r * 0.5), 0, -1);
    if (shape == "crescent")
      cv::circle(big, point(c.x + std::cos(angle) * r * 0.5, c.y + std::sin(angle) * r * 0.5),
                 static_cast<int>(r * 0.75), 0, -1);
  }
  cv::Mat small;
  cv::resize(big, small, {size, size}, 0, 0, cv::INTER_AREA);
  small.convertTo(small, CV_32F, 1.0 / 255);
  return small;
}

void paint(cv::Mat& image, const cv::Mat& coverage, const cv::Scalar& colour, double opacity) {
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      const double alpha = coverage.at<float>(y, x) * opacity;
      cv::Vec3f& pixel = image.at<cv::Vec3f>(y, x);
      for (int c = 0; c < 3; ++c) pixel[c] = static_cast<float>(pixel[c] * (1 - alpha) + colour[c] * alpha);
    }
  }
}

std::vector<std::uint8_t> rgb_bytes(const cv::Mat& image) {
  cv::Mat bytes;
  image.convertTo(bytes, CV_8UC3);
  return {bytes.data, bytes.data + bytes.total() * 3};
}

std::vector<std::uint8_t> mask_bytes(const cv::Mat& coverage) {
  std::vector<std::uint8_t> mask;
  for (int k = 0; k < coverage.rows * coverage.cols; ++k)
    mask.push_back(coverage.at<float>(k / coverage.cols, k % coverage.cols) > 0.5F ? 255 : 0);
  return mask;
}

Shape draw_shape(const std::string& shape, int size, RandomStream& random) {
  Shape s{background(size, random), {}};
  distract(s.image, random);
  const double radius = random.uniform(9, 17) * size / 64;
  const cv::Point2d centre(random.uniform(radius + 1, size - radius - 1),
                           random.uniform(radius + 1, size - radius - 1));
  s.coverage = coverage(shape, size, centre, radius, random.uniform(0, kTurn));
  const cv::Scalar inside = cv::mean(s.image, s.coverage > 0.5);
  cv::Scalar fill = colour(random);  // far enough from what it covers
  while (std::fabs(fill[0] - inside[0]) + std::fabs(fill[1] - inside[1]) + std::fabs(fill[2] - inside[2]) <
         165)
    fill = colour(random);
  cv::Mat shade;
  cv::resize(noise(8, random), shade, {size, size});
  const double opacity = random.uniform(0.85, 1);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double alpha = s.coverage.at<float>(y, x) * opacity;
      for (int c = 0; c < 3; ++c) {
        float& v = s.image.at<cv::Vec3f>(y, x)[c];
        v = static_cast<float>(v * (1 - alpha) + (fill[c] + 12 * shade.at<float>(y, x)) * alpha +
                               4 * random.normal());
      }
    }
  }
  return s;
}

}  // namespace heatproof::drawing
