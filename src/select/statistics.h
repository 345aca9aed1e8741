// Statistics over images: bootstrap intervals, paired comparisons, agreement of metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace heatproof {

struct Interval {
  double mean, low, high;  // low and high are NaN with fewer than two values
};

/// Student's t of n values: the chance of a value below t, and the value below which 97.5 % are.
double student_cdf(double t, std::size_t n);
double student_quantile(std::size_t n);

/// 95 % intervals of means. The percentile bootstrap (Efron 1979) alone covers the mean of two values in half
/// of all cases, so that it is stretched for few values (Hesterberg 2015), and Student's interval holds where
/// it is wider. Resamples of images are the same for all that share seed and size.
class Bootstrap {
 public:
  Bootstrap(std::size_t images, std::uint64_t seed, std::size_t resamples = 10000);
  Interval interval(const std::vector<double>& values) const;
  /// Probability, one-sided, that the mean of the differences is not above zero: (1 + #{resampled mean ≤ 0})
  /// / (1 + resamples), or Student's where it is larger; 1 for fewer than two.
  double p_not_positive(const std::vector<double>& differences) const;

 private:
  std::vector<double> resampled_means(const std::vector<double>& values) const;
  std::size_t images_, resamples_;
  std::vector<std::uint16_t> counts_;  // [resamples, images]
};

double mean_of(const std::vector<double>& values);
/// The median (as `mean`) between two of the sorted values that hold it with at least 95 %, whatever the
/// distribution; no interval below six values.
Interval median_of(std::vector<double> values);
/// A share with its 95 % interval: Wilson 1927.
Interval share_of(std::size_t hits, std::size_t of);
/// Differences pair by pair.
std::vector<double> minus(const std::vector<double>& a, const std::vector<double>& b);

/// Holm 1979: adjusted p-values, in the order given.
std::vector<double> holm(const std::vector<double>& p);

/// Mean of paired differences over their standard deviation (Cohen's d_z); NaN with fewer than two values.
double effect_size(const std::vector<double>& differences);

/// Kendall's τ-b of two lists; NaN where one of them is constant.
double kendall_tau(const std::vector<double>& a, const std::vector<double>& b);

struct Ranked {
  std::size_t recipe;  // index
  Interval score;
  double p = 1;                 // that it is not worse than the best, Holm-corrected; 1 for the best
  double effect = 0;            // d_z of its shortfall from the best
  Interval shortfall{0, 0, 0};  // from the best, paired by image; positive where it is worse
  bool in_best_set = false;
  bool failed = false;  // has no score for some image
};

/// scores[recipe][image]; higher is better. Sorted from best to worst; the best set is every recipe that is
/// not significantly (5 %, Holm) worse than the best on the same images.
std::vector<Ranked> rank(const std::vector<std::vector<double>>& scores, std::uint64_t seed);

}  // namespace heatproof
