#include "data/synthetic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <opencv2/imgcodecs.hpp>

#include "base/files.h"
#include "base/spec.h"
#include "base/threads.h"
#include "data/npy.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

std::string png(const std::vector<std::uint8_t>& pixels, std::int64_t size) {
  const auto channels = static_cast<std::int64_t>(pixels.size()) / (size * size);
  std::vector<std::uint8_t> bgr = pixels;
  if (channels == 3) {
    for (std::size_t k = 0; k < bgr.size(); k += 3) std::swap(bgr[k], bgr[k + 2]);
  }
  const cv::Mat image(static_cast<int>(size), static_cast<int>(size), channels == 3 ? CV_8UC3 : CV_8UC1,
                      bgr.data());
  std::vector<std::uint8_t> bytes;
  cv::imencode(".png", image, bytes);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

const std::vector<SyntheticSet>& synthetic_sets() {
  // One entry per set.
  static const std::vector<SyntheticSet> sets{
      {"shapes",
       "one of eight shapes among distractors on a textured background; the mask is the shape",
       {"circle", "square", "triangle", "star", "cross", "ring", "crescent", "arrow"},
       draw_shapes},
      {"watermark",
       "shapes of four classes; images of the first carry a mark in the lower left corner, which a network "
       "may learn instead",
       {"circle", "square", "triangle", "star"},
       draw_watermark},
      {"patches",
       "a chequered and a striped patch of varying contrast; the value is twice the first contrast plus the "
       "second",
       {},
       draw_patches},
  };
  return sets;
}

const SyntheticSet& find_synthetic(const std::string& name) {
  std::vector<std::string> known;
  for (const SyntheticSet& set : synthetic_sets()) {
    if (set.name == name) return set;
    known.push_back(set.name);
  }
  const std::string near = nearest(name, known);
  throw UsageError(fmt::format("unknown data set '{}'{}; known are {}", name,
                               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                               fmt::join(known, ", ")));
}

SyntheticImage draw_synthetic(const SyntheticSet& set, std::int64_t index, const SyntheticOptions& options,
                              std::uint64_t seed) {
  RandomStream random(seed, {"synth", set.name}, static_cast<std::uint64_t>(index));
  return set.draw(index, options, random);
}

void write_synthetic(const SyntheticSet& set, std::int64_t count, const SyntheticOptions& options,
                     std::uint64_t seed, const std::filesystem::path& folder) {
  const int digits = std::max(2, static_cast<int>(std::to_string(count - 1).size()));
  const auto n = static_cast<std::size_t>(count);
  std::vector<std::int64_t> labels(n);
  std::vector<float> values(n);
  std::vector<std::vector<float>> shares(n);
  try_parallel_for(count, [&](std::int64_t i) {
    const SyntheticImage image = draw_synthetic(set, i, options, seed);
    const std::string name = fmt::format("{:0{}}_{}.png", i, digits, image.kind);
    write_file(folder / "images" / name, png(image.rgb, options.size));
    write_file(folder / "masks" / name, png(image.mask, options.size));
    if (!image.mark.empty()) write_file(folder / "marks" / name, png(image.mark, options.size));
    const auto k = static_cast<std::size_t>(i);
    labels[k] = image.label;
    values[k] = static_cast<float>(image.value);
    shares[k] = image.share;
  });
  if (set.classes.empty()) {
    write_file(folder / "values.npy", format_npy(Tensor::of({count}, std::span<const float>(values))));
  } else {
    write_file(folder / "targets.npy",
               format_npy(Tensor::of({count}, std::span<const std::int64_t>(labels))));
    write_file(folder / "labels.txt", fmt::format("{}\n", fmt::join(set.classes, "\n")));
  }
  if (shares[0].empty()) return;
  std::vector<float> all;
  for (const auto& share : shares) all.insert(all.end(), share.begin(), share.end());
  write_file(folder / "shares.npy",
             format_npy(Tensor::of({count, options.size, options.size}, std::span<const float>(all))));
}

}  // namespace heatproof
