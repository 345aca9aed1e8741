#include "validate/imputer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <opencv2/photo.hpp>

#include "base/files.h"
#include "heatproof/error.h"
#include "validate/features.h"

namespace heatproof {

namespace {

struct Planes {
  std::int64_t channels, height, width;
  std::size_t pixels() const { return static_cast<std::size_t>(height * width); }
};

Planes planes_of(const Shape& s) {
  if (s.rank() == 4) return {s[1], s[2], s[3]};
  return {1, 1, s.elements() / s[0]};
}

cv::Mat plane(std::vector<float>& values, const Planes& p, std::int64_t channel) {
  return {static_cast<int>(p.height), static_cast<int>(p.width), CV_32F,
          values.data() + static_cast<std::size_t>(channel) * p.pixels()};
}

double mean_of_plane(std::span<const float> x, const Planes& p, std::int64_t channel) {
  const auto values = x.subspan(static_cast<std::size_t>(channel) * p.pixels(), p.pixels());
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Removed pixels take values that do not hang on what else is removed.
Impute fixed(std::vector<float> values, const Planes& p) {
  const auto shared = std::make_shared<const std::vector<float>>(std::move(values));
  return {[shared, p](std::span<float> x, std::span<const std::size_t> removed) {
            for (std::size_t offset = 0; offset < x.size(); offset += p.pixels()) {
              for (const std::size_t pixel : removed) x[offset + pixel] = (*shared)[offset + pixel];
            }
          },
          [shared](Sha256& hash) {
            hash.add_values("fixed");
            hash.add_values(*shared);
          }};
}

/// One value per channel; `known` is empty (then `otherwise`), or has one value, or one per channel.
std::vector<float> constant_planes(const Planes& p, const std::vector<double>& known, double otherwise) {
  std::vector<float> values;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const double v = known.empty() ? otherwise : known[known.size() == 1 ? 0 : static_cast<std::size_t>(c)];
    values.insert(values.end(), p.pixels(), static_cast<float>(v));
  }
  return values;
}

std::vector<float> means(std::span<const float> x, const Planes& p) {
  std::vector<double> mean;
  for (std::int64_t c = 0; c < p.channels; ++c) mean.push_back(mean_of_plane(x, p, c));
  return constant_planes(p, mean, 0);
}

std::vector<float> noise_planes(std::span<const float> x, const Planes& p, RandomStream random) {
  std::vector<float> values(x.size());
  for (std::size_t offset = 0; offset < x.size(); offset += p.pixels()) {
    const auto [low, high] = std::ranges::minmax(x.subspan(offset, p.pixels()));
    for (std::size_t k = 0; k < p.pixels(); ++k)
      values[offset + k] = static_cast<float>(random.uniform(low, high));
  }
  return values;
}

std::vector<float> blurred(std::span<const float> x, const Planes& p) {
  std::vector<float> values(x.begin(), x.end());
  const double sigma = std::max(1.0, static_cast<double>(std::min(p.height, p.width)) / 10);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    cv::Mat image = plane(values, p, c);
    cv::GaussianBlur(image.clone(), image, {0, 0}, sigma, sigma, cv::BORDER_REFLECT_101);
  }
  return values;
}

std::vector<float> local_means(std::span<const float> x, const Planes& p, std::int64_t reach) {
  std::vector<float> values(x.begin(), x.end());
  const int side = static_cast<int>(2 * reach + 1);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    cv::Mat image = plane(values, p, c);
    cv::blur(image.clone(), image, {std::min(side, image.cols), std::min(side, image.rows)}, {-1, -1},
             cv::BORDER_REFLECT_101);
  }
  return values;
}

/// Another sample, chosen by hashing pairs of sample numbers, so that the order of the data set does not
/// matter, and more samples change few choices.
std::vector<float> another(const Evaluation& e, std::int64_t i) {
  const Donors own_samples = e.donors ? Donors() : own_donors(e);
  const Donors& donors = e.donors ? e.donors() : own_samples;
  const auto& ids = donors.ids;
  const std::uint64_t own = e.ids[static_cast<std::size_t>(i)];
  std::int64_t best = -1;
  std::uint64_t least = 0;
  for (std::size_t k = 0; k < ids.size(); ++k) {
    if (ids[k] == own) continue;
    const std::uint64_t rank = RandomStream(e.seed ^ own, {"another"}, ids[k]).bits();
    if (best < 0 || rank < least) best = static_cast<std::int64_t>(k), least = rank;
  }
  if (best < 0) throw UsageError("imputer=another needs at least two different images");
  const Tensor sample = donors.sample(best);
  const auto row = sample.data<float>();
  return {row.begin(), row.end()};
}

/// Telea's fast marching, as OpenCV does it, on the image scaled to 8 bits.
Impute inpainter(std::span<const float> x, const Planes& p) {
  if (p.height == 1) throw UsageError("imputer=inpaint works on images only");
  const auto inpaint = [p, averages = means(x, p)](std::span<float> edited,
                                                   std::span<const std::size_t> removed) {
    if (removed.size() >= p.pixels()) {
      std::ranges::copy(averages, edited.begin());
      return;
    }
    cv::Mat mask = cv::Mat::zeros(static_cast<int>(p.height), static_cast<int>(p.width), CV_8U);
    for (const std::size_t pixel : removed) mask.data[pixel] = 255;
    for (std::size_t offset = 0; offset < edited.size(); offset += p.pixels()) {
      const auto values = edited.subspan(offset, p.pixels());
      const auto [low, high] = std::ranges::minmax(values);
      const float scale = high > low ? 255 / (high - low) : 1;
      cv::Mat bytes(mask.size(), CV_8U);
      for (std::size_t k = 0; k < values.size(); ++k)
        bytes.data[k] = cv::saturate_cast<std::uint8_t>((values[k] - low) * scale);
      cv::Mat filled;
      cv::inpaint(bytes, mask, filled, 3, cv::INPAINT_TELEA);
      for (const std::size_t pixel : removed)
        values[pixel] = low + static_cast<float>(filled.data[pixel]) / scale;
    }
  };
  return {inpaint, [](Sha256& hash) { hash.add_values("inpaint"); }};
}

}  // namespace

const std::vector<std::string>& imputer_names() {
  static const std::vector<std::string> names{"mean",       "black",        "white",   "uniform", "blur",
                                              "local_mean", "noisy_linear", "inpaint", "another"};
  return names;
}

Impute imputer(const std::string& name, const Evaluation& e, std::int64_t i, std::int64_t reach) {
  const Planes p = planes_of(e.inputs.shape());
  const auto x = row_of(e.inputs, i);
  if (name == "mean") return fixed(means(x, p), p);
  if (name == "black") return fixed(constant_planes(p, e.black, 0), p);
  if (name == "white") return fixed(constant_planes(p, e.white, 1), p);
  if (name == "uniform") return fixed(noise_planes(x, p, e.random("imputer uniform", i)), p);
  if (name == "blur") return fixed(blurred(x, p), p);
  if (name == "local_mean") return fixed(local_means(x, p, reach), p);
  if (name == "noisy_linear") return linear_imputer(e, i, 0.01);
  if (name == "inpaint") return inpainter(x, p);
  if (name == "another") return fixed(another(e, i), p);
  throw UsageError(fmt::format("unknown imputer '{}'; known are {}", name, fmt::join(imputer_names(), ", ")));
}

}  // namespace heatproof
