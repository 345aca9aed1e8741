// Depth: how gradient × input and LRP behave as networks grow, and how gradients shatter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/random.h"
#include "demo/networks.h"
#include "validate/features.h"

namespace heatproof::demo {

namespace {

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kTrainedWidth = 32;  // of the networks in assets/depth
constexpr std::int64_t kPoints = 256;
constexpr std::int64_t kFine = 4096;  // points that regions are counted on, doubled where they are too few
constexpr std::int64_t kFinest = 32768;
constexpr std::size_t kLag = 8;
constexpr std::size_t kTen = 2;  // position of ten layers
const std::vector<double> kDepths{2, 5, 10, 20, 30, 40, 50};
const std::vector<std::string> kRecipes{"gradient_x_input", "lrp_zplus:bias=ignore"};

/// Networks of one kind, by depth.
struct Family {
  std::string name, about;
  std::int64_t width;
  std::function<Network(std::int64_t depth)> network;
};

std::vector<Family> families(const Options& options) {
  return {
      {"normalised",
       "Random weights, with scales and biases as batch normalisation sets them, so that activations keep "
       "their "
       "size and spread from layer to layer; 64 neurons wide.",
       kWidth, [=](std::int64_t depth) { return normalised_relu_network(depth, kWidth, options.seed); }},
      {"He-initialised",
       "Random weights of variance 2 / width and random biases, as networks start before training; 64 "
       "neurons wide. "
       "With depth all inputs look more and more alike to such a network.",
       kWidth, [=](std::int64_t depth) { return random_relu_network(depth, kWidth, true, options.seed); }},
      {"trained",
       "Trained from He's initialisation until they tell in 82 to 85 % of the cases which of four groups of "
       "inputs "
       "has the largest sum of squares (assets/make_depth_networks.py); 32 neurons wide, no skip "
       "connections. "
       "The score is the logit of the class predicted in the middle of the line.",
       kTrainedWidth,
       [=](std::int64_t depth) {
         return load_network(options.assets / "depth" / fmt::format("depth{}.onnx", depth));
       }},
  };
}

/// Points on a line between two random inputs that are not negative.
Tensor line(std::uint64_t seed, std::int64_t width, std::int64_t points) {
  RandomStream random(seed, {"depth demo"});
  const auto n = static_cast<std::size_t>(width);
  std::vector<double> a(n);
  std::vector<double> b(n);
  for (double& v : a) v = std::fabs(random.normal());
  for (double& v : b) v = std::fabs(random.normal());
  Tensor x = Tensor::empty(DType::f32, {points, width});
  for (std::size_t i = 0; i < static_cast<std::size_t>(points); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(points - 1);
    for (std::size_t k = 0; k < n; ++k)
      x.data<float>()[i * n + k] = static_cast<float>((1 - t) * a[k] + t * b[k]);
  }
  return x;
}

/// Median over the points of Σ|R| / |f|.
double magnitude(const Tensor& relevance, const std::vector<double>& scores) {
  std::vector<double> magnitudes;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    double sum = 0;
    for (float v : row_of(relevance, static_cast<std::int64_t>(i))) sum += std::fabs(v);
    magnitudes.push_back(sum / std::max(1e-12, std::fabs(scores[i])));
  }
  std::ranges::sort(magnitudes);
  return magnitudes[magnitudes.size() / 2];
}

/// Mean cosine of the relevance with that kLag points further.
double correlation(const Tensor& relevance) {
  double sum = 0;
  for (std::int64_t i = 0; i + static_cast<std::int64_t>(kLag) < kPoints; ++i) {
    const auto now = row_of(relevance, i);
    const auto later = row_of(relevance, i + static_cast<std::int64_t>(kLag));
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (std::size_t k = 0; k < now.size(); ++k) {
      const double a = now[k];
      const double b = later[k];
      ab += a * b, aa += a * a, bb += b * b;
    }
    sum += ab / std::sqrt(std::max(1e-300, aa * bb)) / static_cast<double>(kPoints - kLag);
  }
  return sum;
}

/// Autocorrelation of the score at kLag points.
double autocorrelation(const std::vector<double>& scores) {
  const double mean = mean_of(scores);
  double products = 0;
  double squares = 0;
  for (std::size_t i = 0; i + kLag < scores.size(); ++i) {
    products += (scores[i] - mean) * (scores[i + kLag] - mean);
    squares += 0.5 * ((scores[i] - mean) * (scores[i] - mean) +
                      (scores[i + kLag] - mean) * (scores[i + kLag] - mean));
  }
  return squares > 0 ? products / squares : 1;
}

/// Linear regions that the points of a line lie in: the gradient changes from one to the next.
double count_regions(const Network& network, const Tensor& x, std::int64_t target) {
  const std::int64_t n = x.shape()[0];
  const Tensor g =
      explain(network, {"gradient"}, x, std::vector<std::int64_t>(static_cast<std::size_t>(n), target))[0];
  double count = 1;
  for (std::int64_t i = 1; i < n; ++i) {
    const auto before = row_of(g, i - 1);
    const auto now = row_of(g, i);
    double change = 0;
    double size = 0;
    for (std::size_t k = 0; k < now.size(); ++k) {
      change += std::fabs(static_cast<double>(before[k]) - now[k]);
      size += std::fabs(before[k]);
    }
    count += change > 1e-5 * size;
  }
  return count;
}

struct Regions {
  double count;
  bool at_least;  // too many for the finest sampling to tell them all
};

/// Samples twice as finely as long as a quarter of the points or more are in regions of their own.
Regions regions(const Network& network, const Family& family, std::int64_t target, std::uint64_t seed) {
  for (std::int64_t points = kFine;; points *= 2) {
    const double count = count_regions(network, line(seed, family.width, points), target);
    const bool many = count > 0.25 * static_cast<double>(points);
    if (!many || points == kFinest) return {count, many};
  }
}

/// What came out for a family, per depth.
struct Curves {
  std::vector<std::vector<double>> magnitude{{}, {}}, correlation{{}, {}};  // [recipe][depth]
  std::vector<double> score;                                                // its autocorrelation
  std::vector<double> regions;
  std::vector<bool> at_least;

