#include "support/operators.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <span>

#include "base/random.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"

namespace heatproof::testing {

namespace {

std::vector<Value> inputs_of(Builder& g, const std::vector<Tensor>& tensors) {
  std::vector<Value> values;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    values.push_back(g.input("x" + std::to_string(i), {tensors[i].dtype(), tensors[i].shape()}));
  }
  return values;
}

/// Gradients of ⟨y, u⟩ with respect to every f32 input, by reverse accumulation.
std::vector<Value> gradients(Value y, Value u, const std::vector<Value>& inputs) {
  std::map<NodeId, Value> total{{y.id(), u}};
  for (NodeId id = y.id(); id >= 0; --id) {
    const auto it = total.find(id);
    const Value node(&y.builder(), id);
    if (it == total.end() || node.inputs() == 0) continue;
    if (node.node().op->derivative == nullptr) {
      ADD_FAILURE() << node.node().op->name << " has no derivative";
      continue;
    }
    const auto parts = node.node().op->derivative(node, it->second);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i] || !node.input(i) || node.input(i).constant()) continue;
      EXPECT_EQ(parts[i].shape(), node.input(i).shape()) << node.node().op->name;
      Value& sum = total[node.input(i).id()];
      sum = sum ? sum + parts[i] : parts[i];
    }
  }
  std::vector<Value> result;
  for (const Value& x : inputs) {
    if (x.dtype() != DType::f32) continue;
    const auto it = total.find(x.id());
    result.push_back(it == total.end() ? zeros_like(x) : it->second);
  }
  return result;
}

/// y, then Jᵀu for every f32 input; u is the last input of the program.
Program with_gradients(const Build& build, const std::vector<Tensor>& inputs) {
  Builder g;
  const auto xs = inputs_of(g, inputs);
  const Value y = build(g, xs);
  const Value u = g.input("u", {DType::f32, y.shape()});
  g.output("y", y);
  for (const Value& gradient : gradients(y, u, xs)) g.output("gradient", gradient);
  return compile(g.build());
}

Tensor scaled_sum(const Tensor& a, const Tensor& b, float scale) {
  Tensor sum = a.clone();
  for (std::size_t i = 0; i < sum.data<float>().size(); ++i)
    sum.data<float>()[i] += scale * b.data<float>()[i];
  return sum;
}

}  // namespace

Tensor random_tensor(const Shape& shape, std::uint64_t seed, double low, double high) {
  RandomStream random(seed, {"test"});
  Tensor t = Tensor::empty(DType::f32, shape);
  for (float& v : t.data<float>()) v = static_cast<float>(random.uniform(low, high));
  return t;
}

Tensor integers(const Shape& shape, const std::vector<std::int64_t>& values) {
  return Tensor::of(shape, std::span(values));
}
Tensor floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor::of(shape, std::span(values));
}

Tensor run_graph(const Build& build, const std::vector<Tensor>& inputs) {
  Builder g;
  g.output("y", build(g, inputs_of(g, inputs)));
  Workspace workspace(compile(g.build()));
  return workspace.run(inputs).at(0);
}

void expect_equal(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.shape(), expected.shape());
  ASSERT_EQ(actual.dtype(), expected.dtype());
  EXPECT_EQ(std::memcmp(actual.raw(), expected.raw(), actual.bytes()), 0);
}

double dot(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape())
    throw Error("a product of " + to_string(a.shape()) + " and " + to_string(b.shape()));
  double sum = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    sum += static_cast<double>(a.data<float>()[i]) * b.data<float>()[i];
  }
  return sum;
}

void check_adjoint(const Build& build, const std::vector<Shape>& shapes, double tolerance) {
  std::vector<Tensor> zero;
  std::vector<Tensor> v;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    zero.push_back(Tensor::zeros(DType::f32, shapes[i]));
    v.push_back(random_tensor(shapes[i], i + 1));
  }
  const Tensor u = random_tensor(run_graph(build, v).shape(), 77);
  Workspace workspace(with_gradients(build, v));
  auto arguments = v;
  arguments.push_back(u);
  const auto at_v = workspace.run(arguments);
  std::ranges::copy(zero, arguments.begin());
  const auto at_zero = workspace.run(arguments);
  double backward = 0;
  double size = 1;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    backward += dot(v[i], at_v[i + 1]);
    size += std::sqrt(dot(v[i], v[i]) * dot(at_v[i + 1], at_v[i + 1]));
  }
  // A size that is not finite would make every gap small enough.
  ASSERT_TRUE(std::isfinite(size)) << "a derivative that is not finite";
  EXPECT_NEAR(dot(at_v[0], u) - dot(at_zero[0], u), backward, tolerance * size);
}

void check_derivative(const Build& build, const std::vector<Tensor>& inputs, double tolerance, double width) {
  const Tensor u = random_tensor(run_graph(build, inputs).shape(), 77);
  Workspace workspace(with_gradients(build, inputs));
  for (std::uint64_t trial = 1; trial <= 3; ++trial) {
    auto above = inputs;
    auto below = inputs;
    auto here = inputs;
    std::vector<Tensor> directions;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].dtype() != DType::f32) continue;
      directions.push_back(random_tensor(inputs[i].shape(), 100 * trial + i));
      above[i] = scaled_sum(inputs[i], directions.back(), static_cast<float>(width));
      below[i] = scaled_sum(inputs[i], directions.back(), static_cast<float>(-width));
    }
    ASSERT_FALSE(directions.empty()) << "no input has a derivative";
    for (auto* arguments : {&above, &below, &here}) arguments->push_back(u);
    const double difference =
        (dot(workspace.run(above)[0], u) - dot(workspace.run(below)[0], u)) / (2 * width);
    const auto results = workspace.run(here);
    double derivative = 0;
    double size = 0;
    for (std::size_t i = 0; i < directions.size(); ++i) {
      derivative += dot(directions[i], results[i + 1]);
      size += std::sqrt(dot(directions[i], directions[i]) * dot(results[i + 1], results[i + 1]));
    }
    ASSERT_TRUE(std::isfinite(size) && std::isfinite(difference)) << "a derivative that is not finite";
    EXPECT_NEAR(derivative, difference, tolerance * (size + 1e-2));
  }
}

Tensor derivative_of(const Build& build, const std::vector<Tensor>& inputs) {
  const Shape shape = run_graph(build, inputs).shape();
  auto arguments = inputs;
  arguments.push_back(Tensor::filled(shape, 1));
  Workspace workspace(with_gradients(build, inputs));
  return workspace.run(arguments).at(1);
}

Value with_sign(Builder& g, const Shape& shape, Sign sign) {
  const Value x = g.input("x", {DType::f32, shape});
  switch (sign) {
    case Sign::non_negative:
      return abs(x);
    case Sign::non_positive:
      return -abs(x);
    case Sign::zero:
      return g.constant(Tensor::zeros(DType::f32, shape));
    case Sign::any:
      break;
  }
  return x;
}

}  // namespace heatproof::testing
