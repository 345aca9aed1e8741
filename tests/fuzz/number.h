// Numbers of the naive evaluation: in double, with the derivative along one direction, and with noise on
// demand.
//
// Noise of the size of single precision's rounding, added to every operation, shows how far a program in
// single precision may be from the exact result, however badly the graph is conditioned (Vignes 1993).
#pragma once

#include <cmath>
#include <cstdint>

namespace heatproof::fuzz {

/// The state of one evaluation.
struct Evaluation {
  double noise = 0;         // relative, of one operation
  std::uint64_t seed = 1;   // of the noise
  std::uint64_t jumps = 0;  // hash of all choices between values that are far apart
  std::uint64_t kinks = 0;  // and between derivatives that are far apart
  double largest = 0;       // of all values and derivatives
  double smallest = 1;      // of those that are not zero
};
Evaluation& evaluation();

struct Number {
  double value = 0, slope = 0;
};

/// With noise; `size` is in units of the last place.
inline double rounded(double v, double size = 1) {
  Evaluation& e = evaluation();
  if (e.noise == 0) return v;
  e.seed ^= e.seed << 13, e.seed ^= e.seed >> 7, e.seed ^= e.seed << 17;  // xorshift (Marsaglia 2003)
  return v * (1 + size * e.noise * (static_cast<double>(e.seed >> 11) * 0x1p-52 - 1));
}
inline Number rounded(Number a, double size = 1) { return {rounded(a.value, size), rounded(a.slope, size)}; }

inline Number operator+(Number a, Number b) { return rounded({a.value + b.value, a.slope + b.slope}); }
inline Number operator-(Number a, Number b) { return rounded({a.value - b.value, a.slope - b.slope}); }
inline Number operator-(Number a) { return {-a.value, -a.slope}; }
inline Number operator*(Number a, Number b) {
  return {rounded(a.value * b.value), rounded(rounded(a.slope * b.value) + rounded(a.value * b.slope))};
}
inline Number operator/(Number a, Number b) {
  const double ratio = a.value / b.value;
  const double slope =
      a.slope == 0 && b.slope == 0 ? 0 : (rounded(a.slope) - rounded(rounded(ratio) * b.slope)) / b.value;
  return {rounded(ratio), rounded(slope)};
}
inline Number operator+(Number a, double b) { return a + Number{b, 0}; }
inline Number operator-(double a, Number b) { return Number{a, 0} - b; }
inline Number operator*(Number a, double b) { return a * Number{b, 0}; }
inline Number operator/(Number a, double b) { return a / Number{b, 0}; }
inline Number& operator+=(Number& a, Number b) { return a = a + b; }

/// f(a), whose derivative is `derivative`; both as exact as the library's functions. A derivative that hangs
/// on how 1 − x is rounded has an error of `absolute` besides.
inline Number function(Number a, double f, double derivative, double absolute = 0) {
  const double d = rounded(derivative, 8) + (rounded(1, 8) - 1) * absolute;
  return {rounded(f, 8), a.slope == 0 ? 0 : rounded(d * a.slope)};
}

/// a > b, where the result goes on continuously: the choice matters to derivatives alone.
bool above(Number a, Number b);
/// a > b, where the result jumps.
bool beyond(double a, double b);
/// An integer that the result hangs on.
void jump(double integer);

inline Number larger(Number a, Number b) { return above(a, b) ? a : b; }
inline Number smaller(Number a, Number b) { return above(b, a) ? a : b; }

}  // namespace heatproof::fuzz
