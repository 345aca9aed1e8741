#include "fuzz/reference.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "fuzz/support.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Number kZero{};
constexpr Number kOne{1, 0};

Number exp(Number a) { return function(a, std::exp(a.value), std::exp(a.value)); }
Number log(Number a) { return function(a, std::log(a.value), 1 / a.value); }
Number sqrt(Number a) { return function(a, std::sqrt(a.value), 0.5 / std::sqrt(a.value)); }
Number tanh(Number a) {
  const double t = std::tanh(a.value);
  return function(a, t, 1 - t * t, 1);
}
Number sigmoid(Number a) {
  const double s = 1 / (1 + std::exp(-a.value));
  return function(a, s, s * (1 - s), s);
}
Number softplus(Number a) {
  const double value = a.value > 0 ? a.value + std::log1p(std::exp(-a.value)) : std::log1p(std::exp(a.value));
  return function(a, value, 1 / (1 + std::exp(-a.value)));
}
Number erf(Number a) {
  return function(a, std::erf(a.value), 1.1283791670955126 * std::exp(-a.value * a.value));
}
Number expm1(Number a) { return function(a, std::expm1(a.value), std::exp(a.value), 1); }
Number absolute(Number a) { return above(a, kZero) ? a : -a; }
Number relu(Number a) { return larger(a, kZero); }
Number constant(double value) { return {value, 0}; }

Number elu(Number v, double alpha, double scale) {
  return above(v, kZero) ? v * scale : expm1(v) * (alpha * scale);
}
Number gelu(Number v, const Attributes& a) {
  if (a.text("approximate", "none") == "none") return v * 0.5 * (erf(v * 0.7071067811865476) + 1);
  return v * 0.5 * (tanh((v + v * v * v * 0.044715) * 0.7978845608028654) + 1);
}
Number clip(Number v, const Attributes& a) {
  const Number least = larger(v, constant(a.number("min", -kInfinity)));
  return smaller(least, constant(a.number("max", kInfinity)));
}
Number rounded_by(Number a, double (*f)(double)) {
  const double integer = f(a.value);
  jump(integer);
  return constant(integer);
}
Number sign(Number a) { return constant(beyond(a.value, 0) ? 1 : beyond(0, a.value) ? -1 : 0); }

using Function = Number (*)(Number, const Attributes&);
const std::vector<std::pair<const Operator*, Function>>& all_functions() {
  using A = const Attributes&;
  static const std::vector<std::pair<const Operator*, Function>> table{
      {&kRelu, [](Number v, A) { return relu(v); }},
      {&kLeakyRelu, [](Number v, A a) { return above(v, kZero) ? v : v * a.number("alpha", 0.01); }},
      {&kElu, [](Number v, A a) { return elu(v, a.number("alpha", 1), 1); }},
      {&kSelu,
       [](Number v, A a) {
         return elu(v, a.number("alpha", 1.6732632423543772), a.number("gamma", 1.0507009873554805));
       }},
      {&kCelu,
       [](Number v, A a) {
         const double alpha = a.number("alpha", 1);
         return above(v, kZero) ? v : expm1(v / alpha) * alpha;
       }},
      {&kSigmoid, [](Number v, A) { return sigmoid(v); }},
      {&kHardSigmoid,
       [](Number v, A a) { return smaller(relu(v * a.number("alpha", 0.2) + a.number("beta", 0.5)), kOne); }},
      {&kHardSwish, [](Number v, A) { return v * smaller(relu(v + 3), constant(6)) / 6; }},
      {&kTanh, [](Number v, A) { return tanh(v); }},
      {&kSoftplus, [](Number v, A) { return softplus(v); }},
      {&kSoftsign, [](Number v, A) { return v / (absolute(v) + 1); }},
      {&kGelu, gelu},
      {&kSilu, [](Number v, A) { return v * sigmoid(v); }},
      {&kMish, [](Number v, A) { return v * tanh(softplus(v)); }},
      {&kClip, clip},
      {&kNeg, [](Number v, A) { return -v; }},
      {&kAbs, [](Number v, A) { return absolute(v); }},
      {&kSign, [](Number v, A) { return sign(v); }},
      {&kExp, [](Number v, A) { return exp(v); }},
      {&kLog, [](Number v, A) { return log(v); }},
      {&kSqrt, [](Number v, A) { return sqrt(v); }},
      {&kReciprocal, [](Number v, A) { return kOne / v; }},
      {&kErf, [](Number v, A) { return erf(v); }},
      {&kFloor, [](Number v, A) { return rounded_by(v, std::floor); }},
      {&kCeil, [](Number v, A) { return rounded_by(v, std::ceil); }},
      {&kRound, [](Number v, A) { return rounded_by(v, std::nearbyint); }},
      {&kSin, [](Number v, A) { return function(v, std::sin(v.value), std::cos(v.value), 1); }},
      {&kCos, [](Number v, A) { return function(v, std::cos(v.value), -std::sin(v.value), 1); }},
      {&kStep, [](Number v, A) { return constant(beyond(v.value, 0) ? 1 : 0); }},
      {&kPositive, [](Number v, A) { return relu(v); }},
      {&kNegative, [](Number v, A) { return smaller(v, kZero); }},
  };
  return table;
}

