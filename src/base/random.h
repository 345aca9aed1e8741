// Random streams: independent of batch size, threads and order.
//
//   RandomStream random(seed, {"smoothgrad", "sample"}, sample_index);
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace heatproof {

/// A stream of random numbers derived from (seed, names, index); equal arguments give equal streams on every
/// machine. Generator: xoshiro256** (Blackman and Vigna 2018), seeded by SplitMix64.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::initializer_list<std::string_view> names = {},
                        std::uint64_t index = 0);

  std::uint64_t bits();
  /// Uniform in [0, 1).
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box and Muller 1958).
  double normal();
  /// Uniform integer in [0, n), n > 0.
  std::uint64_t below(std::uint64_t n);

  /// Shuffles in place (Fisher and Yates).
  template <typename T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }
  /// A random order of 0 … n−1.
  std::vector<std::int64_t> permutation(std::int64_t n);

 private:
  std::uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace heatproof
