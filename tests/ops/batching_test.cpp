#include "ops/batching.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using Ints = std::vector<std::int64_t>;

namespace {

Graph graph_of(const Build& build, const std::vector<Shape>& shapes) {
  Builder g;
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    inputs.push_back(g.input("x" + std::to_string(i), {DType::f32, shapes[i]}));
  g.output("y", build(g, inputs));
  return g.build();
}

/// Every row of the batched graph is what the row gives alone.
void expect_rows_alone(const Build& build, const std::vector<Shape>& shapes, std::int64_t rows = 3) {
  const Graph one = graph_of(build, shapes);
  const Graph many = batched(one, rows);
  std::vector<Tensor> all;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Shape shape = shapes[i];
    shape[0] = rows;
    all.push_back(random_tensor(shape, 7 + i));
  }
  const Tensor together = Workspace(compile(many)).run(all)[0].clone();
  ASSERT_EQ(together.shape()[0], rows) << to_string(one) << to_string(many);
  Workspace alone(compile(one));
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<Tensor> row;
    for (const Tensor& t : all) row.push_back(t.rows(r, r + 1).clone());
    const Tensor expected = alone.run(row)[0];
    const Tensor actual = together.rows(r, r + 1);
    ASSERT_EQ(actual.elements(), expected.elements()) << to_string(many);
    expect_close(actual.reshaped(expected.shape()), expected, 1e-5, 1e-6);
    if (::testing::Test::HasFailure()) FAIL() << "row " << r << "\n" << to_string(one) << to_string(many);
  }
}

void expect_rows_alone(const Operator& op, const Attributes& attributes, const Shape& shape) {
  SCOPED_TRACE(std::string(op.name) + " " + to_string(attributes));
  expect_rows_alone([&](Builder& g, const auto& x) { return g.add(op, {x[0]}, attributes); }, {shape});
}

Value constant(Builder& g, const Shape& shape, std::uint64_t seed = 3) {
  return g.constant(random_tensor(shape, seed));
}

/// [1, n, ...] → [n, 1, ...], so that what follows has other things than the batch along axis 0.
Value turned(Value x) {
  Shape shape = x.shape();
  std::swap(shape[0], shape[1]);
  return reshape(x, shape);
}

}  // namespace

TEST(Batching, EveryOperatorSaysHowRowsPass) {
  // Leaves, and what only explanations and updates of windows are made of.
  const std::set<const Operator*> others{&kInput,   &kConstant,     &kFill,         &kState,
                                         &kUnslice, &kGatherWindow, &kScatterWindow};
  for (const Operator* op : all_operators()) EXPECT_EQ(has_row_rule(*op), !others.contains(op)) << op->name;
}

TEST(Batching, ElementwiseOperatorsMeetOperandsOfOtherShapes) {
  const auto sum = [](Value a, Value b) { return a * b + 0.5 * a; };
  for (const Shape& shape : {Shape{1, 4, 5}, Shape{4, 5}, Shape{5}, Shape{1, 1, 5}, Shape{}, Shape{1}})
    expect_rows_alone([&](Builder& g, const auto& x) { return sum(x[0], constant(g, shape)); }, {{1, 4, 5}});
  for (const Shape& shape : {Shape{4, 1, 5}, Shape{1, 5}, Shape{4, 3, 5}, Shape{2, 4, 1, 5}})
    expect_rows_alone([&](Builder& g, const auto& x) { return sum(turned(x[0]), constant(g, shape)); },
                      {{1, 4, 5}});
  for (const Shape& shape : {Shape{1, 5}, Shape{1, 4, 5}, Shape{1, 1}, Shape{1, 2, 4, 5}, Shape{1}})
    expect_rows_alone([&](Builder&, const auto& x) { return sum(x[0], x[1]); }, {{1, 4, 5}, shape});
  expect_rows_alone([&](Builder&, const auto& x) { return sum(turned(x[0]), x[1]); }, {{1, 4, 5}, {1, 5}});
  expect_rows_alone([&](Builder&, const auto& x) { return reshape(x[0], {}) * x[1] + reshape(x[0], {}); },
                    {{1, 1}, {1, 5}});
}