Number power(Number a, Number b) {
  const double value = std::pow(a.value, b.value);
  const double by_base = b.value * std::pow(a.value, b.value - 1);
  const double by_exponent = b.slope == 0 ? 0 : value * std::log(a.value);
  return {rounded(value, 8),
          (a.slope == 0 ? 0 : rounded(rounded(by_base, 8) * a.slope)) + rounded(by_exponent, 8) * b.slope};
}

using Pair = Number (*)(Number, Number);
const std::vector<std::pair<const Operator*, Pair>>& all_pairs() {
  static const std::vector<std::pair<const Operator*, Pair>> table{
      {&kAdd, [](Number a, Number b) { return a + b; }},
      {&kSub, [](Number a, Number b) { return a - b; }},
      {&kMul, [](Number a, Number b) { return a * b; }},
      {&kDiv, [](Number a, Number b) { return a / b; }},
      {&kMax, larger},
      {&kMin, smaller},
      {&kPow, power},
  };
  return table;
}

template <typename Table>
auto find_in(const Table& table, const Operator& op) -> decltype(table.front().second) {
  for (const auto& [known, f] : table) {
    if (known == &op) return f;
  }
  return nullptr;
}

Shape broadcast_all(std::span<const Array> in) {
  Shape shape = in[0].shape;
  for (const Array& a : in) shape = broadcast(shape, a.shape);
  return shape;
}

/// The element that numpy's broadcasting puts at an index.
const Number& stretched(const Array& x, const Index& index) {
  Index own(index.end() - x.shape.rank(), index.end());
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (x.shape[i] == 1) own[i] = 0;
  }
  return x.at(position(x.shape, own));
}

Array elementwise(std::span<const Array> in, const std::function<Number(std::span<const Number>)>& f) {
  Array y(broadcast_all(in));
  std::vector<Number> operands(in.size());
  for_each(y.shape, [&](const Index& at, std::int64_t i) {
    for (std::size_t k = 0; k < in.size(); ++k) operands[k] = stretched(in[k], at);
    y.at(i) = f(operands);
  });
  return y;
}

/// y[..., m] = Σ_k x[..., k] w[m, k] + b[m].
Array linear(std::span<const Array> in) {
  const Array& x = in[0];
  const Array& w = in[1];
  Shape shape = x.shape;
  shape.back() = w.shape[0];
  Array y(shape);
  const std::int64_t inner = w.shape[1];
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t row = i / w.shape[0];
    const std::int64_t m = i % w.shape[0];
    Number sum;
    for (std::int64_t k = 0; k < inner; ++k) sum += x.at(row * inner + k) * w.at(m * inner + k);
    y.at(i) = in.size() > 2 && in[2].size() > 0 ? sum + in[2].at(m) : sum;
  }
  return y;
}

Array matmul(const Array& a, const Array& b) {
  const auto leading = [](const Shape& s) { return Shape(s.begin(), s.end() - 2); };
  Shape shape = broadcast(leading(a.shape), leading(b.shape));
  const std::int64_t inner = a.shape.back();
  shape.push_back(a.shape[a.shape.size() - 2]);
  shape.push_back(b.shape.back());
  Array y(shape);
  for_each(shape, [&](const Index& at, std::int64_t i) {
    Index left = at;
    Index right = at;
    Number sum;
    for (std::int64_t k = 0; k < inner; ++k) {
      left.back() = right[right.size() - 2] = k;
      sum += stretched(a, left) * stretched(b, right);
    }
    y.at(i) = sum;
  });
  return y;
}

Array normalize_channels(std::span<const Array> in) {
  Array y(in[0].shape);
  for_each(y.shape, [&](const Index& at, std::int64_t i) {
    y.at(i) = in[0].at(i) * in[1].at(at[1]) + in[2].at(at[1]);
  });
  return y;
}

/// The elements of x along `axes`, for every index of the other axes.
Array along(const Array& x, const Index& axes, bool keep,
            const std::function<Number(const std::vector<Number>&)>& f) {
  Shape kept = x.shape;
  Shape shape;
  for (int i = 0; i < x.shape.rank(); ++i) {
    const bool inside = std::ranges::count(axes, i) > 0;
    if (inside) kept[static_cast<std::size_t>(i)] = 1;
    if (!inside || keep) shape.push_back(kept[static_cast<std::size_t>(i)]);
  }
  std::vector<std::vector<Number>> groups(static_cast<std::size_t>(kept.elements()));
  for_each(x.shape, [&](Index at, std::int64_t i) {
    for (std::int64_t axis : axes) at[static_cast<std::size_t>(axis)] = 0;
    groups[static_cast<std::size_t>(position(kept, at))].push_back(x.at(i));
  });
  Array y(shape);
  for (std::size_t i = 0; i < groups.size(); ++i) y.numbers[i] = f(groups[i]);
  return y;
}

