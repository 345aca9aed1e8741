#include "ops/product.h"

#include <algorithm>

#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Columns [first, last) of a matrix.
Value columns(Value m, std::int64_t first, std::int64_t last) {
  return m.builder().add(kSlice, {m},
                         {{"starts", std::vector<std::int64_t>{0, first}},
                          {"ends", std::vector<std::int64_t>{m.shape()[0], last}},
                          {"steps", std::vector<std::int64_t>{1, 1}}});
}

Value joined(std::vector<Value> parts) {
  Builder& g = parts[0].builder();
  return g.add(kConcat, std::move(parts), {{"axis", std::int64_t{1}}});
}

/// The left half of the columns times the right half; a last column of an odd number stays.
Value halved(Value m) {
  const std::int64_t n = m.shape()[1];
  const std::int64_t half = n / 2;
  const Value product = columns(m, 0, half) * columns(m, half, 2 * half);
  return n % 2 == 0 ? product : joined({product, columns(m, 2 * half, n)});
}

Value shares_of_rows(Value x, Value r, Value M) {
  const std::int64_t n = x.shape()[1];
  if (n == 1) return M;
  const std::int64_t half = n / 2;
  const Value above = shares_of_rows(halved(x), r == x ? halved(x) : halved(r), M);
  const Value pairs = columns(above, 0, half);
  const Value middle = r == x ? x : (x + r) / 2;
  std::vector<Value> parts{masked(pairs, columns(middle, half, 2 * half)),
                           masked(pairs, columns(middle, 0, half))};
  if (n % 2 != 0) parts.push_back(columns(above, half, half + 1));
  return joined(std::move(parts));
}

}  // namespace

Value product_shares(Value x, Value r, const std::vector<std::int64_t>& axes, Value M) {
  std::vector<std::int64_t> order;
  for (int k = 0; k < x.shape().rank(); ++k)
    if (std::ranges::count(axes, k) == 0) order.push_back(k);
  const std::size_t kept = order.size();
  order.insert(order.end(), axes.begin(), axes.end());
  Shape turned;
  std::vector<std::int64_t> back(order.size());
  std::int64_t rows = 1;
  for (std::size_t k = 0; k < order.size(); ++k) {
    turned.push_back(x.shape()[static_cast<std::size_t>(order[k])]);
    back[static_cast<std::size_t>(order[k])] = static_cast<std::int64_t>(k);
    if (k < kept) rows *= turned.back();
  }
  const auto matrix = [&](Value v) {
    return reshape(transpose(v, order), {rows, v.shape().elements() / rows});
  };
  return transpose(reshape(shares_of_rows(matrix(x), matrix(r), matrix(M)), turned), back);
}

}  // namespace heatproof
