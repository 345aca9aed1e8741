// Continuity: how fast an explanation changes when the input hardly does. Montavon et al. 2018, sec. 7.1.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/threads.h"
#include "heatproof/error.h"
#include "validate/features.h"
#include "validate/metrics.h"
#include "validate/motion.h"

namespace heatproof {

namespace {

/// Explains one changed copy of every sample; `tag` tells the copies apart.
Tensor explain_copies(const Evaluation& e, const Tensor& x, std::uint64_t tag) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id : e.ids) ids.push_back(id * 1'000'003 + tag);
  return e.explain(x, e.targets, ids);
}

/// Noise directions around each sample, and the largest ratio found so far.
struct Worst {
  std::vector<double> ratios;
  Tensor x;  // where it was found
};

double noise_level(const Evaluation& e, std::int64_t i, const Parameters& p) {
  const auto x = row_of(e.inputs, i);
  double norm = 0;
  for (float v : x) norm += static_cast<double>(v) * v;
  return p.number("radius") * std::sqrt(norm / static_cast<double>(x.size()));
}

void look_at(const Evaluation& e, const Tensor& x, std::uint64_t tag, Worst& worst) {
  const Tensor relevance = explain_copies(e, x, tag);
  try_parallel_for(e.size(), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    const double r =
        change_per_distance(row_of(e.relevance, i), row_of(relevance, i), row_of(e.inputs, i), row_of(x, i));
    if (r > worst.ratios[at]) {
      worst.ratios[at] = r;
      std::ranges::copy(row_of(x, i), row_of(worst.x, i).begin());
    }
  });
}

Worst noisy_neighbours(const Evaluation& e, const Parameters& p) {
  Worst worst{std::vector<double>(static_cast<std::size_t>(e.size()), 0), e.inputs.clone()};
  for (std::int64_t k = 0; k < p.integer("neighbours"); ++k) {
    Tensor x = e.inputs.clone();
    try_parallel_for(e.size(), [&](std::int64_t i) {
      RandomStream random = e.random("continuity " + std::to_string(k), i);
      const double sigma = noise_level(e, i, p);
      for (float& v : row_of(x, i)) v += static_cast<float>(sigma * random.normal());
    });
    look_at(e, x, static_cast<std::uint64_t>(k) + 1, worst);
  }
  return worst;
}

