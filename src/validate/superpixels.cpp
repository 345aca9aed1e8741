#include "validate/superpixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace heatproof {

namespace {

constexpr int kRounds = 10;

/// sRGB in [0, 1] → CIE Lab, D65.
std::array<double, 3> lab(const std::array<double, 3>& rgb) {
  std::array<double, 3> linear{};
  for (std::size_t k = 0; k < 3; ++k)
    linear[k] = rgb[k] > 0.04045 ? std::pow((rgb[k] + 0.055) / 1.055, 2.4) : rgb[k] / 12.92;
  constexpr double kToXyz[3][3] = {
      {0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}};
  constexpr double kWhite[3] = {0.95047, 1, 1.08883};
  std::array<double, 3> f{};
  for (std::size_t k = 0; k < 3; ++k) {
    double v = 0;
    for (std::size_t j = 0; j < 3; ++j) v += kToXyz[k][j] * linear[j];
    v /= kWhite[k];
    f[k] = v > 0.008856 ? std::cbrt(v) : 7.787 * v + 16.0 / 116;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

struct Image {
  std::int64_t height, width;
  std::size_t channels;
  std::vector<double> colours;  // [H, W, C], divided by the compactness

  const double* at(std::int64_t y, std::int64_t x) const {
    return colours.data() + static_cast<std::size_t>(y * width + x) * channels;
  }
};

Image prepare(std::span<const float> image, std::int64_t channels, std::int64_t height, std::int64_t width,
              double compactness) {
  const auto pixels = static_cast<std::size_t>(height * width);
  const auto c = static_cast<std::size_t>(channels);
  const auto [low, high] = std::ranges::minmax(image);
  const double range = high > low ? static_cast<double>(high) - low : 1;
  Image result{height, width, c, std::vector<double>(image.size())};
  for (std::size_t i = 0; i < pixels; ++i) {
    double* to = result.colours.data() + i * c;
    for (std::size_t k = 0; k < c; ++k) to[k] = (static_cast<double>(image[k * pixels + i]) - low) / range;
    if (c == 3) std::ranges::copy(lab({to[0], to[1], to[2]}), to);
    for (std::size_t k = 0; k < c; ++k) to[k] /= compactness;
  }
  return result;
}

/// First centre and distance between centres along y and x.
struct Grid {
  std::int64_t start_y, start_x, step_y, step_x;
};

/// About `points` centres, as close to a square grid as the image allows.
Grid grid_of(std::int64_t height, std::int64_t width, std::int64_t points) {
  const double area = static_cast<double>(height * width);
  if (area <= static_cast<double>(points)) return {0, 0, 1, 1};
  const std::int64_t shorter = std::min(height, width);
  // The image is seen as a volume of depth 1; a side shorter than the step is one step.
  double first = std::sqrt(area / static_cast<double>(points));
  double second = first;
  if (static_cast<double>(shorter) < first) {
    first = static_cast<double>(shorter);
    second = static_cast<double>(std::max(height, width)) / static_cast<double>(points);
  }
  const auto start = [](double step) { return static_cast<std::int64_t>(std::floor(step / 2)); };
  const auto round = [](double step) { return std::max<std::int64_t>(1, std::llrint(step)); };
  if (height <= width) return {start(first), start(second), round(first), round(second)};
  return {start(second), start(first), round(second), round(first)};
}

struct Centre {
  double y, x;
  std::vector<double> colour;
};

/// Gives pixels in reach of a centre to it where it is nearer than all before; whether any changed hands.
bool assign(const Image& image, const std::vector<Centre>& centres, const Grid& reach, double weight,
            std::vector<int>& labels) {
  std::vector<double> nearest(labels.size(), std::numeric_limits<double>::max());
  bool changed = false;
  for (std::size_t k = 0; k < centres.size(); ++k) {
    const Centre& c = centres[k];
    const auto y0 = static_cast<std::int64_t>(std::max(c.y - 2.0 * static_cast<double>(reach.step_y), 0.0));
    const auto x0 = static_cast<std::int64_t>(std::max(c.x - 2.0 * static_cast<double>(reach.step_x), 0.0));
    const auto y1 = static_cast<std::int64_t>(
        std::min(c.y + 2.0 * static_cast<double>(reach.step_y) + 1, static_cast<double>(image.height)));
    const auto x1 = static_cast<std::int64_t>(
        std::min(c.x + 2.0 * static_cast<double>(reach.step_x) + 1, static_cast<double>(image.width)));
    for (std::int64_t y = y0; y < y1; ++y) {
      const double dy = c.y - static_cast<double>(y);
      for (std::int64_t x = x0; x < x1; ++x) {
        const double dx = c.x - static_cast<double>(x);
        double distance = (dy * dy + dx * dx) * weight;
        const double* colour = image.at(y, x);
        for (std::size_t j = 0; j < image.channels; ++j)
          distance += (colour[j] - c.colour[j]) * (colour[j] - c.colour[j]);
        const auto pixel = static_cast<std::size_t>(y * image.width + x);
        if (nearest[pixel] > distance) {
          labels[pixel] = static_cast<int>(k);
          nearest[pixel] = distance;
          changed = true;
        }
      }
    }
  }
  return changed;
}

void recentre(const Image& image, const std::vector<int>& labels, std::vector<Centre>& centres) {
  std::vector<double> count(centres.size(), 0);
  for (Centre& c : centres) c = {0, 0, std::vector<double>(image.channels, 0)};
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      const int label = labels[static_cast<std::size_t>(y * image.width + x)];
      if (label < 0) continue;
      Centre& c = centres[static_cast<std::size_t>(label)];
      count[static_cast<std::size_t>(label)] += 1;
      c.y += static_cast<double>(y);
      c.x += static_cast<double>(x);
      for (std::size_t j = 0; j < image.channels; ++j) c.colour[j] += image.at(y, x)[j];
    }
  }
  for (std::size_t k = 0; k < centres.size(); ++k) {
    centres[k].y /= count[k];
    centres[k].x /= count[k];
    for (double& v : centres[k].colour) v /= count[k];
  }
}

/// Every connected region gets a label of its own; regions below `least` pixels join a neighbour.
std::vector<int> connect(const std::vector<int>& labels, std::int64_t height, std::int64_t width,
                         std::size_t least, std::size_t most) {
  std::vector<int> result(labels.size(), -1);
  int next = 0;
  for (std::size_t start = 0; start < labels.size(); ++start) {
    if (result[start] >= 0) continue;
    int adjacent = 0;
    std::vector<std::size_t> region{start};
    result[start] = next;
    for (std::size_t visited = 0; visited < region.size() && region.size() < most; ++visited) {
      const auto y = static_cast<std::int64_t>(region[visited]) / width;
      const auto x = static_cast<std::int64_t>(region[visited]) % width;
      constexpr std::int64_t kSteps[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
      for (const auto& step : kSteps) {
        const std::int64_t yy = y + step[0];
        const std::int64_t xx = x + step[1];
        if (yy < 0 || yy >= height || xx < 0 || xx >= width) continue;
        const auto pixel = static_cast<std::size_t>(yy * width + xx);
        if (labels[pixel] == labels[start] && result[pixel] < 0) {
          result[pixel] = next;
          region.push_back(pixel);
          if (region.size() >= most) break;
        } else if (result[pixel] >= 0 && result[pixel] != next) {
          adjacent = result[pixel];
        }
      }
    }
    if (region.size() < least) {
      for (const std::size_t pixel : region) result[pixel] = adjacent;
    } else {
      ++next;
    }
  }
  return result;
}

}  // namespace

std::vector<int> slic(std::span<const float> image, std::int64_t channels, std::int64_t height,
                      std::int64_t width, std::int64_t segments, double compactness) {
  const Image prepared = prepare(image, channels, height, width, compactness);
  const Grid grid = grid_of(height, width, segments);
  std::vector<Centre> centres;
  for (std::int64_t y = grid.start_y; y < height; y += grid.step_y) {
    for (std::int64_t x = grid.start_x; x < width; x += grid.step_x)
      centres.push_back(
          {static_cast<double>(y), static_cast<double>(x), std::vector<double>(prepared.channels, 0)});
  }
  const auto step = static_cast<double>(std::max(grid.step_y, grid.step_x));
  const Grid reach = grid_of(height, width, static_cast<std::int64_t>(centres.size()));
  std::vector<int> labels(static_cast<std::size_t>(height * width), -1);
  for (int round = 0; round < kRounds; ++round) {
    if (!assign(prepared, centres, reach, 1 / (step * step), labels)) break;
    recentre(prepared, labels, centres);
  }
  const double size = static_cast<double>(height * width) / static_cast<double>(centres.size());
  return connect(labels, height, width, static_cast<std::size_t>(0.5 * size),
                 static_cast<std::size_t>(3 * size));
}

}  // namespace heatproof
