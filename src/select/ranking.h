// Which recipes are worse than the best: all pairs are tested at once, since it is the scores that say which
// one is best.
#pragma once

#include <cstdint>
#include <vector>

#include "select/statistics.h"

namespace heatproof {

/// How far one recipe is above another, paired by image.
struct Lead {
  Interval difference;  // simultaneous with those of all pairs
  double p = 1;         // of a lead this large in some pair of recipes, were all of them equal
  /// The interval lies above zero exactly where p ≤ 0.05.
  bool proven() const { return difference.low > 0; }
};

/// Differences of all pairs of recipes on the same images, with one error rate for all: the chance that any
/// two equal recipes are told apart is at most 5 %, whichever two are looked at. A lead has to be large in
/// - the largest studentised difference of all pairs when whole images change sign (all 2^(n−1) patterns,
///   or 10,000 of them): exact where an image favours neither side, and never below what n images can say;
/// - the same in a studentised bootstrap over images, in the direction of the observed differences, which
///   allows for skewed ones;
/// - Student's t of this pair.
/// Westfall and Young 1993, ch. 2 (single-step max-T); Romano and Wolf 2005.
class AllPairs {
 public:
  /// scores[recipe][image], all finite.
  AllPairs(const std::vector<std::vector<double>>& scores, std::uint64_t seed);
  Lead lead(std::size_t recipe, std::size_t over) const;

 private:
  void flip_signs(std::uint64_t seed);
  void resample(std::uint64_t seed);
  double p_of(double sum, double squares, std::size_t nonzero) const;

  std::vector<std::vector<double>> scores_;
  std::vector<std::size_t> order_;  // from best to worst
  double widest_ = 0;               // largest difference of two recipes on an image
  bool all_patterns_ = false;
  std::vector<double> flipped_;    // largest |Σd| / √Σd² per pattern of signs, ascending
  std::vector<double> up_, down_;  // largest t of a resample above and below what was observed, ascending
};

struct Ranked {
  std::size_t recipe;           // index
  Interval score;               // of the recipe alone
  double p = 1;                 // of the shortfall, corrected for all pairs; 1 for the best, NaN where failed
  double effect = 0;            // d_z of its shortfall from the best
  Interval shortfall{0, 0, 0};  // from the best, paired by image; positive where it is worse
  bool in_best_set = false;     // its shortfall's interval contains zero
  bool failed = false;          // a score is not finite: the recipe is compared with none
};

/// scores[recipe][image]; higher is better. Sorted from best to worst, those that failed last; the best set
/// is every recipe that is not proven (5 % for all pairs together) to be worse than the best.
std::vector<Ranked> rank(const std::vector<std::vector<double>>& scores, std::uint64_t seed);

}  // namespace heatproof
