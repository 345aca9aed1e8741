#include "explain/probability.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "graph/operator.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

constexpr int kDeepest = 64;  // nodes between an output and its activation
constexpr double kRounding = 1e-5;

/// Elements that are probabilities times `scale`, or the logarithms of probabilities.
struct Shares {
  double scale = 1;
  bool log = false;
  std::int64_t choices = 1, inner = 1;  // as Probability has them
};
using Found = std::optional<Shares>;
using Ints = std::vector<std::int64_t>;

Shares along(Shares s, const Shape& shape, std::int64_t axis) {
  s.choices = axis < 0 ? 1 : shape[static_cast<std::size_t>(axis)];
  s.inner = axis < 0 ? 1 : shape.strides()[static_cast<std::size_t>(axis)];
  return s;
}

/// The axis that choices lie along; −1 where every element stands for itself, or choices along no axis.
std::int64_t axis_of(const Shares& s, const Shape& shape) {
  const auto strides = shape.strides();
  for (std::size_t a = 0; a < shape.size(); ++a) {
    if (s.choices > 1 && shape[a] == s.choices && strides[a] == s.inner) return static_cast<std::int64_t>(a);
  }
  return -1;
}

/// The one value of a constant.
std::optional<double> number_in(Value v) {
  while (v.is(kExpand) || v.is(kReshape)) v = v.input(0);
  if (v.is(kFill)) return v.attributes().number("value", 0);
  if (!v.is(kConstant) || v.dtype() != DType::f32 || v.shape().elements() == 0) return std::nullopt;
  const auto values = v.node().constant.data<float>();
  const bool same = std::ranges::all_of(values, [&](float x) { return x == values[0]; });
  return same ? std::optional(static_cast<double>(values[0])) : std::nullopt;
}

/// 1 + exp(…)
bool is_one_and_exponential(const Value& v) {
  if (!v.is(kAdd)) return false;
  for (std::size_t i = 0; i < 2; ++i)
    if (number_in(v.input(i)) == 1.0 && v.input(1 - i).is(kExp)) return true;
  return false;
}

/// Follows a value back to the activations that made it.
class Finder {
 public:
  Found operator()(Value v) {
    if (const auto it = known_.find(v.id()); it != known_.end()) return it->second;
    if (v.constant() || v.dtype() != DType::f32 || depth_ == kDeepest) return std::nullopt;
    ++depth_;
    Found found = activation(v);
    if (!found) found = moved(v);
    if (!found) found = reduced(v);
    if (!found) found = arithmetic(v);
    --depth_;
    return known_[v.id()] = found;
  }

 private:
  Found activation(Value v) {
    if (v.is(kSigmoid) || v.is(kHardSigmoid)) return Shares{};
    if (v.is(kSoftmax) || v.is(kLogSoftmax)) {
      Shares s = along({}, v.shape(), v.attributes().integer("axis", 0));
      s.log = v.is(kLogSoftmax);
      return s;
    }
    if (!v.is(kLog) && !v.is(kExp)) return std::nullopt;
    Found s = (*this)(v.input(0));
    if (!s || s->log == v.is(kLog) || std::abs(s->scale - 1) > kRounding) return std::nullopt;
    s->log = v.is(kLog);
    return s;
  }

  Found moved(Value v) {
    if (v.is(kConcat)) return joined(v);
    if (!v.is(kReshape) && !v.is(kTranspose) && !v.is(kSlice) && !v.is(kGather)) return std::nullopt;
    const Found s = (*this)(v.input(0));
    if (!s || v.is(kReshape)) return s;
    const std::int64_t from = axis_of(*s, v.input(0).shape());
    if (from < 0) return along(*s, v.shape(), -1);
    std::int64_t to = from;
    if (v.is(kTranspose)) {
      const Ints perm = v.attributes().integers("perm");
      to = std::ranges::find(perm, from) - perm.begin();
    } else if (v.is(kGather)) {
      const std::int64_t axis = v.attributes().integer("axis", 0);
      if (axis < from) to += v.input(1).shape().rank() - 1;
      if (axis == from) to = -1;
    } else if (v.shape()[static_cast<std::size_t>(from)] != s->choices) {
      to = -1;
    }
    return along(*s, v.shape(), to);
  }