TEST(Batching, LayersTakeSamplesFromAxis0) {
  const auto conv = [](Value x) {
    Builder& g = x.builder();
    return g.add(kConv, {x, constant(g, {3, 2, 2, 2}), constant(g, {3})});
  };
  expect_rows_alone([&](Builder&, const auto& x) { return conv(x[0]); }, {{1, 2, 4, 4}});
  // Frames of a film are samples, too.
  expect_rows_alone(
      [&](Builder&, const auto& x) {
        return conv(reshape(x[0], {5, 2, 4, 4}));
      },
      {{1, 5, 2, 4, 4}});
  expect_rows_alone(
      [](Builder& g, const auto& x) {
        return g.add(kBatchNormalization, {reshape(x[0], {5, 2, 3}), constant(g, {2}), constant(g, {2}, 4)});
      },
      {{1, 5, 2, 3}});
  expect_rows_alone(
      [](Builder& g, const auto& x) {
        return g.add(kMaxPool, {reshape(x[0], {5, 2, 4})},
                     {{"kernel_shape", Ints{2}},
                      {"strides", Ints{2}},
                      {"pads", Ints{0, 0}},
                      {"output_shape", Ints{2}}});
      },
      {{1, 5, 2, 4}});
  const auto variable = graph_of(
      [](Builder& g, const auto& x) {
        return g.add(kConv, {x[0], x[1]});
      },
      {{1, 2, 4, 4}, {1, 2, 2, 2}});
  EXPECT_THROW(batched(variable, 2), UnsupportedError);
}

TEST(Batching, ProductsOfMatrices) {
  const auto linear = [](Value x) { return x.builder().add(kLinear, {x, constant(x.builder(), {3, 5})}); };
  expect_rows_alone([&](Builder&, const auto& x) { return linear(x[0]); }, {{1, 4, 5}});
  expect_rows_alone([&](Builder&, const auto& x) { return linear(reshape(x[0], {4, 5})); }, {{1, 4, 5}});
  expect_rows_alone([&](Builder&, const auto& x) { return linear(reshape(x[0], {5})); }, {{1, 5}});
  const auto product = [](Value a, Value b) { return a.builder().add(kMatMul, {a, b}); };
  using Pair = std::pair<Shape, Shape>;
  for (const auto& [a, b] : {Pair{{4, 5}, {5, 4}}, Pair{{1, 4, 5}, {1, 5, 4}}, Pair{{2, 2, 5}, {2, 5, 2}},
                             Pair{{2, 2, 5}, {5, 4}}, Pair{{4, 5}, {2, 5, 2}}, Pair{{4, 1, 5}, {1, 5, 4}}}) {
    SCOPED_TRACE(to_string(a) + " " + to_string(b));
    expect_rows_alone([&](Builder&, const auto& x) { return product(reshape(x[0], a), reshape(x[1], b)); },
                      {{1, 20}, {1, 20}});
    expect_rows_alone([&](Builder& g, const auto& x) { return product(constant(g, a), reshape(x[0], b)); },
                      {{1, 20}});
    expect_rows_alone([&](Builder& g, const auto& x) { return product(reshape(x[0], a), constant(g, b)); },
                      {{1, 20}});
  }
}

TEST(Batching, ReductionsAndSoftmaxAlongAxis0) {
  for (const Operator* op : {&kReduceSum, &kReduceMean, &kReduceMax, &kReduceMin, &kReduceProd}) {
    for (const Ints& axes : {Ints{0}, Ints{1}, Ints{0, 1}, Ints{0, 1, 2}, Ints{2}}) {
      for (const std::int64_t keep : {0, 1})
        expect_rows_alone(*op, {{"axes", axes}, {"keepdims", keep}}, {1, 4, 5});
    }
  }
  for (const Operator* op : {&kSoftmax, &kLogSoftmax}) {
    for (const std::int64_t axis : {0, 1, 2}) {
      expect_rows_alone(*op, {{"axis", axis}}, {1, 4, 5});
      expect_rows_alone(
          [&](Builder& g, const auto& x) {
            return g.add(*op, {turned(x[0])}, {{"axis", axis}});
          },
          {{1, 4, 5}});
    }
  }
}

