// Occlusion: how far the score falls when a window is covered; each position gets the mean over the windows
// that cover it. Zeiler and Fergus 2014; windows and their borders as captum's Occlusion.
#include <fmt/format.h>

#include <algorithm>

#include "explain/estimators/estimators.h"
#include "explain/incremental.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// The axes that windows slide along; every window takes all channels. Inputs without channels have one.
struct Windows {
  std::int64_t channels = 1;
  std::vector<std::int64_t> sizes;   // of the axes
  std::vector<std::int64_t> counts;  // of windows along them
  std::int64_t patch = 1, stride = 1;

  std::int64_t size() const {
    std::int64_t n = 1;
    for (std::int64_t count : counts) n *= count;
    return n;
  }
  std::int64_t positions() const {
    std::int64_t n = 1;
    for (std::int64_t s : sizes) n *= s;
    return n;
  }
  /// Calls use(position) for every position that a window covers.
  template <typename F>
  void visit(std::int64_t window, F&& use) const {
    visit(window, sizes.size(), 0, 1, use);
  }

  /// Whether no part of a window sticks out at the end.
  bool is_inside(std::int64_t k) const {
    for (std::size_t axis = sizes.size(); axis-- > 0; k /= counts[axis])
      if (k % counts[axis] * stride + patch > sizes[axis]) return false;
    return true;
  }

  /// First position of the whole window that holds window `k`: those that stick out at the end are moved
  /// inside.
  std::vector<std::int64_t> first(std::int64_t k) const {
    std::vector<std::int64_t> at(sizes.size());
    for (std::size_t axis = sizes.size(); axis-- > 0; k /= counts[axis])
      at[axis] = std::min(k % counts[axis] * stride, sizes[axis] - patch);
    return at;
  }

 private:
  /// Axes from the last to the first; `offset` is of those already fixed, `step` the length of a position.
  template <typename F>
  void visit(std::int64_t window, std::size_t axes, std::int64_t offset, std::int64_t step, F& use) const {
    if (axes == 0) {
      use(static_cast<std::size_t>(offset));
      return;
    }
    const std::size_t axis = axes - 1;
    const std::int64_t begin = window % counts[axis] * stride;
    const std::int64_t end = std::min(begin + patch, sizes[axis]);
    for (std::int64_t i = begin; i < end; ++i)
      visit(window / counts[axis], axis, offset + i * step, step * sizes[axis], use);
  }
};

Windows windows_of(const Shape& shape, const Parameters& p) {
  Windows w;
  w.patch = p.integer("patch");
  w.stride = p.integer("stride");
  const std::size_t first = shape.rank() < 3 ? 1 : 2;
  if (first == 2) w.channels = shape[1];
  w.sizes.assign(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end());
  for (std::int64_t size : w.sizes) {
    if (w.patch > size) {
      throw UsageError(
          fmt::format("occlusion: patch={} is larger than the network's input {}; choose at most {}", w.patch,
                      to_string(shape), *std::ranges::min_element(w.sizes)));
    }
    if (w.stride > w.patch && size > w.patch) {
      throw UsageError(
          fmt::format("occlusion: stride={} leaves gaps between windows of patch={}; choose at most {}",
                      w.stride, w.patch, w.patch));
    }
    w.counts.push_back(window_count(size, w.patch, w.stride));
  }
  return w;
}

/// Mean fall over the windows that cover a position, in all channels alike.
void spread(const Windows& w, const std::vector<double>& scores, std::span<float> relevance) {
  const auto positions = static_cast<std::size_t>(w.positions());
  std::vector<double> sum(positions, 0);
  std::vector<double> count(positions, 0);
  for (std::int64_t k = 0; k < w.size(); ++k) {
    const double fall = scores[0] - scores[static_cast<std::size_t>(k) + 1];
    w.visit(k, [&](std::size_t i) { sum[i] += fall, ++count[i]; });
  }
  for (std::size_t i = 0; i < relevance.size(); ++i)
    relevance[i] = static_cast<float>(sum[i % positions] / count[i % positions]);
}