  double growth(std::size_t recipe) const { return magnitude[recipe].back() / magnitude[recipe].front(); }
};

Curves measure(const Family& family, std::uint64_t seed) {
  Curves c;
  const Tensor x = line(seed, family.width, kPoints);
  for (const double depth : kDepths) {
    const Network network = family.network(static_cast<std::int64_t>(depth));
    const Tensor logits = network.predict(x);
    const std::int64_t target = argmax_rows(logits)[kPoints / 2];
    std::vector<double> scores;
    for (std::int64_t i = 0; i < kPoints; ++i)
      scores.push_back(row_of(logits, i)[static_cast<std::size_t>(target)]);
    const auto relevance = explain(network, kRecipes, x, std::vector<std::int64_t>(kPoints, target));
    for (std::size_t k = 0; k < kRecipes.size(); ++k) {
      c.magnitude[k].push_back(magnitude(relevance[k], scores));
      c.correlation[k].push_back(correlation(relevance[k]));
    }
    c.score.push_back(autocorrelation(scores));
    const Regions r = regions(network, family, target, seed);
    c.regions.push_back(r.count);
    c.at_least.push_back(r.at_least);
  }
  return c;
}

void add_magnitudes(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Magnitude");
  page.text(
      "Median of Σ|relevance| / |score| over 256 points of a line between two inputs, in three kinds of ReLU "
      "networks:");
  std::string list = "<dl>";
  for (const Family& f : kinds)
    list += fmt::format("<dt>{}</dt><dd>{}</dd>", f.name, report::escape(f.about));
  page.html(list + "</dl>");
  LineChart chart{kDepths, {}, {}, "layers", "sum of |relevance| / |score|", true};
  std::vector<double> most(kDepths.size(), 0);
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    chart.names.push_back("gradient × input, " + kinds[f].name);
    chart.series.push_back(curves[f].magnitude[0]);
    chart.dashed.push_back(false);
    for (std::size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], curves[f].magnitude[1][i]);
  }
  chart.names.emplace_back("z⁺, the largest of the three");
  chart.series.push_back(most);
  chart.dashed.push_back(true);
  add_chart(page, chart);
}

