// Integrated gradients: (x − x₀) ∫ ∂f(x₀ + α(x − x₀))/∂x dα. Sundararajan, Taly and Yan 2017, eq. 1.
#include <algorithm>
#include <memory>

#include "explain/composite.h"
#include "explain/estimators/estimators.h"
#include "explain/estimators/first_layer.h"
#include "explain/estimators/quadrature.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Steps that one program takes at once, at most: more do not make it faster.
constexpr std::int64_t kMostAtOnce = 16;

/// The share of `count` steps in the integral of one image. Inputs: x [1, ...], alpha and weight [count],
/// target i64 [count].
Graph path_graph(const EstimatorSetup& setup, const Parameters& p, std::int64_t count) {
  const Network& network = setup.network;
  Builder g;
  const Shape& shape = network.input_shape();
  const Value x = g.input("x", {DType::f32, shape});
  const Value alpha = g.input("alpha", {DType::f32, {count}});
  const Value weight = g.input("weight", {DType::f32, {count}});
  const Value target = g.input("target", {DType::i64, {count}});
  const Value x0 =
      baseline(x, p.text("baseline"), box_edge(g, setup.low, 0, shape), box_edge(g, setup.high, 1, shape));
  // A network that only runs in batches is not cut: its first layer is there for one row no more than the
  // rest.
  const bool cuts = network.unit() == 1;
  const Head end = cuts ? head_of(g, network.graph(1), x) : Head{x, std::nullopt};
  const Head start = cuts ? head_of(g, network.graph(1), x0) : Head{x0, std::nullopt};
  Shape wide(end.cut.shape().size(), 1);
  wide[0] = count;
  const Value points = start.cut + reshape(alpha, wide) * (end.cut - start.cut);
  const ForwardView forward = forward_view(g, cuts ? tail_of(network.graph(count)) : network.graph(count),
                                           points, network.options().output_name);
  const Value one_hot = g.add(kOneHot, {target}, {{"depth", network.classes()}});
  const Value gradient =
      propagate({points, explained(forward, p), one_hot * reshape(weight, {count, 1}), {}, {}}, gradients());
  g.output("relevance", masked(x - x0, pull_back(end, reduce_sum(gradient, {0}, true))));
  return g.build();
}

class Path {
 public:
  Path(const EstimatorSetup& setup, const Parameters& p)
      : rule_(quadrature(p.text("rule"), p.integer("steps"))),
        workspace_(program_that_fits(p.integer("steps"), kMostAtOnce, setup.network, count_,
                                     [&](std::int64_t n) { return path_graph(setup, p, n); })) {}

  Tensor explain(const Samples& samples) {
    Tensor relevance = Tensor::empty(DType::f32, samples.inputs.shape());
    for (std::int64_t n = 0; n < samples.size(); ++n) {
      const Tensor x = samples.inputs.rows(n, n + 1);
      std::vector<double> sum(static_cast<std::size_t>(x.elements()), 0);
      for (std::size_t first = 0; first < rule_.points.size(); first += static_cast<std::size_t>(count_))
        add_part(x, samples.targets[static_cast<std::size_t>(n)], first, sum);
      std::ranges::transform(sum, relevance.rows(n, n + 1).data<float>().begin(),
                             [](double r) { return static_cast<float>(r); });
    }
    return relevance;
  }

 private:
  void add_part(const Tensor& x, std::int64_t target, std::size_t first, std::vector<double>& sum) {
    const auto count = static_cast<std::size_t>(count_);
    std::vector<float> alpha(count, static_cast<float>(rule_.points.back()));
    std::vector<float> weight(count, 0);  // steps beyond the last count nothing
    for (std::size_t k = 0; k < std::min(count, rule_.points.size() - first); ++k) {
      alpha[k] = static_cast<float>(rule_.points[first + k]);
      weight[k] = static_cast<float>(rule_.weights[first + k]);
    }
    const std::vector<std::int64_t> targets(count, target);
    const std::vector<Tensor> part =
        workspace_.run({x, Tensor::of({count_}, std::span<const float>(alpha)),
                        Tensor::of({count_}, std::span<const float>(weight)),
                        Tensor::of({count_}, std::span<const std::int64_t>(targets))});
    const auto values = part[0].data<float>();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
  }

  Quadrature rule_;
  std::int64_t count_ = 0;
  Workspace workspace_;
};

Estimate estimator(const EstimatorSetup& setup, const Parameters& p) {
  const auto path = std::make_shared<Path>(setup, p);
  return [path](const Samples& samples) { return path->explain(samples); };
}

}  // namespace

Method integrated_gradients() {
  return {
      .name = "integrated_gradients",
      .parameters =
          {{"steps", std::int64_t{64}, "points on the line from the baseline to the input", 1, 1e6},
           {"rule", std::string("midpoint"), "how the integral becomes a sum", {}, {}, quadrature_rules()},
           baseline_parameter(),
           output_parameter(),
           pool_parameter()},
      .about = "(input − baseline) times the mean gradient on the line between them",
      .source = "Sundararajan et al. 2017",
      .estimator = estimator};
}

}  // namespace heatproof