/// Ascends from the worst neighbour: a random turn of its direction is kept where the ratio grows.
/// (Explanations by gradients are constant between the kinks of ReLU networks, so there is no slope to
/// follow.)
void ascend(const Evaluation& e, const Parameters& p, Worst& worst) {
  for (std::int64_t k = 0; k < p.integer("ascent"); ++k) {
    Tensor x = worst.x.clone();
    for (std::int64_t i = 0; i < e.size(); ++i) {
      RandomStream random = e.random("continuity ascent " + std::to_string(k), i);
      const auto origin = row_of(e.inputs, i);
      const auto to = row_of(x, i);
      const double sigma = noise_level(e, i, p);
      const double radius = sigma * std::sqrt(static_cast<double>(to.size()));
      std::vector<double> direction;
      double norm = 0;
      for (std::size_t f = 0; f < to.size(); ++f) {
        direction.push_back(static_cast<double>(to[f]) - origin[f] + 0.5 * sigma * random.normal());
        norm += direction.back() * direction.back();
      }
      const double scale = norm > 0 ? radius / std::sqrt(norm) : 0;
      for (std::size_t f = 0; f < to.size(); ++f)
        to[f] = static_cast<float>(origin[f] + scale * direction[f]);
    }
    look_at(e, x, 500'000 + static_cast<std::uint64_t>(k), worst);
  }
}

/// Ratios of every step along a motion, [sample][step].
std::vector<std::vector<double>> along_path(const Evaluation& e, const Parameters& p) {
  std::vector<std::vector<double>> steps(static_cast<std::size_t>(e.size()));
  if (e.inputs.shape().rank() != 4) return steps;
  Tensor before = e.inputs;
  Tensor relevance_before = e.relevance;
  const auto row = [](const Tensor& t, std::int64_t i) { return row_of(t, i); };
  for (std::int64_t k = 1; k <= p.integer("path"); ++k) {
    Tensor x = Tensor::empty(DType::f32, e.inputs.shape());
    try_parallel_for(e.size(), [&](std::int64_t i) {
      move_image(p.text("motion"), row_of(e.inputs, i), e.inputs.shape(), e.black, k, row_of(x, i));
    });
    const Tensor relevance = explain_copies(e, x, 900'000 + static_cast<std::uint64_t>(k));
    for (std::int64_t i = 0; i < e.size(); ++i)
      steps[static_cast<std::size_t>(i)].push_back(
          change_per_distance(row(relevance_before, i), row(relevance, i), row(before, i), row(x, i)));
    before = x;
    relevance_before = relevance;
  }
  return steps;
}

/// Shifts a row of pixels by dx; what comes in is `filler`.
void shift(std::span<const float> x, std::int64_t width, std::int64_t dx, float filler, std::span<float> to) {
  for (std::size_t f = 0; f < x.size(); ++f) {
    const std::int64_t from = static_cast<std::int64_t>(f) % width - dx;
    to[f] = from >= 0 && from < width ? x[f - static_cast<std::size_t>(static_cast<std::int64_t>(f) % width) +
                                          static_cast<std::size_t>(from)]
                                      : filler;
  }
}

/// Quantus: the input slides through the frame from side to side; every position is compared with the
/// original.
Scores as_quantus(const Evaluation& e, const Parameters& p) {
  const std::int64_t width = e.inputs.shape().back();
  const std::int64_t dx = (2 * width + 1) / p.integer("nr_steps");
  const auto own = attributions(e.relevance, p);
  Scores s;
  s.values.assign(own.size(), 0);
  std::int64_t position = -width;
  for (std::int64_t k = 0; k < p.integer("nr_steps"); ++k) {
    position += dx;
    Tensor x = Tensor::empty(DType::f32, e.inputs.shape());
    for (std::int64_t i = 0; i < e.size(); ++i)
      shift(row_of(e.inputs, i), width, position, std::ranges::min(row_of(e.inputs, i)), row_of(x, i));
    const auto moved = attributions(explain_copies(e, x, static_cast<std::uint64_t>(k) + 1), p);
    for (std::int64_t i = 0; i < e.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double r =
          change_per_distance(std::span<const double>(own[at]), std::span<const double>(moved[at]),
                              row_of(e.inputs, i), row_of(std::as_const(x), i), 1e-9);
      s.values[at] = std::max(s.values[at], r);
    }
  }
  return s;
}

Scores score(const Evaluation& e, const Parameters& p) {
  if (p.flag("as_quantus")) return as_quantus(e, p);
  Worst worst = noisy_neighbours(e, p);
  ascend(e, p, worst);
  const auto steps = along_path(e, p);
  Scores result{worst.ratios, {{"path", steps}}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (double r : steps[i]) result.values[i] = std::max(result.values[i], r);
  }
  return result;
}

}  // namespace

const Metric kContinuity = {
    .name = "continuity",
    .group = Group::robustness,
    .better = Better::lower,
    .unit = "relevance per input distance",
    .source = "Montavon et al. 2018, sec. 7.1",
    .about =
        "Largest change of relevance (L1) per change of input (L2), over noisy neighbours, steps of ascent "
        "from the worst "
        "of them, and the steps of a motion.",
    .parameters = {{"neighbours", std::int64_t{4}, "noisy copies", 0, 10000},
                   {"radius", 0.02, "noise relative to the input's root mean square", 1e-9, 10},
                   {"ascent", std::int64_t{0}, "steps from the worst neighbour to a worse one", 0, 10000},
                   {"path", std::int64_t{4}, "steps of the motion", 0, 10000},
                   {"motion",
                    std::string("translation"),
                    "by a pixel, two degrees, or 3 % darker each",
                    {},
                    {},
                    motion_names()},
                   {"as_quantus", false,
                    "as Quantus 0.6 with its abs and normalise; other parameters are not used"},
                   {"nr_steps", std::int64_t{28}, "positions, with as_quantus", 1, 10000},
                   absolute_parameter(false),
                   normalise_parameter("none")},
    .needs_explainer = true,
    .score_all = score,
};

}  // namespace heatproof