/// Where z⁺ ends as rough as the gradient, and what the score does there.
std::string roughness_text(const Curves& c) {
  const double gap = c.correlation[1].back() - c.correlation[0].back();
  std::string text = fmt::format("At {:g} layers, gradient × input correlates with {:.2f} and z⁺ with {:.2f}",
                                 kDepths.back(), c.correlation[0].back(), c.correlation[1].back());
  text += gap < 0.1 ? ": z⁺ is as rough there." : ".";
  if (gap < 0.1 && c.score.back() < 0.5)
    text += fmt::format(
        " So is the function: the score itself correlates with {:.2f} at that distance ({:.2f} at ten "
        "layers). An "
        "explanation of a function that is noise at this scale cannot be smooth at it.",
        c.score.back(), c.score[kTen]);
  return text;
}

void add_roughness(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Roughness");
  page.text(
      "Correlation of the explanation with the one eight points further along the line: 1 where it changes "
      "slowly, 0 like white noise. Dashed: of the score itself.");
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    page.html(fmt::format("<h3>{}</h3>", kinds[f].name));
    add_chart(page, {kDepths,
                     {kRecipes[0], kRecipes[1], "score"},
                     {curves[f].correlation[0], curves[f].correlation[1], curves[f].score},
                     "layers",
                     "correlation along the line",
                     false,
                     {false, false, true}});
    page.text(roughness_text(curves[f]));
  }
}

void add_regions(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Linear regions");
  LineChart chart{kDepths, {}, {}, "layers", "linear regions on the line", true};
  bool bounded = false;
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    chart.names.push_back(kinds[f].name);
    chart.series.push_back(curves[f].regions);
    bounded |= std::ranges::count(curves[f].at_least, true) > 0;
  }
  page.text(
      fmt::format("How many linear regions of the network the line crosses; the gradient is constant in each "
                  "and jumps between them. "
                  "Counted on {} to {} points.{}",
                  kFine, kFinest,
                  bounded ? " Marked ≥ in the table: more than a quarter of the points lie in regions of "
                            "their own, so that the "
                            "sampling misses some; the true number is larger."
                          : ""));
  add_chart(page, chart);
}

void add_tables(report::Page& page, const std::vector<Family>& kinds, const std::vector<Curves>& curves) {
  page.section("Figures");
  for (std::size_t f = 0; f < kinds.size(); ++f) {
    const Curves& c = curves[f];
    std::vector<std::vector<std::string>> rows;
    for (std::size_t i = 0; i < kDepths.size(); ++i)
      rows.push_back({fmt::format("{:g}", kDepths[i]), report::number(c.magnitude[0][i]),
                      report::number(c.magnitude[1][i]), fmt::format("{:.2f}", c.correlation[0][i]),
                      fmt::format("{:.2f}", c.correlation[1][i]), fmt::format("{:.2f}", c.score[i]),
                      fmt::format("{}{:.0f}", c.at_least[i] ? "≥ " : "", c.regions[i])});
    page.html(fmt::format("<h3>{}</h3>", kinds[f].name));
    page.table({"layers", "Σ|R|/|f|, gradient × input", "z⁺", "correlation, gradient × input", "z⁺", "score",
                "linear regions"},
               rows, std::vector<bool>(7, true));
  }
}

nlohmann::json to_json(const Family& family, const Curves& c) {
  return {{"family", family.name},          {"magnitude", c.magnitude},
          {"correlation", c.correlation},   {"score_correlation", c.score},
          {"linear_regions", c.regions},    {"linear_regions_are_at_least", c.at_least},
          {"gradient_growth", c.growth(0)}, {"zplus_growth", c.growth(1)}};
}

