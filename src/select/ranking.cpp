#include "select/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "base/simd.h"
#include "select/shares.h"

namespace heatproof {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kResamples = 10000;
// Real scores are skewed, and errors of a nominal 5 % were up to 7.5 % with two recipes (docs/statistics.md):
// p-values are multiplied by this, and intervals widened to match.
constexpr double kCaution = 2;
constexpr double kTail = 0.025 / kCaution;
constexpr double kEqual = 1 - 1e-9;  // what is this close is a tie that rounding broke

/// Fewer resamples where images and pairs are many, and skewness matters less.
std::size_t resamples_for(std::size_t numbers) {
  constexpr std::size_t kMost = 1'200'000'000;
  return std::clamp<std::size_t>(kMost / std::max<std::size_t>(numbers, 1), 1000, kResamples);
}

/// sums[k] = Σ_i weights[i] · table[i][k].
HEATPROOF_SIMD void weighted_sums(const double* weights, std::size_t rows, const double* table,
                                  std::size_t columns, double* sums) {
  std::fill(sums, sums + columns, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    const double w = weights[i];
    if (w == 0) continue;
    const double* row = table + i * columns;
    for (std::size_t k = 0; k < columns; ++k) sums[k] += w * row[k];
  }
}

HEATPROOF_SIMD void weighted_sums(const double* weights, std::size_t rows, const float* table,
                                  std::size_t columns, float* sums) {
  std::fill(sums, sums + columns, 0.0F);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto w = static_cast<float>(weights[i]);
    if (w == 0) continue;
    const float* row = table + i * columns;
    for (std::size_t k = 0; k < columns; ++k) sums[k] += w * row[k];
  }
}

double largest(const double* values, std::size_t count) {
  double most = 0;
  for (std::size_t k = 0; k < count; ++k) most = values[k] > most ? values[k] : most;
  return most;
}

/// The least and the largest t² of a resample, with the sign of t; means are of standardised differences, and
/// squares their sums. A resample that happens to miss what varies has hardly any deviation and an absurd t;
/// it is taken to have a twentieth of the variance at least.
std::pair<double, double> extremes(const double* means, const float* squares, std::size_t pairs, double n) {
  double least = 0;
  double most = 0;
  for (std::size_t k = 0; k < pairs; ++k) {
    const double m = means[k];
    const double variance = (squares[k] / n - m * m) * n / (n - 1);
    const double t = m * std::fabs(m) * n / (variance > 0.05 ? variance : 0.05);
    least = t < least ? t : least;
    most = t > most ? t : most;
  }
  return {least, most};
}

/// A pair of recipes by their places in the order; the first has the larger mean.
struct Pair {
  std::size_t better, worse;
  double mean = 0, deviation = 0, squares = 0;  // of the differences; squares: their sum

  bool constant() const { return deviation <= 1e-9 * mean || deviation == 0; }
};

Pair pair_of(const std::vector<double>& a, const std::vector<double>& b) {
  Pair p{0, 0};
  const std::vector<double> d = minus(a, b);
  p.mean = mean_of(d);
  double spread = 0;
  for (double v : d) spread += (v - p.mean) * (v - p.mean), p.squares += v * v;
  if (d.size() > 1) p.deviation = std::sqrt(spread / static_cast<double>(d.size() - 1));
  return p;
}

/// Scores as [image][place in the order], less what all recipes share on an image, so that differences keep
/// their digits.
std::vector<double> by_image(const std::vector<std::vector<double>>& scores,
                             const std::vector<std::size_t>& order) {
  std::vector<double> table;
  for (std::size_t i = 0; i < scores[0].size(); ++i) {
    double shared = 0;
    for (std::size_t r : order) shared += scores[r][i] / static_cast<double>(order.size());
    for (std::size_t r : order) table.push_back(scores[r][i] - shared);
  }
  return table;
}

/// Less each recipe's mean over the images.
void centre(std::vector<double>& table, std::size_t recipes) {
  const std::size_t images = table.size() / recipes;
  for (std::size_t k = 0; k < recipes; ++k) {
    double mean = 0;
    for (std::size_t i = 0; i < images; ++i) mean += table[i * recipes + k] / static_cast<double>(images);
    for (std::size_t i = 0; i < images; ++i) table[i * recipes + k] -= mean;
  }
}

std::vector<Pair> pairs_of(const std::vector<std::vector<double>>& scores,
                           const std::vector<std::size_t>& order) {
  std::vector<Pair> pairs;
  for (std::size_t a = 0; a < order.size(); ++a) {
    for (std::size_t b = a + 1; b < order.size(); ++b) {
      Pair p = pair_of(scores[order[a]], scores[order[b]]);
      p.better = a, p.worse = b;
      pairs.push_back(p);
    }
  }
  return pairs;
}

