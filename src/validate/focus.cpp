// Focus: in a mosaic of four images, relevance of a class should lie on the images of that class. Arias-Duart
// et al. 2022.
#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>

#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

namespace {

/// Share of positive relevance in the mask; NaN where there is none.
double share(std::span<const float> relevance, std::span<const float> mask) {
  double inside = 0;
  double total = 0;
  for (std::size_t f = 0; f < relevance.size(); ++f) {
    const double r = std::max(relevance[f], 0.0F);
    total += r;
    if (mask[f % mask.size()] > 0) inside += r;
  }
  return total > 0 ? inside / total : NAN;
}

/// Samples to build mosaics from.
struct Gallery {
  const Donors& images;

  /// The sample that comes first in an order of its own for `own`, among those of the class or of the others.
  std::int64_t pick(const Evaluation& e, std::int64_t i, bool same, std::int64_t not_this = -1) const {
    const std::uint64_t own = e.ids[static_cast<std::size_t>(i)];
    std::int64_t best = -1;
    std::uint64_t least = 0;
    const auto& ids = images.ids;
    for (std::size_t k = 0; k < ids.size(); ++k) {
      const bool alike = images.classes[k] == e.targets[static_cast<std::size_t>(i)];
      if (alike != same || ids[k] == own || static_cast<std::int64_t>(k) == not_this) continue;
      const std::uint64_t rank = RandomStream(e.seed ^ own, {"focus"}, ids[k]).bits();
      if (best < 0 || rank < least) best = static_cast<std::int64_t>(k), least = rank;
    }
    return best;
  }
};

/// Draws an image at half its size into a quadrant (0 … 3) of the mosaic.
void paste(std::span<const float> image, const Shape& s, int quadrant, std::span<float> mosaic) {
  const int height = static_cast<int>(s[2]);
  const int width = static_cast<int>(s[3]);
  const int top = quadrant / 2 * (height / 2);
  const int left = quadrant % 2 * (width / 2);
  const cv::Rect place(left, top, quadrant % 2 == 0 ? width / 2 : width - width / 2,
                       quadrant / 2 == 0 ? height / 2 : height - height / 2);
  std::vector<float> from(image.begin(), image.end());
  for (std::size_t offset = 0; offset < from.size(); offset += static_cast<std::size_t>(height * width)) {
    const cv::Mat in(height, width, CV_32F, from.data() + offset);
    cv::Mat out(height, width, CV_32F, mosaic.data() + offset);
    cv::resize(in, out(place), place.size(), 0, 0, cv::INTER_AREA);
  }
}

void mark(const Shape& s, int quadrant, std::vector<float>& mask) {
  for (std::int64_t y = 0; y < s[2]; ++y) {
    for (std::int64_t x = 0; x < s[3]; ++x) {
      if ((y >= s[2] / 2) * 2 + (x >= s[3] / 2) == quadrant) mask[static_cast<std::size_t>(y * s[3] + x)] = 1;
    }
  }
}

Scores built(const Evaluation& e) {
  const Shape& s = e.inputs.shape();
  const Donors own = e.donors ? Donors() : own_donors(e);
  const Gallery gallery{e.donors ? e.donors() : own};
  Tensor mosaics = Tensor::empty(DType::f32, s);
  std::vector<std::vector<float>> masks;
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const std::int64_t other = gallery.pick(e, i, false);
    const std::int64_t second = gallery.pick(e, i, false, other);
    if (other < 0) throw UsageError("focus: all images are of one class; mosaics need others");
    const std::int64_t alike = gallery.pick(e, i, true);
    const Tensor self = e.inputs.rows(i, i + 1);
    const std::array<Tensor, 4> images{self, alike < 0 ? self : gallery.images.sample(alike),
                                       gallery.images.sample(other),
                                       gallery.images.sample(second < 0 ? other : second)};
    masks.emplace_back(static_cast<std::size_t>(s[2] * s[3]), 0.0F);
    const auto places = e.random("focus", i).permutation(4);
    for (std::size_t k = 0; k < 4; ++k) {
      paste(images[k].data<float>(), s, static_cast<int>(places[k]), row_of(mosaics, i));
      if (k < 2) mark(s, static_cast<int>(places[k]), masks.back());
    }
  }
  const Tensor relevance = e.explain(mosaics, e.targets, e.ids);
  Scores result;
  for (std::int64_t i = 0; i < e.size(); ++i)
    result.values.push_back(share(row_of(relevance, i), masks[static_cast<std::size_t>(i)]));
  return result;
}

Scores score(const Evaluation& e, const Parameters& p) {
  if (e.inputs.shape().rank() != 4) throw UsageError("focus works on images only");
  if (p.text("mosaics") == "build") {
    if (!e.explain)
      throw UsageError(
          "focus explains mosaics that it builds; give --recipe instead of --attributions, or mosaics=given");
    return built(e);
  }
  if (!e.masks.defined())
    throw UsageError("focus: mosaics=given needs --masks that mark the quadrants of the target's class");
  Scores result;
  for (std::int64_t i = 0; i < e.size(); ++i)
    result.values.push_back(share(row_of(e.relevance, i), row_of(e.masks, i)));
  return result;
}

}  // namespace

const Metric kFocus = {
    .name = "focus",
    .group = Group::localisation,
    .better = Better::higher,
    .unit = "share",
    .source = "Arias-Duart et al. 2022",
    .about =
        "Share of the positive relevance that lies on the quadrants of the target's class, in mosaics of two "
        "images of that "
        "class and two others; 0.5 is chance.",
    .parameters =
        {{"mosaics",
          std::string("build"),
          "build them from the data set, or given: the inputs are mosaics, the masks their quadrants",
          {},
          {},
          {"build", "given"}}},
    .score_all = score,
};

}  // namespace heatproof
