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

/// Median over samples of Σ R / f(x).
Interval ratio(const Network& network, const std::string& recipe, const Tensor& x) {
  const Tensor logits = network.predict(x);
  const Tensor r = explain(network, {recipe}, x, std::vector<std::int64_t>(kSamples, 0))[0];
  std::vector<double> ratios;
  for (std::size_t i = 0; i < static_cast<std::size_t>(kSamples); ++i) {
    double sum = 0;
    for (float v : r.data<float>().subspan(i * kWidth, kWidth)) sum += v;
    ratios.push_back(sum / logits.data<float>()[i]);
  }
  return median_of(std::move(ratios));
}

/// Largest |relevance| at x = (1, 1) of the network whose hidden sum is delta.
double largest(const std::string& recipe, double delta) {
  const std::vector<float> ones{1, 1};
  const Tensor x = Tensor::of({1, 2}, std::span<const float>(ones));
  const Tensor r = explain(nearly_cancelling(delta), {recipe}, x, {0})[0];
  return std::max(std::fabs(r.data<float>()[0]), std::fabs(r.data<float>()[1]));
}

/// A division by nearly zero: what it does to relevance, and what the stabilizer and z⁺ make of it.
void add_division(report::Page& page, std::vector<Figure>& figures) {
  constexpr double kStabilizer = 0.01;
  std::vector<std::vector<std::string>> rows;
  for (const double delta : {0.1, 0.01, 0.001, 0.0001}) {
    const double bare = largest("lrp_epsilon:epsilon=0", delta);
    const double stabilized = largest("lrp_epsilon:epsilon=0.01", delta);
    const double exciting = largest("lrp_zplus", delta);
    rows.push_back({report::number(delta), report::number(bare, 4), report::number(1 / delta, 4),
                    report::number(stabilized, 4), report::number(exciting, 4)});
    // One hidden neuron: R_1 = R_out / (1 + ε) · 1 / (δ + ε).
    const double expected = 1 / (1 + kStabilizer) / (delta + kStabilizer);
    figures.push_back({fmt::format("largest relevance without stabilizer, δ = {:g}", delta), bare, 1 / delta,
                       0.01 / delta});
    figures.push_back({fmt::format("largest relevance with ε = 0.01, δ = {:g}", delta), stabilized, expected,
                       0.01 * expected});
    figures.push_back({fmt::format("largest relevance of z⁺, δ = {:g}", delta), exciting, 1, 1e-3});
  }
  page.section("A division by nearly zero");
  page.text(
      "relu(x₁ − (1 − δ)·x₂) / δ at x = (1, 1): the score is 1 for every δ, but it comes from a neuron whose "
      "contributions, 1 and δ − 1, nearly cancel: their sum, which relevance is divided by, is δ. Without a "
      "stabilizer LRP conserves and explodes, R = (1, δ − 1) / δ; ε "
      "bounds relevance at the price of conservation; z⁺ leaves out what inhibits and stays at the score.");
  page.table({"δ", "largest |R|, no stabilizer", "closed form 1/δ", "ε = 0.01", "z⁺"}, rows,
             {true, true, true, true, true});
}

/// Σ|R| / |f| of gradient × input and z⁺ by depth, in networks that keep the size of their activations.
struct Growth {
  Interval first, last;  // of gradient × input, at the least and most layers
};

Growth add_explosion(report::Page& page, std::vector<Figure>& figures, std::uint64_t seed) {
  const Tensor x = inputs(seed);
  const std::vector<std::string> recipes{"gradient_x_input", "lrp_zplus:bias=ignore"};
  const std::vector<double> depths{2, 5, 10, 20, 30, 40};
  std::vector<std::vector<double>> series(recipes.size());
  std::vector<Interval> gradients;
  for (const double depth : depths) {
    const Network network = normalised_relu_network(static_cast<std::int64_t>(depth), kWidth, seed);
    const Tensor logits = network.predict(x);
    const auto relevance = explain(network, recipes, x, std::vector<std::int64_t>(kSamples, 0));
    for (std::size_t k = 0; k < recipes.size(); ++k) {
      std::vector<double> sizes;
      for (std::size_t i = 0; i < static_cast<std::size_t>(kSamples); ++i) {
        double sum = 0;
        for (float v : relevance[k].data<float>().subspan(i * kWidth, kWidth)) sum += std::fabs(v);
        sizes.push_back(sum / std::fabs(logits.data<float>()[i]));
      }
      const Interval size = median_of(std::move(sizes));
      series[k].push_back(size.mean);
      if (k == 0) gradients.push_back(size);
    }
  }
  page.section("Explosion with depth");
  page.text(
      "Another family than above: random networks whose activations keep their size and spread from layer to "
      "layer, as batch normalisation makes them (`heatproof demo depth` compares both kinds, and trained "
      "networks). "
      "Sum of |relevance| over |score|, median over 24 inputs.");
  add_chart(page, {depths, recipes, series, "layers", "sum of |relevance| / |score|", true});
  figures.push_back(question("normalised: gradient × input grows more than tenfold from 2 to 40 layers",
                             series[0].back() > 10 * series[0].front()));
  figures.push_back({"normalised: z⁺ at 40 layers, sum of |relevance| / |score|", series[1].back(), 1, 1e-2});
  return {gradients.front(), gradients.back()};
}

