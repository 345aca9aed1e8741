// Conservation: the sum of relevance against the score, for networks with and without biases.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "demo/networks.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kWidth = 32;
constexpr std::int64_t kSamples = 24;

/// Random inputs that are not negative.
Tensor inputs(std::uint64_t seed) {
  RandomStream random(seed, {"conservation demo"});
  Tensor x = Tensor::empty(DType::f32, {kSamples, kWidth});
  for (float& v : x.data<float>()) v = static_cast<float>(std::fabs(random.normal()));
  return x;
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

/// Median over samples of Σ R / f(x).
double ratio(const Network& network, const std::string& recipe, const Tensor& x) {
  const Tensor logits = network.predict(x);
  const Tensor r = explain(network, {recipe}, x, std::vector<std::int64_t>(kSamples, 0))[0];
  std::vector<double> ratios;
  for (std::size_t i = 0; i < static_cast<std::size_t>(kSamples); ++i) {
    double sum = 0;
    for (float v : r.data<float>().subspan(i * kWidth, kWidth)) sum += v;
    ratios.push_back(sum / logits.data<float>()[i]);
  }
  return median(ratios);
}

Result run(const Options& options) {
  const Tensor x = inputs(options.seed);
  const std::vector<std::string> recipes{"gradient_x_input", "lrp_epsilon", "lrp_zplus",
                                         "lrp_zplus:bias=ignore",
                                         "deep_taylor:gamma=0.25,input=same,bias=ignore"};
  std::vector<Figure> figures;
  for (const std::string& recipe : recipes)
    figures.push_back({recipe + ", 8 layers without biases",
                       ratio(random_relu_network(8, kWidth, false, options.seed), recipe, x), 1, 1e-3});
  for (const std::string& recipe : {recipes[3], recipes[4]})
    figures.push_back({recipe + ", 8 layers with biases",
                       ratio(random_relu_network(8, kWidth, true, options.seed), recipe, x), 1, 1e-3});
  nlohmann::json labels = nlohmann::json::array();
  std::vector<std::vector<double>> series(recipes.size());
  double farthest = 0;
  for (const std::int64_t depth : {1, 2, 4, 8, 16, 32}) {
    const Network network = random_relu_network(depth, kWidth, true, options.seed);
    labels.push_back(depth);
    for (std::size_t k = 0; k < recipes.size(); ++k) {
      const double value = ratio(network, recipes[k], x);
      series[k].push_back(value);
      if (k == 0) farthest = std::max(farthest, std::fabs(value - 1));
    }
  }
  figures.push_back({"gradient × input with biases: farthest from 1 over depth is above 0.1",
                     farthest > 0.1 ? 1.0 : 0.0, 1, 0});
  const bool holds = all_hold(figures);
  const std::string outcome = fmt::format(
      "Without biases every method conserves; with biases gradient × input is off by up to {:.0f} %, while "
      "rules that leave the bias out keep "
      "the sum at every depth.",
      100 * farthest);
  report::Page page = start_page(kConservationDemo, outcome, holds);
  page.section("Sum of relevance over score, by depth");
  page.text("Random ReLU networks with biases, 32 neurons wide; median over 24 inputs. 1 is conservation.");
  add_chart(page, {labels, recipes, series, "layers", "sum of relevance / score"});
  page.section("Figures");
  add_figures(page, figures);
  page.section("What it shows");
  page.text(
      "gradient × input sums to f(x) − Σ b·∂f/∂b: what biases contribute is missing. LRP with the bias in "
      "the denominator lets it absorb its "
      "share; without it (`bias=ignore`) nothing is lost. Small denominators are kept from exploding by the "
      "stabilizer, which costs a share of "
      "about ε/|z|.");
  return {outcome,
          holds,
          std::move(page),
          {{"figures", to_json(figures)}, {"depths", labels}, {"ratios", series}}};
}

}  // namespace

const Demo kConservationDemo = {
    "conservation",
    "Gradient × input is not conservative when a network has biases; LRP is when the bias takes no share.",
    "Bach et al. 2015; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
