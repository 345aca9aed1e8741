// What the depth demonstration measures: explanations along random lines through networks of growing depth.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "demo/networks.h"

namespace heatproof::demo {

constexpr std::size_t kLines = 12;
constexpr std::int64_t kPoints = 256;  // of a line
constexpr std::size_t kLag = 8;        // points between explanations that are compared
constexpr std::int64_t kFine = 1024;   // points that regions are counted on, doubled where they are too few
constexpr std::int64_t kFinest = 2048;
extern const std::vector<double> kDepths;
extern const std::vector<std::string> kDepthRecipes;

/// Networks of one kind, by depth and line: random ones are drawn anew for every line.
struct Family {
  std::string name, about;
  std::int64_t width;
  std::function<Network(std::int64_t depth, std::uint64_t line)> network;
};

std::vector<Family> families(const Options& options);

/// What came out for a family: medians over the lines (as `mean`), per depth.
struct Curves {
  std::vector<std::vector<Interval>> magnitude{{}, {}}, correlation{{}, {}};  // [recipe][depth]
  std::vector<Interval> smoother;  // correlation of z⁺ minus that of gradient × input, paired by line
  std::vector<Interval> score;     // its autocorrelation
  std::vector<Interval> regions;
  std::vector<bool> at_least;  // of regions: too many for the finest sampling to tell them all

  double growth(std::size_t recipe) const {
    return magnitude[recipe].back().mean / magnitude[recipe].front().mean;
  }
};

Curves measure(const Family& family, std::uint64_t seed);

std::vector<double> medians(const std::vector<Interval>& intervals);

}  // namespace heatproof::demo
