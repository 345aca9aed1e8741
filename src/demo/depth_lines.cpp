#include "demo/depth_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "validate/features.h"
#include "validate/similarity.h"

namespace heatproof::demo {

const std::vector<double> kDepths{2, 5, 10, 20, 30, 40, 50};
const std::vector<std::string> kDepthRecipes{"gradient_x_input", "lrp_zplus:bias=ignore"};

namespace {

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kTrainedWidth = 32;   // of the networks in assets/depth
constexpr std::uint64_t kApart = 1'000'003;  // between the seeds of lines

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
    sum +=
        cosine(std::vector<double>(now.begin(), now.end()), std::vector<double>(later.begin(), later.end())) /
        static_cast<double>(kPoints - kLag);
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

/// One line through one network.
struct Along {
  double magnitude[2], correlation[2], score;
  Regions regions;
};

Along measure_line(const Family& family, const Network& network, const Tensor& x, std::uint64_t seed) {
  Along along{};
  const Tensor logits = network.predict(x);
  const std::int64_t target = argmax_rows(logits)[kPoints / 2];
  std::vector<double> scores;
  for (std::int64_t i = 0; i < kPoints; ++i)
    scores.push_back(row_of(logits, i)[static_cast<std::size_t>(target)]);
  const auto relevance = explain(network, kDepthRecipes, x, std::vector<std::int64_t>(kPoints, target));
  for (std::size_t k = 0; k < kDepthRecipes.size(); ++k) {
    along.magnitude[k] = magnitude(relevance[k], scores);
    along.correlation[k] = correlation(relevance[k]);
  }
  along.score = autocorrelation(scores);
  along.regions = regions(network, family, target, seed);
  return along;
}

/// Adds one depth to the curves.
void summarise(const std::vector<Along>& lines, Curves& c) {
  const auto median = [&](auto value) {
    std::vector<double> values;
    for (const Along& a : lines) values.push_back(value(a));
    return median_of(std::move(values));
  };
  for (std::size_t k = 0; k < kDepthRecipes.size(); ++k) {
    c.magnitude[k].push_back(median([&](const Along& a) { return a.magnitude[k]; }));
    c.correlation[k].push_back(median([&](const Along& a) { return a.correlation[k]; }));
  }
  c.smoother.push_back(median([](const Along& a) { return a.correlation[1] - a.correlation[0]; }));
  c.score.push_back(median([](const Along& a) { return a.score; }));
  c.regions.push_back(median([](const Along& a) { return a.regions.count; }));
  // Lines with too many regions have more than all others, so that below half of them the median is exact.
  const auto many = std::ranges::count_if(lines, [](const Along& a) { return a.regions.at_least; });
  c.at_least.push_back(2 * static_cast<std::size_t>(many) >= lines.size());
}

}  // namespace

std::vector<Family> families(const Options& options) {
  return {
      {"normalised",
       "Random weights, with scales and biases as batch normalisation sets them, so that activations keep "
       "their "
       "size and spread from layer to layer; 64 neurons wide.",
       kWidth,
       [=](std::int64_t depth, std::uint64_t line) {
         return normalised_relu_network(depth, kWidth, options.seed + kApart * line);
       }},
      {"He-initialised",
       "Random weights of variance 2 / width and random biases, as networks start before training; 64 "
       "neurons wide. "
       "With depth all inputs look more and more alike to such a network.",
       kWidth,
       [=](std::int64_t depth, std::uint64_t line) {
         return random_relu_network(depth, kWidth, true, options.seed + kApart * line);
       }},
      {"trained",
       "Trained from He's initialisation until they tell in 82 to 85 % of the cases which of four groups of "
       "inputs "
       "has the largest sum of squares (assets/make_depth_networks.py); 32 neurons wide, no skip "
       "connections. "
       "The score is the logit of the class predicted in the middle of the line.",
       kTrainedWidth,
       [=](std::int64_t depth, std::uint64_t) {
         return load_network(options.assets / "depth" / fmt::format("depth{}.onnx", depth));
       }},
  };
}

std::vector<double> medians(const std::vector<Interval>& intervals) {
  std::vector<double> values;
  for (const Interval& i : intervals) values.push_back(i.mean);
  return values;
}

Curves measure(const Family& family, std::uint64_t seed) {
  Curves c;
  for (const double depth : kDepths) {
    std::vector<Along> lines;
    for (std::uint64_t l = 0; l < kLines; ++l) {
      const std::uint64_t own = seed + kApart * l;
      const Network network = family.network(static_cast<std::int64_t>(depth), l);
      lines.push_back(measure_line(family, network, line(own, family.width, kPoints), own));
    }
    summarise(lines, c);
  }
  return c;
}

}  // namespace heatproof::demo
