// exp and its kin as polynomials without branches, so that loops over them vectorize. Errors stay within
// 5 units in the last place, where results are normal numbers; infinities and NaN are as the standard library
// has them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace heatproof::transcendental {

/// value = 2^n · (1 + rest), with |n · ln 2 + r| = the argument and rest = e^r − 1.
struct Exponential {
  float rest;
  float half, other_half;  // their product is 2^n, which alone may be out of range
};

[[gnu::always_inline]] inline float power_of_two(std::int32_t n) {
  return std::bit_cast<float>((n + 127) << 23);
}

/// Of −104 ≤ x ≤ 89, beyond which e^x is 0 or infinite.
[[gnu::always_inline]] inline Exponential split(float x) {
  constexpr float kRounds = 12582912.0F;  // 1.5 · 2^23: a sum with it has no digits behind the point
  const float shifted = x * 1.44269504F + kRounds;
  const std::int32_t n = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRounds);
  const float whole = shifted - kRounds;
  const float r = (x - whole * 0.693145751953125F) - whole * 1.42860677e-6F;  // ln 2 in two parts
  // (e^r − 1 − r) / r², minimax on |r| ≤ ln 2 / 2 by Lawson's iteration: 3e-9
  float p = 0.001381461275741458F;
  p = p * r + 0.008368710055947304F;
  p = p * r + 0.04166838899254799F;
  p = p * r + 0.1666652113199234F;
  p = p * r + 0.4999999403953552F;
  const std::int32_t half = n >> 1;
  return {.rest = p * (r * r) + r, .half = power_of_two(half), .other_half = power_of_two(n - half)};
}

[[gnu::always_inline]] inline float exp(float x) {
  const float low = x < -104.0F ? -104.0F : x;
  const Exponential e = split(low > 89.0F ? 89.0F : low);
  return (e.rest * e.half + e.half) * e.other_half;
}

/// e^x − 1, without cancellation near 0.
[[gnu::always_inline]] inline float expm1(float x) {
  const float low = x < -104.0F ? -104.0F : x;
  const Exponential e = split(low > 89.0F ? 89.0F : low);
  const float scale = e.half * e.other_half;
  const float large = (e.rest * e.half + e.half) * e.other_half;
  return scale > 3e7F ? large : e.rest * scale + (scale - 1.0F);
}

/// log(1 + u) for 0 ≤ u ≤ 1, by 2 artanh(u / (2 + u)).
[[gnu::always_inline]] inline float log1p_of_fraction(float u) {
  const float s = u / (2.0F + u);
  const float q = s * s;
  // (artanh(s) / s − 1) / s², minimax on 0 ≤ s² ≤ 1/9: 1e-10
  float p = 0.12150469422340393F;
  p = p * q + 0.10713828355073929F;
  p = p * q + 0.14308442175388336F;
  p = p * q + 0.19999438524246216F;
  p = p * q + 0.3333333730697632F;
  const float twice = s + s;
  return p * q * twice + twice;
}

[[gnu::always_inline]] inline float tanh(float x) {
  const float size = std::fabs(x);
  const float t = expm1(size > 10.0F ? 20.0F : size + size);
  return std::copysign(t / (t + 2.0F), x);
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.0F / (1.0F + exp(-x)); }

[[gnu::always_inline]] inline float softplus(float x) {
  return (x > 0.0F ? x : 0.0F) + log1p_of_fraction(exp(-std::fabs(x)));
}

/// x · tanh(softplus(x)), where tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2).
[[gnu::always_inline]] inline float mish(float x) {
  const float n = exp(x > 20.0F ? 20.0F : x);
  const float w = n * (n + 2.0F);
  return x * (w / (w + 2.0F));
}

[[gnu::always_inline]] inline float erf(float x) {
  const float size = std::fabs(x);
  const float s = x * x;
  // erf(x) / x in x², minimax on |x| ≤ 1: 1e-9
  float near = 7.853852730477229e-05F;
  near = near * s - 0.000801019137725234F;
  near = near * s + 0.00518832728266716F;
  near = near * s - 0.026853810995817184F;
  near = near * s + 0.1128358542919159F;
  near = near * s - 0.3761262595653534F;
  near = near * s + 1.1283791065216064F;
  // −log(1 − erf(t)) / t, minimax on 1 ≤ t ≤ 3.95, so that erf errs by 2.5e-9; then erf is 1
  const float t = size > 3.95F ? 3.95F : size;
  float far = -0.00021064255270175636F;
  far = far * t + 0.0031869413796812296F;
  far = far * t - 0.0227984469383955F;
  far = far * t + 0.1051161140203476F;
  far = far * t + 0.6358314752578735F;
  far = far * t + 1.128480076789856F;
  const float tail = -expm1(-(far * t));
  return size > 1.0F ? std::copysign(size > 3.95F ? 1.0F : tail, x) : near * x;
}

}  // namespace heatproof::transcendental
