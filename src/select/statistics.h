// Statistics over images: intervals of means, medians and shares, agreement of lists.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace heatproof {

struct Interval {
  double mean, low, high;  // low and high are NaN where no interval can be given
  /// May hold the mean less often than it says: values are few (kFewValues) or all equal.
  bool rough = false;
};

/// Student's t of n values: the chance of a value below t, and the value below which a share of them are.
double student_cdf(double t, std::size_t n);
double student_quantile(std::size_t n, double share = 0.975);

/// Below this many values intervals of means are rough: of skewed scores they hold the mean in about nine of
/// ten cases (docs/statistics.md). How skewed few values look does not tell: those that miss the tail look
/// even.
constexpr std::size_t kFewValues = 32;

/// 95 % intervals of means: studentised bootstrap over images (Efron 1981), which allows for skewed scores,
/// or Student's interval where that is wider. Of scores that are all 0 or 1 Clopper and Pearson's interval
/// (1934), which holds for any number of them. None of one value, and none of equal ones, which say nothing
/// of how much others vary. Resamples of images are the same for all that share seed and size.
class Bootstrap {
 public:
  Bootstrap(std::size_t images, std::uint64_t seed, std::size_t resamples = 10000);
  Interval interval(const std::vector<double>& values) const;

 private:
  std::size_t images_, resamples_;
  std::vector<std::uint16_t> counts_;  // [images, resamples]
};

double mean_of(const std::vector<double>& values);
/// The median (as `mean`) between two of the sorted values that hold it with at least 95 %, whatever the
/// distribution; no interval below six values.
Interval median_of(std::vector<double> values);
/// A share with its 95 % interval: Wilson 1927.
Interval share_of(std::size_t hits, std::size_t of);
/// The same by Clopper and Pearson 1934: at least 95 % whatever the share.
Interval exact_share_of(std::size_t hits, std::size_t of);
/// Differences pair by pair.
std::vector<double> minus(const std::vector<double>& a, const std::vector<double>& b);

/// Mean of paired differences over their standard deviation (Cohen's d_z); NaN with fewer than two values.
double effect_size(const std::vector<double>& differences);

/// Kendall's τ-b of two lists, over what is finite in both; NaN where one of them is constant.
double kendall_tau(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace heatproof
