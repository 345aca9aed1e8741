#include "select/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/random.h"
#include "base/simd.h"

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

/// Adds a value to resamples as often as each of them drew it.
HEATPROOF_SIMD void add_counted(double value, const std::uint16_t* counts, std::size_t resamples,
                                double* sums, double* squares) {
  const double square = value * value;
  for (std::size_t r = 0; r < resamples; ++r) {
    const auto count = static_cast<double>(static_cast<int>(counts[r]));
    sums[r] += count * value;
    squares[r] += count * square;
  }
}

/// Between the values whose ranks are next to q; reorders them.
double quantile_of(std::vector<double>& values, double q) {
  const double position = q * static_cast<double>(values.size() - 1);
  const auto k = static_cast<std::ptrdiff_t>(position);
  std::nth_element(values.begin(), values.begin() + k, values.end());
  const double below = values[static_cast<std::size_t>(k)];
  const double rest = position - static_cast<double>(k);
  if (values.begin() + k + 1 == values.end()) return below;
  return below + rest * (*std::min_element(values.begin() + k + 1, values.end()) - below);
}

/// Of n throws, each a hit with chance p.
double chance_of_at_least(std::size_t k, std::size_t n, double p) {
  if (p <= 0 || p >= 1) return p >= 1 || k == 0 ? 1 : 0;
  double sum = 0;
  for (std::size_t j = k; j <= n; ++j) {
    const auto x = static_cast<double>(j);
    const auto rest = static_cast<double>(n - j);
    sum += std::exp(std::lgamma(static_cast<double>(n) + 1) - std::lgamma(x + 1) - std::lgamma(rest + 1) +
                    x * std::log(p) + rest * std::log1p(-p));
  }
  return sum;
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

double student_quantile(std::size_t n, double share) {
  double low = 0;
  double high = 64;  // of two values 12.7 at 97.5 %
  for (int k = 0; k < 60; ++k) {
    const double middle = 0.5 * (low + high);
    (student_cdf(middle, n) < share ? low : high) = middle;
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

Interval exact_share_of(std::size_t hits, std::size_t of) {
  if (of == 0) return {kNaN, kNaN, kNaN};
  // The share at which `k` or more hits (of what is counted) have a chance of 2.5 %.
  const auto bound = [of](std::size_t k) {
    double low = 0;
    double high = 1;
    for (int step = 0; step < 60; ++step) {
      const double middle = 0.5 * (low + high);
      (chance_of_at_least(k, of, middle) < 0.025 ? low : high) = middle;
    }
    return low;
  };
  const double share = static_cast<double>(hits) / static_cast<double>(of);
  return {share, hits == 0 ? 0 : bound(hits), hits == of ? 1 : 1 - bound(of - hits)};
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
    for (std::size_t i = 0; i < images; ++i) ++counts_[random.below(images) * resamples + r];
  }
}

Interval Bootstrap::interval(const std::vector<double>& values) const {
  const double mean = mean_of(values);
  if (values.size() < 2 || !std::isfinite(mean)) return {mean, kNaN, kNaN, true};
  const auto hits = static_cast<std::size_t>(std::ranges::count(values, 1.0));
  const auto misses = static_cast<std::size_t>(std::ranges::count(values, 0.0));
  if (hits > 0 && misses > 0 && hits + misses == values.size()) return exact_share_of(hits, values.size());
  const auto n = static_cast<double>(values.size());
  const double error = standard_error(values, mean);
  if (!(error * std::sqrt(n) > 1e-12 * std::fabs(mean))) return {mean, kNaN, kNaN, true};
  std::vector<double> sums(resamples_, 0);
  std::vector<double> squares(resamples_, 0);
  for (std::size_t i = 0; i < images_; ++i)
    add_counted((values[i] - mean) / (error * std::sqrt(n)), counts_.data() + i * resamples_, resamples_,
                sums.data(), squares.data());
  // A resample that happens to miss what varies has hardly any deviation and an absurd t; it is taken to have
  // a twentieth of the variance at least.
  std::vector<double> t(resamples_);
  for (std::size_t r = 0; r < resamples_; ++r) {
    const double m = sums[r] / n;
    t[r] = m * std::sqrt(n / std::max(0.05, (squares[r] / n - m * m) * n / (n - 1)));
  }
  const double student = student_quantile(values.size());
  const double down = std::max(-quantile_of(t, 0.025), student);
  const double up = std::max(quantile_of(t, 0.975), student);
  return {mean, mean - up * error, mean + down * error, values.size() < kFewValues};
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
      if (!std::isfinite(a[i] + b[i] + a[j] + b[j])) continue;
      const int sa = (a[i] > a[j]) - (a[i] < a[j]);
      const int sb = (b[i] > b[j]) - (b[i] < b[j]);
      agree += sa * sb;
      pairs_a += sa != 0;
      pairs_b += sb != 0;
    }
  }
  return pairs_a > 0 && pairs_b > 0 ? agree / std::sqrt(pairs_a * pairs_b) : kNaN;
}

}  // namespace heatproof