std::string outcome_of(const std::vector<Curves>& curves, double per_layer) {
  const Curves& c = curves[0];
  const auto span = [](const Curves& of) {
    return fmt::format("{} to {}", report::number(of.magnitude[0].front()),
                       report::number(of.magnitude[0].back()));
  };
  const auto growing = std::ranges::count_if(curves, [](const Curves& of) { return of.growth(0) > 3; });
  return fmt::format(
      "From 2 to 50 layers, Σ|gradient × input| / |f| goes from {} where activations keep their size "
      "(×{:.2f} per "
      "layer), from {} in He-initialised networks and from {} in trained ones{}; that of z⁺ stays at {}. "
      "Eight steps "
      "apart on a line, gradient × input correlates with {:.2f} ten layers deep, z⁺ with {:.2f}; fifty "
      "layers deep, "
      "with {:.2f} and {:.2f}.",
      span(c), per_layer, span(curves[1]), span(curves[2]),
      growing == 3 ? "" : fmt::format(": it grows in {} of the three", growing),
      report::number(c.magnitude[1].back()), c.correlation[0][kTen], c.correlation[1][kTen],
      c.correlation[0].back(), c.correlation[1].back());
}

Result run(const Options& options) {
  const std::vector<Family> kinds = families(options);
  std::vector<Curves> curves;
  for (const Family& f : kinds) curves.push_back(measure(f, options.seed));
  const Curves& c = curves[0];
  const double per_layer = std::pow(c.growth(0), 1 / (kDepths.back() - kDepths.front()));
  const bool stays = std::ranges::all_of(curves, [](const Curves& of) { return of.growth(1) < 2; });
  const bool holds = c.growth(0) > 3 && stays && c.correlation[0][kTen] < c.correlation[1][kTen] &&
                     c.regions[kTen] > 2 * c.regions[0];
  const std::string outcome = outcome_of(curves, per_layer);
  report::Page page = start_page(kDepthDemo, outcome, holds);
  add_magnitudes(page, kinds, curves);
  add_roughness(page, kinds, curves);
  add_regions(page, kinds, curves);
  add_tables(page, kinds, curves);
  page.section("What it shows");
  if (std::ranges::any_of(curves, [](const Curves& of) { return of.growth(0) <= 3; }))
    page.text(
        "The claim's growth is no matter of depth alone: it comes out where normalisation keeps inputs apart "
        "in every "
        "layer, so that their differences, and with them the gradient, are stretched again and again. Plain "
        "networks, "
        "whether before or after training, may let inputs become alike instead, and keep their gradients.");
  page.text(
      "The number of linear regions may grow exponentially with depth (Montúfar et al. 2014): the gradient "
      "jumps at "
      "every border, and its size is no measure of the score. How far a given network goes depends on its "
      "weights, "
      "which is why three kinds are measured. Relevance propagation redistributes a fixed amount in every "
      "layer.");
  nlohmann::json numbers{{"depths", kDepths},
                         {"recipes", kRecipes},
                         {"magnitude", c.magnitude},
                         {"correlation", c.correlation},
                         {"linear_regions", c.regions},
                         {"gradient_growth", c.growth(0)},
                         {"gradient_growth_per_layer", per_layer},
                         {"zplus_growth", c.growth(1)},
                         {"families", nlohmann::json::array()}};
  for (std::size_t f = 0; f < kinds.size(); ++f) numbers["families"].push_back(to_json(kinds[f], curves[f]));
  return {outcome, holds, std::move(page), numbers};
}

}  // namespace

const Demo kDepthDemo = {
    "depth",
    "The magnitude and the roughness of gradient × input can grow exponentially with depth; LRP stays at the "
    "size of the score.",
    "Montúfar et al. 2014; Balduzzi et al. 2017; Samek, Montavon, Müller",
    run,
};

}  // namespace heatproof::demo
