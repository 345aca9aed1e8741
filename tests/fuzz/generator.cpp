#include "fuzz/generator.h"

#include <algorithm>
#include <array>

#include "fuzz/reference.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

Generator::Generator(std::string_view bytes) : d_(bytes), random_(d_.byte(), {"fuzz", "graph"}) {
  named_ = !d_.once_in(4);
  const int spatial = static_cast<int>(d_.below(6));  // axes besides batch and channels
  static constexpr std::array<int, 6> kAxes{2, 2, 1, 0, 1, 3};
  Shape shape{1, channels()};
  for (int i = 0; i < kAxes[static_cast<std::size_t>(spatial)]; ++i)
    shape.push_back(d_.between(1, spatial == 5 ? 4 : 9));
  plan_.input = shape;
  plan_.nodes.push_back({.op = &kInput, .name = "x"});
  values_.push_back(g_.input("x", {DType::f32, shape}));
  variable_.push_back(0);
}

int Generator::pick() {
  if (!d_.once_in(3)) return variable_.back();
  return variable_[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(variable_.size())))];
}

int Generator::add(const Operator& op, std::vector<int> inputs, Attributes attributes) {
  std::vector<Value> operands;
  bool variable = false;
  for (int i : inputs) {
    if (i == kNone) return kNone;
    operands.push_back(values_[static_cast<std::size_t>(i)]);
    variable |= std::ranges::count(variable_, i) > 0;
  }
  const auto at = static_cast<int>(values_.size());
  const std::string name = named_ ? std::string(op.name) + std::to_string(at) : std::string();
  Value v;
  try {
    v = g_.add(op, operands, attributes, name);
  } catch (const Error&) {
    return kNone;
  }
  if (v.shape().rank() > 7 || v.shape().elements() > kMostElements) return kNone;
  plan_.nodes.push_back({&op, std::move(inputs), std::move(attributes), {}, name});
  values_.push_back(v);
  if (variable) variable_.push_back(at);
  return at;
}

int Generator::constant(Tensor t) {
  plan_.nodes.push_back({.op = &kConstant, .data = t});
  values_.push_back(g_.constant(std::move(t)));
  return static_cast<int>(values_.size()) - 1;
}

int Generator::constant(const Shape& shape) {
  if (shape.elements() > kMostElements) return kNone;
  const std::int64_t style = d_.below(8);
  if (style == 7) return fill(shape, one_of({0, 1, -1, 2, 0.5}));
  Tensor t = Tensor::empty(DType::f32, shape);
  for (float& v : t.data<float>()) {
    double n = random_.normal();
    if (style == 1) n = std::fabs(n);
    if (style == 2) n = -std::fabs(n);
    if (style == 3) n = static_cast<double>(random_.below(5)) - 2;
    if (style == 4) n = random_.below(2) == 0 ? 0 : n;
    if (style == 5) n *= 20;
    v = static_cast<float>(n);
  }
  return constant(t);
}

int Generator::fill(const Shape& shape, double value) {
  return add(kFill, {}, {{"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}, {"value", value}});
}

int Generator::positive(int x, double least) { return add(kAdd, {add(kAbs, {x}), fill({}, least)}); }

Attributes Generator::attributes_of(const Operator& op) {
  Attributes a;
  const auto maybe = [&](const char* name, std::initializer_list<double> values) {
    if (!d_.once_in(3)) a.set(name, one_of(values));
  };
  if (&op == &kLeakyRelu) maybe("alpha", {0.01, 0.5, -0.5, 0, 1, 2});
  if (&op == &kElu) maybe("alpha", {1, 0.5, 2, -1, 0});
  if (&op == &kSelu)
    maybe("alpha", {1.6732632423543772, 0.5, -1}), maybe("gamma", {1.0507009873554805, 0.5, -2});
  if (&op == &kCelu) maybe("alpha", {1, 0.5, 2, -1});
  if (&op == &kHardSigmoid) maybe("alpha", {0.2, 1.0 / 6, 0.5, -0.5, 0}), maybe("beta", {0.5, 0, 1, -0.2});
  if (&op == &kGelu && d_.once_in(2)) a.set("approximate", std::string("tanh"));
  if (&op == &kClip) maybe("min", {0, -1, 0.5, 2}), maybe("max", {1, 6, 0.3, -0.5});
  return a;
}

void Generator::function() {
  const auto all = functions();
  const Operator& op = *all[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(all.size())))];
  int x = pick();
  if (&op == &kLog || &op == &kSqrt || &op == &kReciprocal)
    x = d_.once_in(8) ? x : positive(x, one_of({0.1, 0.5, 1}));
  if (x != kNone) add(op, {x}, attributes_of(op));
}

int Generator::second_operand(int x) {
  const Shape& s = shape(x);
  switch (d_.below(8)) {
    case 0:
      return constant(s);
    case 1:
      return fill({}, one_of({0, 1, -1, 2, 0.5, -3}));
    case 2: {  // one number per index of an axis, counted from behind as numpy does
      Shape one(s.size(), 1);
      if (!one.empty()) one[static_cast<std::size_t>(axis_of(x))] = 0;
      for (std::size_t i = 0; i < one.size(); ++i) one[i] = one[i] == 0 ? s[i] : 1;
      return constant(one);
    }
    case 3:
      return s.empty() ? constant(s) : constant(Shape{s.back()});
    case 4:
      return x;
    default:
      return variable_[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(variable_.size())))];
  }
}

