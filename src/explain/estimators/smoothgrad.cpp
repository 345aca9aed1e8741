// SmoothGrad: the gradient's mean over noisy copies of the input. Smilkov et al. 2017; its square
// (SmoothGrad-squared, Hooker et al. 2019) and its variance (VarGrad, Adebayo et al. 2018).
#include <algorithm>
#include <memory>

#include "base/random.h"
#include "explain/composite.h"
#include "explain/estimators/estimators.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Copies that one program takes at once, at most.
constexpr std::int64_t kMostAtOnce = 16;

/// Gradients [count, ...] at count points.
Graph gradient_graph(const Network& network, const Parameters& p, std::int64_t count) {
  Builder g;
  Shape shape = network.input_shape();
  shape[0] = count;
  const Value x = g.input("x", {DType::f32, shape});
  const Value target = g.input("target", {DType::i64, {count}});
  const ForwardView forward = forward_view(g, network.graph(count), x, network.options().output_name);
  const Value one_hot = g.add(kOneHot, {target}, {{"depth", network.classes()}});
  g.output("gradient", propagate({x, explained(forward, p), one_hot, {}, {}}, gradients()));
  return g.build();
}

class NoisyGradients {
 public:
  NoisyGradients(const EstimatorSetup& setup, const Parameters& p)
      : seed_(setup.seed),
        samples_(p.integer("samples")),
        noise_(p.number("noise")),
        kind_(p.text("moment")),
        workspace_(program_that_fits(samples_, kMostAtOnce, setup.network, count_,
                                     [&](std::int64_t n) { return gradient_graph(setup.network, p, n); })) {}

  Tensor explain(const Samples& samples) {
    Tensor relevance = Tensor::empty(DType::f32, samples.inputs.shape());
    for (std::int64_t n = 0; n < samples.size(); ++n)
      explain(samples, n, relevance.rows(n, n + 1).data<float>());
    return relevance;
  }

 private:
  void explain(const Samples& samples, std::int64_t n, std::span<float> relevance) {
    const auto x = samples.row(n);
    const auto [low, high] = std::ranges::minmax(x);
    const double deviation = noise_ * static_cast<double>(high - low);
    const std::vector<std::int64_t> targets(static_cast<std::size_t>(count_),
                                            samples.targets[static_cast<std::size_t>(n)]);
    const Tensor target = Tensor::of({count_}, std::span<const std::int64_t>(targets));
    RandomStream random(seed_, {"smoothgrad"}, samples.ids[static_cast<std::size_t>(n)]);
    Shape shape = samples.inputs.shape();
    shape[0] = count_;
    std::vector<double> sum(x.size(), 0);
    std::vector<double> squares(x.size(), 0);
    for (std::int64_t first = 0; first < samples_; first += count_) {
      const std::int64_t used = std::min(count_, samples_ - first);
      Tensor points = Tensor::zeros(DType::f32, shape);
      for (std::int64_t k = 0; k < used; ++k) {
        std::ranges::transform(x, points.rows(k, k + 1).data<float>().begin(),
                               [&](float v) { return static_cast<float>(v + deviation * random.normal()); });
      }
      for (std::int64_t k = used; k < count_; ++k)
        std::ranges::copy(x, points.rows(k, k + 1).data<float>().begin());
      const Tensor gradients = workspace_.run({points, target})[0];
      for (std::int64_t k = 0; k < used; ++k) {
        const Tensor gradient = gradients.rows(k, k + 1);
        const auto values = gradient.data<float>();
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double v = values[i];
          sum[i] += v;
          squares[i] += v * v;
        }
      }
    }
    const auto count = static_cast<double>(samples_);
    for (std::size_t i = 0; i < relevance.size(); ++i) {
      const double mean = sum[i] / count;
      const double square = squares[i] / count;
      relevance[i] =
          static_cast<float>(kind_ == "mean"     ? mean
                             : kind_ == "square" ? square
                                                 : std::max(square - mean * mean, 0.0));  // NaN stays
    }
  }

  std::uint64_t seed_;
  std::int64_t samples_;
  double noise_;
  std::string kind_;
  std::int64_t count_ = 0;
  Workspace workspace_;
};

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const auto gradients = std::make_shared<NoisyGradients>(setup, p);
  return [gradients](const Samples& samples) { return gradients->explain(samples); };
}

}  // namespace

Method smoothgrad() {
  return {.name = "smoothgrad",
          .parameters = {{"samples", std::int64_t{32}, "noisy copies of the input", 1.0, 1e6},
                         {"noise", 0.15, "standard deviation, as a share of the input's range", 0.0},
                         {"moment",
                          std::string("mean"),
                          "mean of the gradients, of their squares, or their variance (VarGrad)",
                          {},
                          {},
                          {"mean", "square", "variance"}},
                         output_parameter(),
                         pool_parameter()},
          .about = "mean gradient over noisy copies of the input",
          .source = "Smilkov et al. 2017; Hooker et al. 2019; Adebayo et al. 2018",
          .estimator = estimator};
}

}  // namespace heatproof
