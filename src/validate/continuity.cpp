// Continuity: how fast an explanation changes when the input hardly does. Montavon et al. 2018, sec. 7.1.
#include <algorithm>
#include <cmath>

#include "validate/metrics.h"

namespace heatproof {

namespace {

/// The input moved by (dx, dy) pixels; edges are repeated.
void translate(std::span<const float> from, std::span<float> to, const Shape& s, std::int64_t dx,
               std::int64_t dy) {
  for (std::int64_t c = 0; c < s[1]; ++c) {
    for (std::int64_t y = 0; y < s[2]; ++y) {
      for (std::int64_t x = 0; x < s[3]; ++x) {
        const std::int64_t fy = std::clamp<std::int64_t>(y - dy, 0, s[2] - 1);
        const std::int64_t fx = std::clamp<std::int64_t>(x - dx, 0, s[3] - 1);
        to[static_cast<std::size_t>((c * s[2] + y) * s[3] + x)] =
            from[static_cast<std::size_t>((c * s[2] + fy) * s[3] + fx)];
      }
    }
  }
}

double ratio(std::span<const float> r0, std::span<const float> r1, std::span<const float> x0,
             std::span<const float> x1) {
  double change = 0;
  double distance = 0;
  for (std::size_t i = 0; i < r0.size(); ++i) {
    change += std::fabs(static_cast<double>(r1[i]) - r0[i]);
    const double d = static_cast<double>(x1[i]) - x0[i];
    distance += d * d;
  }
  return distance > 0 ? change / std::sqrt(distance) : 0;
}

Scores score(const Evaluation& e, const Parameters& p) {
  const Shape& s = e.inputs.shape();
  const auto size = static_cast<std::size_t>(e.inputs.elements() / s[0]);
  const std::int64_t neighbours = p.integer("neighbours");
  const std::int64_t path = s.rank() == 4 ? p.integer("path") : 0;
  const auto per_image = static_cast<std::size_t>(neighbours + path);
  if (per_image == 0) return {std::vector<double>(static_cast<std::size_t>(s[0]), 0)};
  Shape shape = s;
  shape[0] = s[0] * static_cast<std::int64_t>(per_image);
  Tensor moved = Tensor::empty(DType::f32, shape);
  std::vector<std::int64_t> targets;
  std::vector<std::uint64_t> ids;
  const auto at = [&](auto& tensor, std::size_t row) {
    return tensor.template data<float>().subspan(row * size, size);
  };
  for (std::int64_t i = 0; i < s[0]; ++i) {
    const auto x = at(e.inputs, static_cast<std::size_t>(i));
    double norm = 0;
    for (float v : x) norm += static_cast<double>(v) * v;
    const double sigma = p.number("radius") * std::sqrt(norm / static_cast<double>(size));
    RandomStream random = e.random("continuity", i);
    for (std::size_t k = 0; k < per_image; ++k) {
      const auto to = at(moved, static_cast<std::size_t>(i) * per_image + k);
      if (k < static_cast<std::size_t>(neighbours)) {
        for (std::size_t j = 0; j < size; ++j) to[j] = static_cast<float>(x[j] + sigma * random.normal());
      } else {
        translate(x, to, s, static_cast<std::int64_t>(k) - neighbours + 1, 0);
      }
      targets.push_back(e.targets[static_cast<std::size_t>(i)]);
      ids.push_back(e.ids[static_cast<std::size_t>(i)] * 1'000'003 + k + 1);
    }
  }
  const Tensor relevance = e.explain(moved, targets, ids);
  Scores result;
  for (std::size_t i = 0; i < static_cast<std::size_t>(s[0]); ++i) {
    double worst = 0;
    std::vector<double> steps;
    for (std::size_t k = 0; k < per_image; ++k) {
      const std::size_t row = i * per_image + k;
      // Along the path every step is compared with the one before.
      const bool first = k <= static_cast<std::size_t>(neighbours);
      const auto r0 = first ? at(e.relevance, i) : at(relevance, row - 1);
      const auto x0 = first ? at(e.inputs, i) : at(moved, row - 1);
      const double r = ratio(r0, at(relevance, row), x0, at(moved, row));
      worst = std::max(worst, r);
      if (k >= static_cast<std::size_t>(neighbours)) steps.push_back(r);
    }
    result.values.push_back(worst);
    result.curves["path"].push_back(std::move(steps));
  }
  return result;
}

}  // namespace

const Metric kContinuity = {
    .name = "continuity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relevance per input distance",
    .source = "Montavon et al. 2018",
    .about =
        "Largest change of relevance (L1) per change of input (L2), over noisy neighbours and the steps of a "
        "sideways translation.",
    .parameters = {{"neighbours", std::int64_t{4}, "noisy copies", 0, 10000},
                   {"radius", 0.02, "noise relative to the input's root mean square", 1e-9, 10},
                   {"path", std::int64_t{4}, "translations by one pixel each", 0, 10000}},
    .needs_explainer = true,
    .score_all = score,
};

}  // namespace heatproof