TEST(Batching, MovementOfData) {
  for (const Ints& perm : {Ints{0, 2, 1, 3}, Ints{1, 0, 2, 3}, Ints{3, 1, 0, 2}, Ints{2, 3, 1, 0}})
    expect_rows_alone(kTranspose, {{"perm", perm}}, {1, 2, 3, 4});
  expect_rows_alone(
      [](Builder&, const auto& x) {
        return transpose(reshape(x[0], {4, 2, 5}), {1, 0, 2});
      },
      {{1, 4, 10}});
  for (const Shape& shape : {Shape{24}, Shape{2, 12}, Shape{1, 24}, Shape{4, 1, 6}, Shape{3, 2, 1, 4}})
    expect_rows_alone([&](Builder&, const auto& x) { return reshape(x[0], shape) * 2; }, {{1, 2, 3, 4}});
  for (const Shape& shape : {Shape{1, 3, 4}, Shape{3, 3, 4}, Shape{2, 1, 3, 4}, Shape{2, 5, 3, 4}})
    expect_rows_alone([&](Builder&, const auto& x) { return expand(x[0], shape); }, {{1, 3, 4}});
  for (const std::int64_t axis : {0, 1, 2}) {
    expect_rows_alone(
        [&](Builder& g, const auto& x) {
          return g.add(kConcat, {x[0], constant(g, {1, 3, 4}), x[1]}, {{"axis", axis}});
        },
        {{1, 3, 4}, {1, 3, 4}});
    expect_rows_alone(
        [&](Builder& g, const auto& x) {
          return g.add(kConcat, {constant(g, {3, 1, 4}), turned(x[0])}, {{"axis", axis}});
        },
        {{1, 3, 4}});
    expect_rows_alone(
        [&](Builder& g, const auto& x) {
          return g.add(kGather, {turned(x[0]), g.integers({0, -1})}, {{"axis", axis == 1 ? 0 : axis}});
        },
        {{1, 3, 4}});
  }
  const auto slice = [](Value x, const Ints& starts, const Ints& ends, const Ints& steps) {
    return x.builder().add(kSlice, {x}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
  };
  expect_rows_alone(
      [&](Builder&, const auto& x) {
        return slice(x[0], {0, 1, 0}, {1, 3, 4}, {1, 1, 2});
      },
      {{1, 3, 4}});
  expect_rows_alone(
      [&](Builder&, const auto& x) {
        return slice(turned(x[0]), {0, 0, 1}, {3, 1, 4}, {2, 1, 1});
      },
      {{1, 3, 4}});
  for (const Ints& pads : {Ints{0, 1, 0, 0, 0, 2}, Ints{1, 0, 0, 2, 0, 0}})
    expect_rows_alone(kPad, {{"pads", pads}, {"value", 0.5}}, {1, 3, 4});
}

TEST(Batching, ResultsBeginWithTheBatch) {
  // Positions first, classes alone, a number, and a result that no input matters to.
  expect_rows_alone([](Builder&, const auto& x) { return turned(x[0]) * 2; }, {{1, 4, 5}});
  expect_rows_alone([](Builder&, const auto& x) { return reshape(x[0], {5}) * 2; }, {{1, 5}});
  expect_rows_alone([](Builder&, const auto& x) { return reduce_sum(x[0], {0, 1}, false); }, {{1, 5}});
  expect_rows_alone([](Builder& g, const auto&) { return constant(g, {1, 3}); }, {{1, 5}});
  expect_rows_alone([](Builder& g, const auto&) { return constant(g, {3}); }, {{1, 5}});
  const Graph one = graph_of([](Builder&, const auto& x) { return reshape(x[0], {5}); }, {{1, 5}});
  const Graph many = batched(one, 1);
  EXPECT_EQ(many.node(many.outputs()[0].id).type.shape, (Shape{1, 5}));
}

TEST(Batching, InputsMayBeShared) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 3}});
  const Value w = g.input("w", {DType::f32, {3}});
  g.output("y", x * w);
  const Graph many = batched(g.build(), 4, {false, true});
  EXPECT_EQ(many.node(many.inputs()[1]).type.shape, Shape{3});
  EXPECT_EQ(many.node(many.outputs()[0].id).type.shape, (Shape{4, 3}));
  EXPECT_THROW(batched(graph_of([](Builder&, const auto& v) { return v[0]; }, {{2, 3}}), 4), InputError);
}

