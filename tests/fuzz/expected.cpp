#include "fuzz/expected.h"

#include <algorithm>

#include "base/random.h"

namespace heatproof::fuzz {

namespace {

constexpr double kRounding = 0x1p-23;
constexpr double kNoise = 32 * kRounding;  // what a real error must not exceed
constexpr int kTrials = 4;                 // of noise
constexpr double kLargest = 1e25;          // squares of more are infinite in single precision
constexpr double kSmallest = 1e-25;        // and of less are zero

Array input_of(const Tensor& x, const Tensor& direction) {
  Array a(x.shape());
  for (std::int64_t i = 0; i < a.size(); ++i)
    a.at(i) = {x.data<float>()[static_cast<std::size_t>(i)],
               direction.data<float>()[static_cast<std::size_t>(i)]};
  return a;
}

Array constant_of(const Tensor& t) {
  Array a(t.shape());
  for (std::size_t i = 0; i < a.numbers.size(); ++i)
    a.numbers[i].value =
        t.dtype() == DType::i64 ? static_cast<double>(t.data<std::int64_t>()[i]) : t.data<float>()[i];
  return a;
}

Array fill_of(const Attributes& attributes) {
  Array a(Shape(attributes.integers("shape")));
  const double value = static_cast<float>(attributes.number("value", 0));
  for (Number& n : a.numbers) n = {value, 0};
  return a;
}

std::vector<Array> evaluate(const Plan& plan, const Array& input, double noise, std::uint64_t seed) {
  evaluation() = {.noise = noise, .seed = seed};
  std::vector<Array> arrays;
  for (const PlanNode& node : plan.nodes) {
    if (node.op == &kInput) {
      arrays.push_back(input);
    } else if (node.op == &kConstant) {
      arrays.push_back(constant_of(node.data));
    } else if (node.op == &kFill) {
      arrays.push_back(fill_of(node.attributes));
    } else {
      std::vector<Array> inputs;
      for (int i : node.inputs) inputs.push_back(arrays[static_cast<std::size_t>(i)]);
      arrays.push_back(evaluate(*node.op, inputs, node.attributes));
    }
  }
  return arrays;
}

void widen(Values& values, const Array& noisy, double Number::*part) {
  for (std::size_t i = 0; i < values.value.size(); ++i)
    values.tolerance[i] = std::max(values.tolerance[i], std::fabs(noisy.numbers[i].*part - values.value[i]));
}

Values exact(const Array& a, double Number::*part) {
  Values v;
  for (const Number& n : a.numbers) v.value.push_back(n.*part);
  v.tolerance.assign(v.value.size(), 0);
  return v;
}

}  // namespace

Tensor random_numbers(const Shape& shape, std::uint64_t seed) {
  RandomStream random(seed, {"fuzz", "numbers"});
  Tensor t = Tensor::empty(DType::f32, shape);
  for (float& v : t.data<float>()) v = static_cast<float>(random.normal());
  return t;
}

std::optional<Expected> expected_of(const Plan& plan, std::uint64_t seed) {
  Expected e;
  e.input = random_numbers(plan.input, 2 * seed + 1);
  e.direction = random_numbers(plan.input, 2 * seed + 2);
  const Array input = input_of(e.input, e.direction);
  e.arrays = evaluate(plan, input, 0, 1);
  const Evaluation calm = evaluation();
  if (!(calm.largest < kLargest) || calm.smallest < kSmallest) return std::nullopt;
  e.largest = calm.largest;
  for (int i : plan.outputs) {
    const Array& a = e.arrays[static_cast<std::size_t>(i)];
    e.outputs.push_back(exact(a, &Number::value));
    e.slopes.push_back(exact(a, &Number::slope));
  }
  for (std::uint64_t trial = 1; trial <= kTrials; ++trial) {
    const std::vector<Array> noisy = evaluate(plan, input, kNoise, trial * 0x9e3779b97f4a7c15ULL);
    if (!(evaluation().largest < 10 * kLargest) || evaluation().jumps != calm.jumps) return std::nullopt;
    e.kinked |= evaluation().kinks != calm.kinks;
    for (std::size_t i = 0; i < plan.outputs.size(); ++i) {
      const Array& a = noisy[static_cast<std::size_t>(plan.outputs[i])];
      widen(e.outputs[i], a, &Number::value);
      widen(e.slopes[i], a, &Number::slope);
    }
  }
  return e;
}

}  // namespace heatproof::fuzz