Number fold(const std::vector<Number>& v, Pair f) {
  Number r = v[0];
  for (std::size_t i = 1; i < v.size(); ++i) r = f(r, v[i]);
  return r;
}
Number sum(const std::vector<Number>& v) {
  return fold(v, [](Number a, Number b) { return a + b; });
}

/// Of numbers whose largest value is taken off first, which changes no derivative.
Number sum_of_exponentials(const std::vector<Number>& v, double& most) {
  most = -kInfinity;
  for (const Number& n : v) most = std::max(most, n.value);
  Number total;
  for (const Number& n : v) total += exp(n - constant(most));
  return total;
}

Number log_sum_exp(const std::vector<Number>& v) {
  double most = 0;
  const Number total = sum_of_exponentials(v, most);
  return log(total) + most;
}

Array softmax(const Array& x, std::int64_t axis, bool log_of_it) {
  double most = 0;
  const Array total = along(x, {axis}, true, [&](const std::vector<Number>& v) {
    return log_of_it ? log_sum_exp(v) : sum_of_exponentials(v, most);
  });
  const Array largest = along(x, {axis}, true, [](const std::vector<Number>& v) {
    double most_of_row = -kInfinity;
    for (const Number& n : v) most_of_row = std::max(most_of_row, n.value);
    return constant(most_of_row);
  });
  Array y(x.shape);
  for_each(x.shape, [&](Index at, std::int64_t i) {
    at[static_cast<std::size_t>(axis)] = 0;
    const std::int64_t row = position(total.shape, at);
    y.at(i) = log_of_it ? x.at(i) - total.at(row) : exp(x.at(i) - largest.at(row)) / total.at(row);
  });
  return y;
}

Array reduce(const Operator& op, const Array& x, const Attributes& a) {
  const Index axes = a.integers("axes");
  const bool keep = a.integer("keepdims", 1) != 0;
  return along(x, axes, keep, [&](const std::vector<Number>& v) {
    if (&op == &kReduceSum) return sum(v);
    if (&op == &kReduceMean) return sum(v) / static_cast<double>(v.size());
    if (&op == &kReduceMax) return fold(v, larger);
    if (&op == &kReduceMin) return fold(v, smaller);
    return fold(v, [](Number p, Number q) { return p * q; });
  });
}

Array computed(const Operator& op, std::span<const Array> in, const Attributes& a) {
  if (const Function f = find_in(all_functions(), op))
    return elementwise(in, [&](std::span<const Number> v) { return f(v[0], a); });
  if (const Pair f = find_in(all_pairs(), op))
    return elementwise(in, [&](std::span<const Number> v) { return f(v[0], v[1]); });
  if (&op == &kSelect)
    return elementwise(in, [](std::span<const Number> v) {
      return beyond(v[0].value, 0) || beyond(0, v[0].value) ? v[1] : v[2];
    });
  if (&op == &kConv) return convolve(in, a);
  if (&op == &kConvTranspose) return convolve_transposed(in, a);
  if (&op == &kAveragePool || &op == &kMaxPool) return pool(in[0], a, &op == &kMaxPool);
  if (&op == &kLinear) return linear(in);
  if (&op == &kMatMul) return matmul(in[0], in[1]);
  if (&op == &kBatchNormalization) return normalize_channels(in);
  if (&op == &kSoftmax || &op == &kLogSoftmax)
    return softmax(in[0], a.integer("axis", 0), &op == &kLogSoftmax);
  if (&op == &kLogSumExp) return along(in[0], {a.integer("axis", 0)}, true, log_sum_exp);
  if (std::ranges::count(std::vector{&kReduceSum, &kReduceMean, &kReduceMax, &kReduceMin, &kReduceProd},
                         &op) > 0)
    return reduce(op, in[0], a);
  return move(op, in, a);
}

template <typename Table>
std::vector<const Operator*> operators_of(const Table& table) {
  std::vector<const Operator*> list;
  for (const auto& entry : table) list.push_back(entry.first);
  return list;
}

}  // namespace

void for_each(const Shape& shape, const std::function<void(const Index&, std::int64_t)>& f) {
  Index at(shape.size(), 0);
  const std::int64_t n = shape.elements();
  for (std::int64_t i = 0; i < n; ++i) {
    f(at, i);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < shape[axis]) break;
      at[axis] = 0;
    }
  }
}

std::int64_t position(const Shape& shape, const Index& index) {
  std::int64_t p = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) p = p * shape[i] + index[i];
  return p;
}

Array evaluate(const Operator& op, std::span<const Array> inputs, const Attributes& attributes) {
  Array y = computed(op, inputs, attributes);
  Evaluation& e = evaluation();
  for (const Number& n : y.numbers) {
    const double size = std::fabs(n.value) + std::fabs(n.slope);
    e.largest = std::isnan(size) ? kInfinity : std::max(e.largest, size);
    for (double part : {n.value, n.slope})
      e.smallest = part == 0 ? e.smallest : std::min(e.smallest, std::fabs(part));
  }
  return y;
}

std::span<const Operator* const> functions() {
  static const auto list = operators_of(all_functions());
  return list;
}
std::span<const Operator* const> pairs() {
  static const auto list = operators_of(all_pairs());
  return list;
}

}  // namespace heatproof::fuzz