/// Scores [sample][copy]; copy 0 is the input itself, so that both scores of a difference come from the same
/// program.
std::vector<std::vector<double>> scores_of_windows(const EstimatorSetup& setup, const Windows& w,
                                                   ScoreKind kind, const Samples& samples,
                                                   const Samples& covers) {
  const std::int64_t copies = w.size() + 1;
  const auto positions = static_cast<std::size_t>(w.positions());
  const auto whole = static_cast<std::size_t>(samples.inputs.elements() / samples.size());
  std::vector<std::vector<double>> scores(static_cast<std::size_t>(samples.size()),
                                          std::vector<double>(static_cast<std::size_t>(copies)));
  const auto place = [&](std::int64_t i) { return w.first(std::max<std::int64_t>(0, i % copies - 1)); };
  const std::vector<std::int64_t> patch(w.sizes.size(), w.patch);
  setup.network.edit_windows(
      {.count = samples.size() * copies,
       .patch = patch,
       .image = [=](std::int64_t i) { return i / copies; },
       .base = [&](std::int64_t n) { return samples.row(n); },
       .first = place,
       .change =
           [&](std::int64_t i, std::span<float> window) {
             if (i % copies == 0) return;
             if (w.is_inside(i % copies - 1)) {
               std::ranges::copy(window_of(samples.inputs.shape(), patch, covers.row(i / copies), place(i)),
                                 window.begin());
               return;
             }
             std::vector<float> x(whole);
             put_window(samples.inputs.shape(), patch, window, place(i), x);
             const auto cover = covers.row(i / copies);
             for (std::size_t c = 0; c < whole; c += positions)
               w.visit(i % copies - 1, [&](std::size_t k) { x[c + k] = cover[c + k]; });
             std::ranges::copy(window_of(samples.inputs.shape(), patch, x, place(i)), window.begin());
           },
       .use =
           [&](std::int64_t i, std::span<const float> s) {
             const auto n = static_cast<std::size_t>(i / copies);
             scores[n][static_cast<std::size_t>(i % copies)] =
                 s[static_cast<std::size_t>(samples.targets[n])];
           }},
      kind);
  return scores;
}

/// The same for inputs without channels, whose windows are runs of features.
std::vector<std::vector<double>> scores_of_runs(const EstimatorSetup& setup, const Windows& w, ScoreKind kind,
                                                const Samples& samples, const Samples& covers) {
  return scores_of_copies(setup.network, samples, kind, w.size() + 1,
                          [&](std::int64_t n, std::int64_t copy, std::span<float> x) {
                            if (copy == 0) return;
                            w.visit(copy - 1, [&, cover = covers.row(n)](std::size_t i) { x[i] = cover[i]; });
                          });
}

Tensor occlude(const EstimatorSetup& setup, const Windows& w, const Parameters& p, const Samples& samples) {
  const Tensor baselines = baselines_of(setup, samples, p.text("baseline"));
  const Samples covers{baselines, samples.targets, samples.ids};
  const bool channels = samples.inputs.shape().rank() > 2;
  const auto scores = (channels ? scores_of_windows : scores_of_runs)(setup, w, score_kind(setup.network, p),
                                                                      samples, covers);
  Tensor relevance = Tensor::empty(DType::f32, samples.inputs.shape());
  for (std::int64_t n = 0; n < samples.size(); ++n)
    spread(w, scores[static_cast<std::size_t>(n)], relevance.rows(n, n + 1).data<float>());
  return relevance;
}

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const Windows w = windows_of(setup.network.input_shape(), p);
  return [setup, w, p](const Samples& samples) { return occlude(setup, w, p, samples); };
}

}  // namespace

std::int64_t window_count(std::int64_t size, std::int64_t patch, std::int64_t stride) {
  return (size - patch + stride - 1) / stride + 1;
}

Method occlusion() {
  return {.name = "occlusion",
          .parameters = {{"patch", std::int64_t{8}, "side of the window, in pixels", 1, 1e6},
                         {"stride", std::int64_t{4}, "pixels from one window to the next", 1, 1e6},
                         baseline_parameter(),
                         score_parameter(),
                         pool_parameter()},
          .about = "how far the score falls when a window is covered, averaged over windows",
          .source = "Zeiler and Fergus 2014",
          .estimator = estimator};
}

}  // namespace heatproof
