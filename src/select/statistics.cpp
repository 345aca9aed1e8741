#include "select/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/random.h"

namespace heatproof {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Standard error of the mean.
double standard_error(const std::vector<double>& values, double mean) {
  double squares = 0;
  for (double v : values) squares += (v - mean) * (v - mean);
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1) / n);
}

}  // namespace

// Abramowitz and Stegun, 26.7.3 and 26.7.4: the chance of |T| below t, a finite sum.
double student_cdf(double t, std::size_t n) {
  const std::size_t freedom = n - 1;
  const double angle = std::atan(std::fabs(t) / std::sqrt(static_cast<double>(freedom)));
  const double cosine = std::cos(angle);
  const bool odd = freedom % 2 == 1;
  double term = odd ? cosine : 1;
  double sum = freedom == 1 ? 0 : term;
  for (std::size_t k = odd ? 3 : 2; k < freedom; k += 2) {
    const auto j = static_cast<double>(k);
    term *= (j - 1) / j * cosine * cosine;
    sum += term;
  }
  const double sine = std::sin(angle);
  const double within = odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
  return 0.5 + std::copysign(0.5 * within, t);
}

double student_quantile(std::size_t n) {
  double low = 0;
  double high = 16;  // 12.7 for two values
  for (int k = 0; k < 60; ++k) {
    const double middle = 0.5 * (low + high);
    (student_cdf(middle, n) < 0.975 ? low : high) = middle;
  }
  return high;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval median_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  const double median = 0.5 * (values[(n - 1) / 2] + values[n / 2]);
  // The chance that the median lies below the k-th value is that of k or fewer heads in n throws.
  double throws = std::pow(0.5, static_cast<double>(n));
  double below = throws;
  if (below > 0.025) return {median, kNaN, kNaN};
  std::size_t k = 0;
  for (;; ++k) {
    throws *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    if (below + throws > 0.025) break;
    below += throws;
  }
  return {median, values[k], values[n - 1 - k]};
}

Interval share_of(std::size_t hits, std::size_t of) {
  if (of == 0) return {kNaN, kNaN, kNaN};
  constexpr double kNormal = 1.959964;
  const auto n = static_cast<double>(of);
  const double p = static_cast<double>(hits) / n;
  const double middle = (p + kNormal * kNormal / (2 * n)) / (1 + kNormal * kNormal / n);
  const double half =
      kNormal / (1 + kNormal * kNormal / n) * std::sqrt(p * (1 - p) / n + kNormal * kNormal / (4 * n * n));
  return {p, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::vector<double> minus(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> d;
  for (std::size_t i = 0; i < a.size(); ++i) d.push_back(a[i] - b[i]);
  return d;
}

Bootstrap::Bootstrap(std::size_t images, std::uint64_t seed, std::size_t resamples)
    : images_(images), resamples_(resamples), counts_(images * resamples, 0) {
  RandomStream random(seed, {"bootstrap"});
  for (std::size_t r = 0; r < resamples; ++r) {
    for (std::size_t i = 0; i < images; ++i) ++counts_[r * images + random.below(images)];
  }
}

std::vector<double> Bootstrap::resampled_means(const std::vector<double>& values) const {
  std::vector<double> means(resamples_);
  for (std::size_t r = 0; r < resamples_; ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < images_; ++i) sum += counts_[r * images_ + i] * values[i];
    means[r] = sum / static_cast<double>(images_);
  }
  return means;
}

Interval Bootstrap::interval(const std::vector<double>& values) const {
  const double mean = mean_of(values);
  if (values.size() < 2 || std::isnan(mean)) return {mean, kNaN, kNaN};
  std::vector<double> means = resampled_means(values);
  std::ranges::sort(means);
  const auto at = [&](double q) {
    const double position = q * static_cast<double>(means.size() - 1);
    const auto k = static_cast<std::size_t>(position);
    const double rest = position - static_cast<double>(k);
    return means[k] + rest * (means[std::min(k + 1, means.size() - 1)] - means[k]);
  };
  constexpr double kNormal = 1.959964;  // what Student's quantile comes to
  const auto n = static_cast<double>(values.size());
  const double quantile = student_quantile(values.size());
  const double stretch = quantile / kNormal * std::sqrt(n / (n - 1));
  const double student = quantile * standard_error(values, mean);
  return {mean, mean - std::max(stretch * (mean - at(0.025)), student),
          mean + std::max(stretch * (at(0.975) - mean), student)};
}

double Bootstrap::p_not_positive(const std::vector<double>& differences) const {
  if (differences.size() < 2) return 1;
  const auto means = resampled_means(differences);
  const auto below = std::ranges::count_if(means, [](double m) { return !(m > 0); });
  const double resampled = (1.0 + static_cast<double>(below)) / (1.0 + static_cast<double>(resamples_));
  const double mean = mean_of(differences);
  const double error = standard_error(differences, mean);
  return error > 0 ? std::max(resampled, student_cdf(-mean / error, differences.size())) : resampled;
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double least = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    least = std::max(least, std::min(1.0, p[order[k]] * static_cast<double>(order.size() - k)));
    adjusted[order[k]] = least;
  }
  return adjusted;
}