TEST(Batching, OrdinaryNetworksStayAsTheyAre) {
  const auto network = [](std::int64_t n) {
    Builder g;
    Value x = g.input("x", {DType::f32, {n, 2, 4, 4}});
    x = g.add(kRelu, {g.add(kConv, {x, constant(g, {3, 2, 2, 2})}, {{"pads", Ints{0, 0, 0, 0}}})});
    x = g.add(kMatMul, {reshape(x, {n, 27}), constant(g, {27, 5})});
    g.output("y", g.add(kSoftmax, {x + constant(g, {5})}, {{"axis", std::int64_t{1}}}));
    return g.build();
  };
  EXPECT_EQ(to_string(batched(network(1), 6)), to_string(network(6)));
  EXPECT_TRUE(same_function(batched(network(1), 6), network(6)));
  EXPECT_FALSE(same_function(network(5), network(6)));
}

namespace {

/// Shapes of `elements` elements, with ones among them.
Shape random_shape(std::int64_t elements, RandomStream& random) {
  Shape shape;
  while (elements > 1 && shape.size() < 3) {
    Ints divisors;
    for (std::int64_t d = 1; d <= elements; ++d)
      if (elements % d == 0) divisors.push_back(d);
    shape.push_back(divisors[random.below(divisors.size())]);
    elements /= shape.back();
  }
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(random.below(shape.size() + 1)), elements);
  return shape;
}

Value random_step(Value x, RandomStream& random) {
  Builder& g = x.builder();
  const auto rank = static_cast<std::uint64_t>(x.shape().rank());
  const auto axis = static_cast<std::int64_t>(random.below(rank));
  const auto along = [&](const Operator& op) { return g.add(op, {x}, {{"axis", axis}}); };
  switch (random.below(9)) {
    case 0:
      return along(kSoftmax);
    case 1:
      return x - g.add(kReduceMean, {x}, {{"axes", Ints{axis}}, {"keepdims", std::int64_t{1}}});
    case 2:
      return g.add(kConcat, {x, constant(g, x.shape())}, {{"axis", axis}});
    case 3: {
      Shape other = x.shape();
      if (random.below(2) == 0) other[static_cast<std::size_t>(axis)] = 1;
      if (random.below(2) == 0) other.erase(other.begin());
      return x * constant(g, other);
    }
    case 4: {
      if (rank < 2) return x;
      Ints swapped;
      for (std::uint64_t i = 0; i < rank; ++i) swapped.push_back(static_cast<std::int64_t>(i));
      std::swap(swapped[rank - 1], swapped[rank - 2]);
      return g.add(kMatMul, {g.add(kMatMul, {x, transpose(x, swapped)}), x}) * 0.3;
    }
    case 5:
      return g.add(kGather, {x, g.integers({0, -1, 0})}, {{"axis", axis}});
    case 6: {
      Ints perm;
      for (std::uint64_t i = 0; i < rank; ++i) perm.push_back(static_cast<std::int64_t>(i));
      for (std::uint64_t i = rank; i-- > 1;) std::swap(perm[i], perm[random.below(i + 1)]);
      return transpose(x, perm);
    }
    default:
      return reshape(x, random_shape(x.shape().elements(), random));
  }
}

}  // namespace

TEST(Batching, NoSampleSeesAnotherWhateverTheNetworkDoes) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    expect_rows_alone(
        [&](Builder&, const auto& x) {
          RandomStream random(seed, {"batching"});
          Value y = x[0];
          for (int step = 0; step < 9; ++step) {
            const Value next = random_step(y, random);
            if (next.shape().elements() < 2000) y = next;
          }
          return y;
        },
        {{1, 4, 6}}, seed % 2 == 0 ? 3 : 4);
    if (HasFatalFailure()) return;
  }
}

}  // namespace heatproof