/// Numbers of a sorted list that are at least `value`, ties included.
std::size_t at_least(const std::vector<double>& sorted, double value) {
  const auto first = std::ranges::lower_bound(sorted, value > 0 ? value * kEqual : value);
  return static_cast<std::size_t>(sorted.end() - first);
}

/// The value that hardly any of a sorted list reach (kTail), the observed one counted with them.
double critical(const std::vector<double>& sorted) {
  const auto most = static_cast<std::size_t>(kTail * static_cast<double>(sorted.size() + 1));
  return most == 0 ? std::numeric_limits<double>::infinity() : sorted[sorted.size() - most];
}

}  // namespace

AllPairs::AllPairs(const std::vector<std::vector<double>>& scores, std::uint64_t seed) : scores_(scores) {
  std::vector<double> means;
  for (const auto& row : scores_) means.push_back(mean_of(row));
  order_.resize(scores_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::ranges::stable_sort(order_, [&](std::size_t a, std::size_t b) { return means[a] > means[b]; });
  for (std::size_t i = 0; i < scores_[0].size(); ++i) {
    const auto [least, most] = std::ranges::minmax(scores_, {}, [&](const auto& row) { return row[i]; });
    widest_ = std::max(widest_, most[i] - least[i]);
  }
  if (scores_.size() < 2 || scores_[0].size() < 2) return;
  flip_signs(seed);
  resample(seed);
}

// An image's differences change sign together, so that pairs stay as dependent as they are. The opposite
// pattern has the same largest absolute difference: the last image keeps its sign.
void AllPairs::flip_signs(std::uint64_t seed) {
  const std::size_t images = scores_[0].size();
  const std::size_t recipes = order_.size();
  const std::vector<double> table = by_image(scores_, order_);
  std::vector<Pair> pairs = pairs_of(scores_, order_);
  std::erase_if(pairs, [](const Pair& p) { return p.squares == 0; });
  all_patterns_ = images <= 14;
  const std::size_t patterns =
      all_patterns_ ? std::size_t{1} << (images - 1) : resamples_for(images * recipes);
  RandomStream random(seed, {"signs"});
  std::vector<double> signs(images, 1);
  std::vector<double> sums(recipes);
  std::vector<double> squared(pairs.size());
  for (std::size_t k = 0; k < patterns; ++k) {
    for (std::size_t i = 0; i + 1 < images; ++i)
      signs[i] = (all_patterns_ ? k >> i : random.bits() >> 63) % 2 == 0 ? 1 : -1;
    weighted_sums(signs.data(), images, table.data(), recipes, sums.data());
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      const double sum = sums[pairs[p].better] - sums[pairs[p].worse];
      squared[p] = sum * sum / pairs[p].squares;
    }
    flipped_.push_back(std::sqrt(largest(squared.data(), squared.size())));
  }
  std::ranges::sort(flipped_);
}

void AllPairs::resample(std::uint64_t seed) {
  const std::size_t images = scores_[0].size();
  const std::size_t recipes = order_.size();
  std::vector<double> table = by_image(scores_, order_);
  centre(table, recipes);
  std::vector<Pair> pairs = pairs_of(scores_, order_);
  std::erase_if(pairs, [](const Pair& p) { return p.constant(); });
  if (pairs.empty()) return;
  std::vector<float> squares(images * pairs.size());
  for (std::size_t i = 0; i < images; ++i) {
    const double* row = table.data() + i * recipes;
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      const double d = (row[pairs[k].better] - row[pairs[k].worse]) / pairs[k].deviation;
      squares[i * pairs.size() + k] = static_cast<float>(d * d);
    }
  }
  const auto n = static_cast<double>(images);
  const std::size_t resamples = resamples_for(images * pairs.size());
  RandomStream random(seed, {"bootstrap"});
  std::vector<double> counts(images);
  std::vector<double> sums(recipes);
  std::vector<float> spreads(pairs.size());
  std::vector<double> means(pairs.size());
  for (std::size_t r = 0; r < resamples; ++r) {
    std::ranges::fill(counts, 0);
    for (std::size_t i = 0; i < images; ++i) ++counts[random.below(images)];
    weighted_sums(counts.data(), images, table.data(), recipes, sums.data());
    weighted_sums(counts.data(), images, squares.data(), pairs.size(), spreads.data());
    for (std::size_t k = 0; k < pairs.size(); ++k)
      means[k] = (sums[pairs[k].better] - sums[pairs[k].worse]) / pairs[k].deviation / n;
    const auto [down, up] = extremes(means.data(), spreads.data(), pairs.size(), n);
    up_.push_back(std::sqrt(up));
    down_.push_back(std::sqrt(-down));
  }
  std::ranges::sort(up_);
  std::ranges::sort(down_);
}

