// Operators of random plans that move elements.
#include <algorithm>
#include <limits>

#include "fuzz/generator.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

void Generator::reshape() {
  const int x = pick();
  std::vector<std::int64_t> s(shape(x).begin(), shape(x).end());
  const std::int64_t at = axis_of(x);
  switch (d_.below(5)) {
    case 0:
      s = {1, shape(x).elements()};
      break;
    case 1:  // two axes become one
      if (at + 1 >= shape(x).rank()) return;
      s[static_cast<std::size_t>(at)] *= s[static_cast<std::size_t>(at) + 1];
      s.erase(s.begin() + at + 1);
      break;
    case 2: {  // and one becomes two
      if (s.empty()) return;
      const std::int64_t parts = d_.between(2, 4);
      if (s[static_cast<std::size_t>(at)] % parts != 0) return;
      s[static_cast<std::size_t>(at)] /= parts;
      s.insert(s.begin() + at, parts);
      break;
    }
    case 3:
      s.insert(s.begin() + at, 1);
      break;
    default:
      std::erase(s, 1);
      s.insert(s.begin(), 1);
  }
  add(kReshape, {x}, {{"shape", s}});
}

void Generator::transpose() {
  const int x = pick();
  std::vector<std::int64_t> perm;
  for (std::int64_t i = 0; i < shape(x).rank(); ++i) perm.push_back(i);
  for (std::size_t i = perm.size(); i > 1; --i)
    std::swap(perm[i - 1], perm[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(i)))]);
  add(kTranspose, {x}, {{"perm", perm}});
}

void Generator::expand() {
  const int x = pick();
  std::vector<std::int64_t> s(shape(x).begin(), shape(x).end());
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == 1 && d_.once_in(2)) s[i] = d_.between(2, 4);
  }
  if (d_.once_in(3)) s.insert(s.begin(), d_.between(1, 2));
  add(kExpand, {x}, {{"shape", s}});
}

void Generator::slice() {
  const int x = pick();
  std::vector<std::int64_t> starts, ends, steps;
  for (std::int64_t n : shape(x)) {
    const bool whole = d_.once_in(2);
    starts.push_back(whole ? 0 : d_.below(n));
    ends.push_back(whole ? n : d_.between(starts.back() + 1, n));
    steps.push_back(d_.once_in(4) ? d_.between(1, 3) : 1);
  }
  add(kSlice, {x}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
}

/// Made by derivatives, not by networks, and not for several rows.
void Generator::unslice() {
  const int x = pick();
  if (!d_.once_in(6)) return;
  std::vector<std::int64_t> starts, steps, sizes;
  for (std::int64_t n : shape(x)) {
    starts.push_back(d_.once_in(3) ? d_.between(1, 2) : 0);
    steps.push_back(d_.once_in(3) ? d_.between(1, 3) : 1);
    sizes.push_back(starts.back() + (n - 1) * steps.back() + 1 + (d_.once_in(3) ? d_.between(1, 2) : 0));
  }
  add(kUnslice, {x}, {{"shape", sizes}, {"starts", starts}, {"steps", steps}});
}

void Generator::pad() {
  const int x = pick();
  std::vector<std::int64_t> pads;
  for (std::size_t i = 0; i < 2 * shape(x).size(); ++i) pads.push_back(d_.once_in(3) ? d_.between(1, 2) : 0);
  add(kPad, {x}, {{"pads", pads}, {"value", one_of({0, 0, 1, -1, 0.5})}});
}

void Generator::gather() {
  const int x = pick();
  if (shape(x).empty()) return;
  const std::int64_t axis = axis_of(x);
  const std::int64_t n = shape(x)[static_cast<std::size_t>(axis)];
  Shape picked;
  for (std::int64_t i = d_.below(3); i > 0; --i) picked.push_back(d_.between(1, 3));
  Tensor indices = Tensor::empty(DType::i64, picked);
  for (std::int64_t& v : indices.data<std::int64_t>()) v = d_.below(n) - (d_.once_in(4) ? n : 0);
  add(kGather, {x, constant(indices)}, {{"axis", axis}});
}

void Generator::concat() {
  const int x = pick();
  if (shape(x).empty()) return;
  const auto axis = static_cast<std::size_t>(axis_of(x));
  std::vector<int> parts{x};
  for (std::int64_t more = d_.between(1, 3); more > 0; --more) {
    Shape s = shape(x);
    s[axis] = d_.between(1, 3);
    const std::int64_t what = d_.below(4);
    const int other = what == 0 ? constant(s) : what == 1 ? add(kRelu, {x}) : pick();
    if (other != kNone) parts.push_back(other);
  }
  if (d_.once_in(2)) std::swap(parts.front(), parts.back());
  add(kConcat, parts, {{"axis", static_cast<std::int64_t>(axis)}});
}

}  // namespace heatproof::fuzz