/// What came out, in one sentence per network family.
std::string outcome_of(const std::vector<Figure>& figures, const Interval& farthest, const Growth& growth) {
  std::string conserving = "every method conserves";
  std::string ignoring = "Rules that leave the bias out keep the sum at the score";
  for (const Figure& f : figures) {
    if (f.holds()) continue;
    if (f.name.ends_with("without biases")) conserving = "not every method conserves";
    if (f.name.ends_with("with biases")) ignoring = "Not even all rules that leave the bias out keep the sum";
  }
  return fmt::format(
      "Without biases {}. With biases, the sum of gradient × input goes as far as {} times the score "
      "(He-initialised networks, 1 to 32 layers). Where activations keep their size, as after batch "
      "normalisation, its magnitude goes from {} to {} times the score between 2 and 40 layers. {}. (Medians "
      "over "
      "{} inputs, with 95 % intervals.)",
      conserving, interval_text(farthest), interval_text(growth.first), interval_text(growth.last), ignoring,
      kSamples);
}

Result run(const Options& options) {
  const Tensor x = inputs(options.seed);
  const std::vector<std::string> recipes{"gradient_x_input", "lrp_epsilon", "lrp_zplus",
                                         "lrp_zplus:bias=ignore",
                                         "deep_taylor:gamma=0.25,input=same,bias=ignore"};
  std::vector<Figure> figures;
  for (const std::string& recipe : recipes)
    figures.push_back({recipe + ", 8 layers without biases",
                       ratio(random_relu_network(8, kWidth, false, options.seed), recipe, x).mean, 1, 1e-3});
  for (const std::string& recipe : {recipes[3], recipes[4]})
    figures.push_back({recipe + ", 8 layers with biases",
                       ratio(random_relu_network(8, kWidth, true, options.seed), recipe, x).mean, 1, 1e-3});
  std::vector<double> depths;
  std::vector<std::vector<double>> series(recipes.size());
  Interval farthest{1, 1, 1};
  std::vector<std::vector<std::string>> table;
  for (const std::int64_t depth : {1, 2, 4, 8, 16, 32}) {
    const Network network = random_relu_network(depth, kWidth, true, options.seed);
    depths.push_back(static_cast<double>(depth));
    table.push_back({fmt::format("{}", depth)});
    for (std::size_t k = 0; k < recipes.size(); ++k) {
      const Interval value = ratio(network, recipes[k], x);
      series[k].push_back(value.mean);
      table.back().push_back(interval_text(value));
      if (k == 0 && std::fabs(value.mean - 1) > std::fabs(farthest.mean - 1)) farthest = value;
    }
  }
  figures.push_back(question("gradient × input with biases: farthest from 1 over depth is above 0.1",
                             std::fabs(farthest.mean - 1) > 0.1));
  report::Page page = start_page(kConservationDemo, "", true);
  page.section("Sum of relevance over score, by depth");
  page.text(
      "He-initialised ReLU networks with random biases, 32 neurons wide; median over 24 inputs, in "
      "brackets its 95 % interval (two of the sorted values). 1 is conservation. (Dashed "
      "lines lie upon others: lrp_epsilon is gradient × input here, and both rules with bias=ignore "
      "conserve.)");
  add_chart(page, {depths,
                   recipes,
                   series,
                   "layers",
                   "sum of relevance / score",
                   false,
                   {true, false, false, true, false}});
  std::vector<std::string> header{"layers"};
  header.insert(header.end(), recipes.begin(), recipes.end());
  page.table(header, table, std::vector<bool>(header.size(), true));
  const Growth growth = add_explosion(page, figures, options.seed);
  add_division(page, figures);
  const bool holds = all_hold(figures);
  const std::string outcome = outcome_of(figures, farthest, growth);
  page.headline(outcome).warn(!holds);
  page.section("Figures");
  add_figures(page, figures);
  page.section("What it shows");
  page.text(
      "gradient × input sums to f(x) − Σ b·∂f/∂b: what biases contribute is missing. LRP with the bias in "
      "the denominator lets it absorb its "
      "share; without it (`bias=ignore`) nothing is lost. A stabilizer keeps nearly "
      "vanishing denominators from exploding, which costs a share of about ε/|z|.");
  return {outcome,
          holds,
          std::move(page),
          {{"figures", to_json(figures)}, {"depths", depths}, {"ratios", series}}};
}

}  // namespace

const Demo kConservationDemo = {
    "conservation",
    "Gradient × input is not conservative when a network has biases, and explodes with depth; LRP conserves "
    "when the bias takes no share, and needs a stabilizer where denominators nearly vanish.",
    "Bach et al. 2015; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
