// Relevance as pictures.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace heatproof::report {

/// 8-bit RGB, row-major.
struct Picture {
  int height = 0, width = 0;
  std::vector<std::uint8_t> rgb;
};

/// A network's input [channels, H, W] as a picture: `low` … `high` (one value, or one per channel; both
/// empty: the input's own range) become black … white. Three channels are RGB, of others the first is shown.
Picture draw_input(std::span<const float> x, int channels, int height, int width,
                   const std::vector<double>& low = {}, const std::vector<double>& high = {});
/// Signed relevance in a diverging map: white is 0, red positive, blue negative; symmetric, saturated at
/// the 99.5th percentile of |relevance|. NaN and infinities are grey.
Picture draw_heatmap(std::span<const float> relevance, int height, int width);
/// The same over the darkened grey photo; strong relevance covers it.
Picture draw_overlay(std::span<const float> relevance, const Picture& photo);
/// Scaled up by whole factors to at least `least` pixels of the shorter side, without smoothing.
Picture enlarge(const Picture& picture, int least);

std::string encode_png(const Picture& picture);
/// "data:image/png;base64,..."
std::string data_uri(const Picture& picture);

}  // namespace heatproof::report