  Found joined(Value v) {
    const Found first = (*this)(v.input(0));
    if (!first) return std::nullopt;
    std::int64_t axis = axis_of(*first, v.input(0).shape());
    if (axis == v.attributes().integer("axis", 0)) axis = -1;
    for (std::size_t i = 1; i < v.inputs(); ++i) {
      const Found s = (*this)(v.input(i));
      if (!s || s->log != first->log || std::abs(s->scale - first->scale) > kRounding) return std::nullopt;
      if (axis_of(*s, v.input(i).shape()) != axis) axis = -1;
    }
    return along(*first, v.shape(), axis);
  }

  /// Means of probabilities are probabilities, and so are the largest and the smallest of them.
  Found reduced(Value v) {
    const bool picks = v.is(kReduceMax) || v.is(kReduceMin) || v.is(kMaxPool);
    const bool pools = v.is(kMaxPool) || v.is(kAveragePool);
    if (!picks && !pools && !v.is(kReduceMean) && !v.is(kReduceSum)) return std::nullopt;
    Found s = (*this)(v.input(0));
    if (!s || s->log) return std::nullopt;
    const Shape& shape = v.input(0).shape();
    const std::int64_t from = axis_of(*s, shape);
    if (pools) {
      const Ints pads = v.attributes().integers("pads");
      const bool padded = std::ranges::any_of(pads, [](std::int64_t p) { return p != 0; });
      if (v.is(kAveragePool) && (padded || from > 1)) return std::nullopt;
      return along(*s, v.shape(), picks ? -1 : from);
    }
    const Ints axes = v.attributes().integers("axes");
    std::int64_t to = from;
    for (const std::int64_t axis : axes) {
      if (axis == from && !picks) return std::nullopt;
      if (axis < from && v.attributes().integer("keepdims", 1) == 0) --to;
      if (v.is(kReduceSum)) s->scale *= static_cast<double>(shape[static_cast<std::size_t>(axis)]);
    }
    return along(*s, v.shape(), picks ? -1 : to);
  }

  Found arithmetic(Value v) {
    if (v.is(kReciprocal)) return is_one_and_exponential(v.input(0)) ? Found(Shares{}) : std::nullopt;
    if (v.is(kClip)) return (*this)(v.input(0));
    if (v.inputs() != 2) return std::nullopt;
    const Value a = v.input(0);
    const Value b = v.input(1);
    if (v.is(kDiv)) return quotient(v, a, b);
    if (v.is(kMul)) return product(v, a, b);
    if (v.is(kAdd)) return sum(v, a, b);
    if (v.is(kSub)) {  // of all that can be: 1 − p
      const Found s = (*this)(b);
      const auto whole = number_in(a);
      if (!s || s->log || !whole || std::abs(*whole - s->scale) > kRounding * s->scale) return std::nullopt;
      return along(*s, v.shape(), -1);
    }
    if (!v.is(kMax) && !v.is(kMin)) return std::nullopt;
    const Found s = (*this)(a);
    const Found t = (*this)(b);
    if (!s || !t || s->log || t->log || std::abs(s->scale - t->scale) > kRounding) return std::nullopt;
    return along(*s, v.shape(), -1);
  }

  Found quotient(Value v, Value a, Value b) {
    if (number_in(a) == 1.0 && is_one_and_exponential(b)) return Shares{};
    const Ints axes = b.is(kReduceSum) ? b.attributes().integers("axes") : Ints{};
    if (axes.size() == 1 && b.input(0) == a && a.sign() == Sign::non_negative &&
        b.shape().rank() == a.shape().rank())
      return along({}, v.shape(), axes[0]);  // x / Σ x, such as a softmax that is written out
    const auto divisor = number_in(b);
    return divisor && *divisor > 0 ? scaled((*this)(a), 1 / *divisor) : std::nullopt;
  }

  Found product(Value v, Value a, Value b) {
    if (const auto factor = number_in(a); factor && *factor > 0) return scaled((*this)(b), *factor);
    if (const auto factor = number_in(b); factor && *factor > 0) return scaled((*this)(a), *factor);
    const Found s = (*this)(a);
    const Found t = s ? (*this)(b) : std::nullopt;
    if (!s || !t || s->log || t->log) return std::nullopt;
    return along({.scale = s->scale * t->scale}, v.shape(), -1);
  }

