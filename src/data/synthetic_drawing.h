// Pieces that synthetic images are drawn from. Images are CV_32FC3, RGB, 0 … 255; coverage is CV_32F, 0 … 1.
#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "base/random.h"

namespace heatproof::drawing {

/// A random colour that is neither grey nor dark.
cv::Scalar colour(RandomStream& random);
/// A gradient between two colours with noise of several scales, in half of the images with stripes.
cv::Mat background(int size, RandomStream& random);
/// Line pieces, dots and arcs that no class owns.
void distract(cv::Mat& image, RandomStream& random);
/// Anti-aliased coverage of a shape of the set `shapes`; `angle` in radians.
cv::Mat coverage(const std::string& shape, int size, cv::Point2d centre, double radius, double angle);
/// Paints a colour over the covered pixels.
void paint(cv::Mat& image, const cv::Mat& coverage, const cv::Scalar& colour, double opacity);

std::vector<std::uint8_t> rgb_bytes(const cv::Mat& image);
/// 255 where more than half is covered.
std::vector<std::uint8_t> mask_bytes(const cv::Mat& coverage);

/// A shape of a class on a background with distractors.
struct Shape {
  cv::Mat image, coverage;
};
Shape draw_shape(const std::string& shape, int size, RandomStream& random);

}  // namespace heatproof::drawing
