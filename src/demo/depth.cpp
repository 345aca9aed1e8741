// Depth: how gradient × input and LRP behave as networks grow, and how gradients shatter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "demo/networks.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kPoints = 256;
constexpr std::int64_t kFine = 4096;  // points that regions are counted on

/// Points on a line between two random inputs that are not negative.
Tensor line(std::uint64_t seed, std::int64_t points = kPoints) {
  RandomStream random(seed, {"depth demo"});
  std::vector<double> a(kWidth);
  std::vector<double> b(kWidth);
  for (double& v : a) v = std::fabs(random.normal());
  for (double& v : b) v = std::fabs(random.normal());
  Tensor x = Tensor::empty(DType::f32, {points, kWidth});
  for (std::size_t i = 0; i < static_cast<std::size_t>(points); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(points - 1);
    for (std::size_t k = 0; k < kWidth; ++k)
      x.data<float>()[i * kWidth + k] = static_cast<float>((1 - t) * a[k] + t * b[k]);
  }
  return x;
}

struct Measured {
  double magnitude;    // median of Σ|R| / |f|
  double correlation;  // of R with R eight points further along the line, averaged
};

Measured measure(const Tensor& relevance, const Tensor& scores) {
  constexpr std::size_t kLag = 8;
  std::vector<double> magnitudes;
  double correlation = 0;
  const auto row = [&](std::size_t i) { return relevance.data<float>().subspan(i * kWidth, kWidth); };
  for (std::size_t i = 0; i < kPoints; ++i) {
    double sum = 0;
    for (float v : row(i)) sum += std::fabs(v);
    magnitudes.push_back(sum / std::max(1e-12, std::fabs(static_cast<double>(scores.data<float>()[i]))));
  }
  for (std::size_t i = 0; i + kLag < kPoints; ++i) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (std::size_t k = 0; k < kWidth; ++k) {
      const double a = row(i)[k];
      const double b = row(i + kLag)[k];
      ab += a * b, aa += a * a, bb += b * b;
    }
    correlation += ab / std::sqrt(std::max(1e-300, aa * bb)) / (kPoints - kLag);
  }
  std::ranges::sort(magnitudes);
  return {magnitudes[magnitudes.size() / 2], correlation};
}

/// Linear regions that the points of a line lie in: the gradient changes from one to the next.
double regions(const Network& network, const Tensor& x) {
  const auto n = static_cast<std::size_t>(x.shape()[0]);
  const Tensor g = explain(network, {"gradient"}, x, std::vector<std::int64_t>(n, 0))[0];
  double count = 1;
  for (std::size_t i = 1; i < n; ++i) {
    double change = 0;
    double size = 0;
    for (std::size_t k = 0; k < kWidth; ++k) {
      const double a = g.data<float>()[(i - 1) * kWidth + k];
      const double b = g.data<float>()[i * kWidth + k];
      change += std::fabs(a - b), size += std::fabs(a);
    }
    count += change > 1e-5 * size;
  }
  return count;
}

void add_table(report::Page& page, const std::vector<double>& depths,
               const std::vector<std::vector<double>>& magnitude,
               const std::vector<std::vector<double>>& roughness, const std::vector<double>& crossed) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < depths.size(); ++i)
    rows.push_back({fmt::format("{:g}", depths[i]), report::number(magnitude[0][i]),
                    report::number(magnitude[1][i]), report::number(roughness[0][i], 2),
                    report::number(roughness[1][i], 2), fmt::format("{:.0f}", crossed[i])});
  page.section("Figures");
  page.table({"layers", "Σ|R|/|f|, gradient × input", "z⁺", "correlation, gradient × input", "z⁺",
              "linear regions on the line"},
             rows, std::vector<bool>(6, true));
}

Result run(const Options& options) {
  const Tensor x = line(options.seed);
  const std::vector<std::string> recipes{"gradient_x_input", "lrp_zplus:bias=ignore"};
  const Tensor fine = line(options.seed, kFine);
  const std::vector<double> depths{2, 5, 10, 20, 30, 40, 50};
  std::vector<double> crossed;
  constexpr std::size_t kTen = 2;  // correlations are compared where the function itself is not yet chaotic
  std::vector<std::vector<double>> magnitude(recipes.size());
  std::vector<std::vector<double>> roughness(recipes.size());
  for (const double depth : depths) {
    const Network network = normalised_relu_network(static_cast<std::int64_t>(depth), kWidth, options.seed);
    crossed.push_back(regions(network, fine));
    const Tensor scores = network.predict(x);
    const auto relevance = explain(network, recipes, x, std::vector<std::int64_t>(kPoints, 0));
    for (std::size_t k = 0; k < recipes.size(); ++k) {
      const Measured m = measure(relevance[k], scores);
      magnitude[k].push_back(m.magnitude);
      roughness[k].push_back(m.correlation);
    }
  }
  const double gradient_growth = magnitude[0].back() / magnitude[0].front();
  const double lrp_growth = magnitude[1].back() / magnitude[1].front();
  const double per_layer = std::pow(gradient_growth, 1 / (depths.back() - depths.front()));
  const bool holds = gradient_growth > 3 && lrp_growth < 2 && roughness[0][kTen] < roughness[1][kTen] &&
                     crossed[kTen] > 2 * crossed[0];
  const std::string outcome = fmt::format(
      "From 2 to 50 layers, Σ|gradient × input| / |f| grows by a factor of {} ({:.2f} per layer), z⁺ by {}; "
      "{} layers deep, "
      "gradients eight steps apart on a line "
      "correlate with {:.2f}, z⁺ relevances with {:.2f}.",
      report::number(gradient_growth), per_layer, report::number(lrp_growth), depths[kTen],
      roughness[0][kTen], roughness[1][kTen]);
  report::Page page = start_page(kDepthDemo, outcome, holds);
  page.section("Magnitude");
  page.text(
      "Random ReLU networks, 64 neurons wide, with weights and biases as batch normalisation sets them, so "
      "that activations keep their size from layer to layer as in trained networks; median over 256 points "
      "of a line between two inputs.");
  add_chart(page, {depths, recipes, magnitude, "layers", "sum of |relevance| / |score|", true});
  page.section("Roughness");
  page.text(
      "Correlation of the explanation with the one eight points further along the line: 1 where it changes "
      "slowly, 0 like white noise.");
  add_chart(page, {depths, recipes, roughness, "layers", "correlation along the line"});
  page.section("Linear regions");
  page.text(
      fmt::format("How many linear regions of the network {} points of the same line lie in; the gradient is "
                  "constant in each and jumps between them.",
                  kFine));
  add_chart(page, {depths, {"linear regions"}, {crossed}, "layers", "linear regions on the line"});
  add_table(page, depths, magnitude, roughness, crossed);
  page.section("What it shows");
  page.text(
      "The number of linear regions grows exponentially with depth (Montúfar et al. 2014): the gradient "
      "jumps at every border, and its size is no measure "
      "of the score. Relevance propagation redistributes a fixed amount in every layer.");
  return {outcome,
          holds,
          std::move(page),
          {{"depths", depths},
           {"recipes", recipes},
           {"magnitude", magnitude},
           {"correlation", roughness},
           {"linear_regions", crossed},
           {"gradient_growth", gradient_growth},
           {"gradient_growth_per_layer", per_layer},
           {"zplus_growth", lrp_growth}}};
}

}  // namespace

const Demo kDepthDemo = {
    "depth",
    "The magnitude and the roughness of gradient × input grow with depth; LRP stays at the size of the "
    "score.",
    "Montúfar et al. 2014; Balduzzi et al. 2017; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
