// What a plan must give for an input: exact values and slopes along one direction, and how far from them
// single precision may be.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fuzz/plan.h"
#include "fuzz/reference.h"

namespace heatproof::fuzz {

struct Values {
  std::vector<double> value, tolerance;
};

struct Expected {
  Tensor input, direction;
  std::vector<Array> arrays;            // of every node
  std::vector<Values> outputs, slopes;  // of every output
  double largest = 0;                   // of all values
  bool kinked = false;                  // derivatives hang on rounding
};

Tensor random_numbers(const Shape& shape, std::uint64_t seed);
/// Nothing where numbers are too large or no numbers, or results hang on how something is rounded.
std::optional<Expected> expected_of(const Plan& plan, std::uint64_t seed);

}  // namespace heatproof::fuzz