double effect_size(const std::vector<double>& differences) {
  if (differences.size() < 2) return kNaN;
  const double mean = mean_of(differences);
  double squares = 0;
  for (double d : differences) squares += (d - mean) * (d - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(differences.size() - 1));
  return deviation > 0 ? mean / deviation
         : mean == 0   ? 0
                       : std::copysign(std::numeric_limits<double>::infinity(), mean);
}

double kendall_tau(const std::vector<double>& a, const std::vector<double>& b) {
  double agree = 0;
  double pairs_a = 0;
  double pairs_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = i + 1; j < a.size(); ++j) {
      const int sa = (a[i] > a[j]) - (a[i] < a[j]);
      const int sb = (b[i] > b[j]) - (b[i] < b[j]);
      agree += sa * sb;
      pairs_a += sa != 0;
      pairs_b += sb != 0;
    }
  }
  return pairs_a > 0 && pairs_b > 0 ? agree / std::sqrt(pairs_a * pairs_b) : kNaN;
}

std::vector<Ranked> rank(const std::vector<std::vector<double>>& scores, std::uint64_t seed) {
  std::vector<Ranked> ranking;
  if (scores.empty() || scores[0].empty()) return ranking;
  const std::size_t images = scores[0].size();
  const Bootstrap bootstrap(images, seed);
  for (std::size_t r = 0; r < scores.size(); ++r) {
    const bool failed = std::ranges::any_of(scores[r], [](double v) { return !std::isfinite(v); });
    ranking.push_back({.recipe = r,
                       .score = failed ? Interval{kNaN, kNaN, kNaN} : bootstrap.interval(scores[r]),
                       .failed = failed});
  }
  std::ranges::stable_sort(ranking, [](const Ranked& a, const Ranked& b) {
    return a.failed != b.failed ? b.failed : !a.failed && a.score.mean > b.score.mean;
  });
  const auto& best = scores[ranking[0].recipe];
  std::vector<double> p;
  for (std::size_t k = 1; k < ranking.size() && !ranking[k].failed; ++k) {
    const auto shortfall = minus(best, scores[ranking[k].recipe]);
    p.push_back(bootstrap.p_not_positive(shortfall));
    ranking[k].effect = effect_size(shortfall);
    ranking[k].shortfall = bootstrap.interval(shortfall);
  }
  const auto adjusted = holm(p);
  for (std::size_t k = 0; k < adjusted.size(); ++k) ranking[k + 1].p = adjusted[k];
  for (Ranked& entry : ranking) {
    if (entry.failed) entry.p = 0, entry.shortfall = {kNaN, kNaN, kNaN};
    entry.in_best_set = !entry.failed && entry.p > 0.05;
  }
  return ranking;
}

}  // namespace heatproof
