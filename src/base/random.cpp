#include "base/random.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

namespace heatproof {

namespace {

std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t mix_name(std::uint64_t state, std::string_view name) {
  for (unsigned char c : name) state = (state ^ c) * 0x100000001b3ULL;  // FNV-1a
  state ^= name.size();
  return split_mix(state);
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::initializer_list<std::string_view> names,
                           std::uint64_t index) {
  std::uint64_t state = seed;
  state = split_mix(state);
  for (std::string_view name : names) state = mix_name(state, name);
  state ^= index * 0xd1342543de82ef95ULL;
  for (std::uint64_t& word : state_) word = split_mix(state);
}

std::uint64_t RandomStream::bits() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double RandomStream::uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::uint64_t RandomStream::below(std::uint64_t n) {
  const std::uint64_t threshold = (0 - n) % n;  // values under it would favour small results
  for (;;) {
    const std::uint64_t value = bits();
    if (value >= threshold) return value % n;
  }
}

std::vector<std::int64_t> RandomStream::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  shuffle(std::span<std::int64_t>(order));
  return order;
}

}  // namespace heatproof
