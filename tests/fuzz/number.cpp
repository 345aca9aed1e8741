#include "fuzz/number.h"

#include <cstring>

namespace heatproof::fuzz {

namespace {

void note(std::uint64_t& hash, std::uint64_t what) {
  hash = (hash ^ what) * 0x9e3779b97f4a7c15ULL + (hash >> 29);
}

}  // namespace

Evaluation& evaluation() {
  static Evaluation e;
  return e;
}

bool above(Number a, Number b) {
  const bool is = a.value > b.value;
  if (std::fabs(a.slope - b.slope) > 1e-2 * (std::fabs(a.slope) + std::fabs(b.slope)))
    note(evaluation().kinks, is ? 1 : 2);
  return is;
}

bool beyond(double a, double b) {
  note(evaluation().jumps, a > b ? 1 : 2);
  return a > b;
}

void jump(double integer) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &integer, sizeof(bits));
  note(evaluation().jumps, bits);
}

}  // namespace heatproof::fuzz