void Generator::pair() {
  const auto all = pairs();
  const Operator& op = *all[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(all.size())))];
  int x = pick();
  int y = second_operand(x);
  if (&op == &kPow) {
    const double exponent = one_of({2, 0.5, 3, 1, 0, -1, 1.5});
    if (d_.once_in(4)) {
      x = positive(x, 0.2);
    } else {
      y = fill({}, exponent);
      if (exponent != 2 && exponent != 3 && exponent != 1 && exponent != 0) x = positive(x, 0.2);
    }
  }
  if (&op == &kDiv && y != kNone && !d_.once_in(6)) y = positive(y, one_of({0.5, 1, 2}));
  if (d_.once_in(2))
    add(op, {x, y});
  else
    add(op, {y, x});
}

/// x · f(x), which has names of its own for some functions, and GELU written out.
void Generator::gate() {
  const int x = pick();
  static constexpr const Operator* kGates[]{&kSigmoid, &kHardSigmoid, &kTanh};
  if (d_.once_in(3)) {
    const int bell = add(kAdd, {add(kErf, {add(kDiv, {x, fill({}, 1.4142135623730951)})}), fill({}, 1)});
    add(kMul, {add(kMul, {x, bell}), fill({}, one_of({0.5, 0.5, 2}))});
    return;
  }
  const Operator& op = *kGates[d_.below(3)];
  add(kMul, {x, add(op, {x}, attributes_of(op))});
}

void Generator::choice() {
  const int x = pick();
  const int y = second_operand(x);
  const int condition = d_.once_in(2) ? add(kStep, {second_operand(x)}) : constant(shape(x));
  if (d_.once_in(2))
    add(kSelect, {condition, x, y});
  else
    add(kSelect, {condition, y, x});
}

/// As networks write it in elementary operators.
void Generator::normalization() {
  const int x = pick();
  if (shape(x).empty()) return;
  std::vector<std::int64_t> axes;
  for (std::int64_t i = axis_of(x); i < shape(x).rank(); ++i) axes.push_back(i);
  const Attributes mean{{"axes", axes}, {"keepdims", std::int64_t{1}}};
  const bool centred = !d_.once_in(3);
  const int rest = centred ? add(kSub, {x, add(kReduceMean, {x}, mean)}) : x;
  const int square = d_.once_in(2) ? add(kMul, {rest, rest}) : add(kPow, {rest, fill({}, 2)});
  const int variance = add(kReduceMean, {square}, mean);
  const int deviation = add(kSqrt, {add(kAdd, {variance, fill({}, one_of({1e-5, 0.1, 1}))})});
  int y = d_.once_in(2) ? add(kDiv, {rest, deviation}) : add(kMul, {rest, add(kReciprocal, {deviation})});
  if (y == kNone || shape(y).empty()) return;
  if (d_.once_in(2)) y = add(kMul, {y, constant(Shape{shape(y).back()})});
  if (y != kNone && d_.once_in(2)) add(kAdd, {y, constant(Shape{shape(y).back()})});
}

Plan Generator::run() {
  using Family = void (Generator::*)();
  static constexpr Family kFamilies[]{
      &Generator::function,      &Generator::function,  &Generator::function,   &Generator::pair,
      &Generator::pair,          &Generator::pair,      &Generator::choice,     &Generator::pooling,
      &Generator::dense,         &Generator::product,   &Generator::pooling,    &Generator::channelwise,
      &Generator::reduction,     &Generator::reduction, &Generator::along_axis, &Generator::reshape,
      &Generator::transpose,     &Generator::expand,    &Generator::slice,      &Generator::unslice,
      &Generator::pad,           &Generator::gather,    &Generator::concat,     &Generator::concat,
      &Generator::normalization, &Generator::gate};
  constexpr auto kCount = static_cast<std::int64_t>(std::size(kFamilies));
  constexpr std::size_t kMostNodes = 40;
  const std::int64_t steps = d_.between(1, 14);
  for (std::int64_t i = 0; i < steps && values_.size() < kMostNodes; ++i) {
    const std::int64_t family = d_.below(kCount + 5);
    if (family < kCount)
      (this->*kFamilies[family])();
    else
      convolution(family == kCount);
  }
  plan_.outputs.push_back(variable_.back());
  for (std::int64_t more = d_.below(3); more > 0; --more) {
    const int other =
        variable_[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(variable_.size())))];
    if (std::ranges::count(plan_.outputs, other) == 0 && other != 0) plan_.outputs.push_back(other);
  }
  return std::move(plan_);
}

Plan plan_of(std::string_view bytes) { return Generator(bytes).run(); }

}  // namespace heatproof::fuzz
