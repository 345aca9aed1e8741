// Superpixels: connected regions of similar colour.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace heatproof {

/// SLIC (Achanta et al. 2012) as scikit-image's slic() does it with its defaults: the image is scaled to [0,
/// 1], three channels are taken for RGB and turned to CIE Lab, ten rounds of k-means, regions made connected.
/// image: [C, H, W]. Returns a label for every pixel, 0 … n−1, about `segments` in all.
std::vector<int> slic(std::span<const float> image, std::int64_t channels, std::int64_t height,
                      std::int64_t width, std::int64_t segments = 100, double compactness = 10);

}  // namespace heatproof