/// By signs alone. Differences of zero have none: fewer patterns are left to be unlikely.
double AllPairs::p_of(double sum, double squares, std::size_t nonzero) const {
  if (squares == 0) return 1;
  const auto reached = static_cast<double>(at_least(flipped_, std::fabs(sum) / std::sqrt(squares)));
  const auto of = static_cast<double>(flipped_.size());
  const double p = all_patterns_ ? reached / of : (1 + reached) / (1 + of);
  return std::min(1.0, std::max(p, std::pow(2.0, 1 - static_cast<double>(nonzero))));
}

Lead AllPairs::lead(std::size_t recipe, std::size_t over) const {
  const std::size_t images = scores_[0].size();
  const auto n = static_cast<double>(images);
  const std::vector<double> d = minus(scores_[recipe], scores_[over]);
  const double mean = mean_of(d);
  if (images < 2) return {{mean, kNaN, kNaN, true}, 1};
  if (mean < 0) {
    const Lead other = lead(over, recipe);
    return {{mean, -other.difference.high, -other.difference.low, other.difference.rough}, other.p};
  }
  const Pair pair = pair_of(scores_[recipe], scores_[over]);
  const auto nonzero = static_cast<std::size_t>(std::ranges::count_if(d, [](double v) { return v != 0; }));
  double p = p_of(mean * n, pair.squares, nonzero);
  double low = mean;
  double high = mean;
  if (pair.constant()) {
    // As good as certainly a share q of all images is like the n that were seen; the others differ as much as
    // any.
    const double q = std::pow(kTail, 1 / n);
    low = q * mean - (1 - q) * widest_;
    high = q * mean + (1 - q) * widest_;
    p = std::max(p, std::min(1.0, 2 * std::pow(widest_ / (widest_ + mean), n)));
  } else {
    const double error = pair.deviation / std::sqrt(n);
    const double t = mean / error;
    const double student = student_quantile(images, 1 - kTail);
    low = mean - std::max(critical(up_), student) * error;
    high = mean + std::max(critical(down_), student) * error;
    const double reached = 1 + static_cast<double>(at_least(up_, t));
    p = std::max(
        {p, std::min(1.0, 2 * reached / (1 + static_cast<double>(up_.size()))), 2 * student_cdf(-t, images)});
  }
  p = std::min(1.0, kCaution * p);
  if (p > 0.05) low = std::min(low, 0.0);
  return {{mean, low, high, pair.constant() || images < kFewValues}, p};
}

std::vector<Ranked> rank(const std::vector<std::vector<double>>& scores, std::uint64_t seed) {
  std::vector<Ranked> ranking;
  if (scores.empty() || scores[0].empty()) return ranking;
  const Bootstrap bootstrap(scores[0].size(), seed);
  const bool shares = are_shares(scores);
  std::vector<std::vector<double>> finite;
  std::vector<std::size_t> place(scores.size(), 0);  // among those that are finite
  for (std::size_t r = 0; r < scores.size(); ++r) {
    const bool failed = std::ranges::any_of(scores[r], [](double v) { return !std::isfinite(v); });
    ranking.push_back(
        {.recipe = r,
         .score = failed ? Interval{kNaN, kNaN, kNaN} : interval_of(bootstrap, scores[r], shares),
         .failed = failed});
    place[r] = finite.size();
    if (!failed) finite.push_back(scores[r]);
  }
  std::ranges::stable_sort(ranking, [](const Ranked& a, const Ranked& b) {
    return a.failed != b.failed ? b.failed : !a.failed && a.score.mean > b.score.mean;
  });
  if (!finite.empty()) {
    const AllPairs pairs(finite, seed);
    const std::size_t best = ranking[0].recipe;
    ranking[0].in_best_set = true;
    for (std::size_t k = 1; k < finite.size(); ++k) {
      Ranked& entry = ranking[k];
      const Lead lead = pairs.lead(place[best], place[entry.recipe]);
      entry.p = lead.p;
      entry.shortfall = lead.difference;
      entry.effect = effect_size(minus(scores[best], scores[entry.recipe]));
      entry.in_best_set = !lead.proven();
    }
  }
  for (Ranked& entry : ranking) {
    if (entry.failed) entry.p = kNaN, entry.effect = kNaN, entry.shortfall = {kNaN, kNaN, kNaN};
  }
  return ranking;
}

}  // namespace heatproof