  Found sum(Value v, Value a, Value b) {
    const Found s = (*this)(a);
    const Found t = s ? (*this)(b) : std::nullopt;
    if (!s || !t || s->log || t->log || a.shape() != b.shape()) return std::nullopt;
    Shares both = *s;
    both.scale += t->scale;
    const bool alike = s->choices == t->choices && s->inner == t->inner;
    return alike ? both : along(both, v.shape(), -1);
  }

  static Found scaled(Found s, double factor) {
    if (!s || s->log) return std::nullopt;
    s->scale *= factor;
    return s;
  }

  std::map<NodeId, Found> known_;
  int depth_ = 0;
};

/// The outputs that an output is one of.
template <typename F>
void visit(const Probability& p, std::span<const float> logits, std::int64_t output, F&& use) {
  const std::int64_t block = p.choices * p.inner;
  const std::int64_t first = output / block * block + output % p.inner;
  for (std::int64_t k = 0; k < p.choices; ++k) {
    const std::int64_t at = first + k * p.inner;
    use(at, static_cast<double>(logits[static_cast<std::size_t>(at)]));
  }
}

std::string ending(Value output, const std::string& name, bool classes_somewhere) {
  const Node& last = output.node();
  Shape one = output.shape();  // of one input, whatever the batch is here
  one[0] = 1;
  return fmt::format(
      "output '{}' of shape {} has no probability: it ends in {}{}, not in Softmax or Sigmoid{}", name,
      to_string(one), last.op->name, last.name.empty() ? "" : fmt::format(" ('{}')", last.name),
      classes_somewhere ? ", and which axis is that of the classes is not known" : "");
}

}  // namespace

double Probability::of(std::span<const float> logits, std::int64_t output) const {
  const double own = logits[static_cast<std::size_t>(output)];
  if (from == From::output) return own;
  if (from == From::logarithm) return std::exp(own);
  if (from == From::none) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;  // of probabilities relative to the output's
  visit(*this, logits, output, [&](std::int64_t, double v) { sum += std::exp(v - own); });
  return 1 / sum;
}

bool Probability::decides(std::span<const float> logits, std::int64_t output) const {
  if (choices == 1) return of(logits, output) > 0.5;
  std::int64_t best = -1;
  double most = 0;
  visit(*this, logits, output, [&](std::int64_t at, double v) {
    if (best < 0 || v > most) best = at, most = v;
  });
  return best == output;
}

double Probability::best_rival(std::span<const float> logits, std::int64_t output) const {
  double best = -std::numeric_limits<double>::infinity();
  const auto use = [&](std::int64_t at, double v) {
    if (at != output && (std::isnan(v) || v > best)) best = v;  // NaN stays: nothing is larger
  };
  if (choices > 1) {
    visit(*this, logits, output, use);
  } else {
    for (std::size_t k = 0; k < logits.size(); ++k) use(static_cast<std::int64_t>(k), logits[k]);
  }
  return best;
}

ProbabilityView probability_of(Value output, Value softmax, Value logits, const std::string& name) {
  const std::int64_t size = logits.shape()[1];
  const Shape& shape = output.shape();
  ProbabilityView view;
  view.how.classes = size > 1 && shape.rank() > 1 && shape[1] == size;
  if (softmax) {
    const Value x = softmax.input(0);
    const std::int64_t axis = softmax.attributes().integer("axis", 0);
    const Shares s = along({}, x.shape(), axis);
    view.how.from = Probability::From::softmax;
    view.how.choices = s.choices, view.how.inner = s.inner;
    view.value = reshape(x.builder().add(kSoftmax, {x}, {{"axis", axis}}), logits.shape());
    return view;
  }
  const Found found = Finder()(output);
  if (found && std::abs(found->scale - 1) < kRounding) {
    view.how.from = found->log ? Probability::From::logarithm : Probability::From::output;
    view.how.choices = found->choices, view.how.inner = found->inner;
    view.value = found->log ? logits.builder().add(kExp, {logits}) : logits;
  } else if (view.how.classes) {
    view.how.from = Probability::From::convention;
    view.how.choices = size;
    view.value = logits.builder().add(kSoftmax, {logits}, {{"axis", std::int64_t{1}}});
  } else {
    view.how.missing = ending(output, name, size > 1);
  }
  return view;
}

}  // namespace heatproof
