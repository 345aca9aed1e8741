#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/convolution.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

namespace {

/// relu(conv(x)), then relu(conv(...) + rest), where `rest` is an input too, and read again at the end.
Graph block(std::int64_t batch, std::int64_t channels, std::int64_t size, bool shared) {
  Builder g;
  const Type map{DType::f32, {batch, channels, size, size}};
  const Value x = g.input("x", map);
  const Value rest = g.input("rest", map);
  const auto conv = [&](Value a, std::uint64_t seed) {
    const Value w = g.constant(testing::random_tensor({channels, channels, 3, 3}, seed, -0.1, 0.1));
    const Value b = g.constant(testing::random_tensor({channels}, seed + 1));
    return g.add(
        kConv, {a, w, b},
        {{"kernel_shape", std::vector<std::int64_t>{3, 3}}, {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}});
  };
  const Value h = g.add(kRelu, {conv(x, 1)});
  const Value sum = g.add(kRelu, {conv(h, 3) + (shared ? rest : h)});
  g.output("y", shared ? conv(sum, 5) + rest : conv(sum, 5));
  return g.build();
}

void expect_close_to_the_largest(const Tensor& a, const Tensor& b) {
  EXPECT_LT(testing::deviation(a, b), 1e-5);
}

}  // namespace

TEST(Conv, FastestConvolutionsGiveTheSame) {
  for (const std::int64_t channels : {3, 24, 48, 64}) {
    for (const std::int64_t size : {5, 14, 33}) {
      for (const bool shared : {false, true}) {
        const Graph graph = block(2, channels, size, shared);
        const Tensor x = testing::random_tensor({2, channels, size, size}, 7);
        const Tensor rest = testing::random_tensor({2, channels, size, size}, 8);
        const Tensor direct = Workspace(compile(graph)).run({x, rest})[0];
        Workspace fastest(compile(graph, Convolutions::fastest));
        for (int run = 0; run < 2; ++run) expect_close_to_the_largest(fastest.run({x, rest})[0], direct);
      }
    }
  }
}

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

/// A convolution in two dimensions, written as its definition.
Tensor naive_conv(const Tensor& x, const Tensor& w, std::int64_t stride, std::int64_t pad,
                  std::int64_t dilation, std::int64_t group) {
  const Shape& s = x.shape();
  const Shape& k = w.shape();
  const auto size = [&](std::size_t i) { return (s[i] + 2 * pad - dilation * (k[i] - 1) - 1) / stride + 1; };
  Tensor y = Tensor::zeros(DType::f32, {s[0], k[0], size(2), size(3)});
  const auto at = [](const Tensor& t, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    const Shape& q = t.shape();
    return static_cast<std::size_t>(((a * q[1] + b) * q[2] + c) * q[3] + d);
  };
  const Shape& o = y.shape();
  for (std::int64_t n = 0; n < o[0]; ++n)
    for (std::int64_t c = 0; c < o[1]; ++c)
      for (std::int64_t h = 0; h < o[2]; ++h)
        for (std::int64_t v = 0; v < o[3]; ++v) {
          double sum = 0;
          for (std::int64_t i = 0; i < k[1]; ++i)
            for (std::int64_t p = 0; p < k[2]; ++p)
              for (std::int64_t q = 0; q < k[3]; ++q) {
                const std::int64_t yy = h * stride - pad + p * dilation;
                const std::int64_t xx = v * stride - pad + q * dilation;
                if (yy < 0 || yy >= s[2] || xx < 0 || xx >= s[3]) continue;
                const std::int64_t channel = c / (o[1] / group) * k[1] + i;
                sum += static_cast<double>(x.data<float>()[at(x, n, channel, yy, xx)]) *
                       w.data<float>()[at(w, c, i, p, q)];
              }
          y.data<float>()[at(y, n, c, h, v)] = static_cast<float>(sum);
        }
  return y;
}

struct Case {
  Shape x, w;
  std::int64_t stride, pad, dilation, group;
};

const std::vector<Case> kCases = {
    {{1, 3, 9, 9}, {8, 3, 3, 3}, 1, 1, 1, 1},      {{2, 16, 8, 8}, {32, 16, 1, 1}, 1, 0, 1, 1},
    {{1, 16, 11, 11}, {16, 16, 3, 3}, 2, 1, 1, 1}, {{1, 8, 9, 9}, {8, 1, 3, 3}, 1, 1, 1, 8},
    {{2, 32, 7, 7}, {32, 1, 3, 3}, 2, 1, 1, 32},   {{1, 6, 10, 10}, {4, 3, 3, 3}, 1, 2, 2, 2},
    {{1, 3, 17, 17}, {5, 3, 7, 7}, 4, 3, 1, 1},
};

Attributes attributes_of(const Case& c) {
  return {{"kernel_shape", Ints{c.w[2], c.w[3]}},
          {"strides", Ints{c.stride, c.stride}},
          {"pads", Ints{c.pad, c.pad, c.pad, c.pad}},
          {"dilations", Ints{c.dilation, c.dilation}},
          {"group", c.group}};
}

}  // namespace

TEST(Conv, AgreesWithItsDefinition) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = random_tensor(c.w, 2);
    const Tensor y = run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kConv, {in[0], g.constant(w)}, attributes_of(c));
        },
        {x});
    expect_close(y, naive_conv(x, w, c.stride, c.pad, c.dilation, c.group), 1e-4, 1e-4);
  }
}

TEST(Conv, AdjointAndBiasAreExact) {
  for (const Case& c : kCases) {
    check_adjoint(
        [&](Builder& g, const auto& in) {
          const Value w = g.constant(random_tensor(c.w, 2));
          return g.add(kConv, {in[0], w, g.constant(random_tensor({c.w[0]}, 3))}, attributes_of(c));
        },
        {c.x});
  }
}

TEST(Conv, FusesReluAndResidualWithoutChangingTheResult) {
  const Shape x{1, 16, 8, 8};
  const Tensor w = random_tensor({16, 16, 3, 3}, 2);
  const Attributes a{{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}};
  const Tensor input = random_tensor(x, 1);
  const Tensor residual = random_tensor(x, 9);
  const Tensor fused = run_graph(
      [&](Builder& g, const auto& in) {
        return g.add(kRelu, {g.add(kConv, {in[0], g.constant(w)}, a) + in[1]});
      },
      {input, residual});
  Tensor expected = naive_conv(input, w, 1, 1, 1, 1);
  for (std::size_t i = 0; i < expected.data<float>().size(); ++i)
    expected.data<float>()[i] = std::max(0.0F, expected.data<float>()[i] + residual.data<float>()[i]);
  expect_close(fused, expected, 1e-4, 1e-4);
}

TEST(Conv, FusesClipWithoutChangingTheResult) {
  struct Bounds {
    Attributes attributes;
    float least, most;
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Tensor residual = random_tensor({2, 16, 11, 11}, 9);
  for (const auto& [attributes, least, most] :
       {Bounds{{{"min", 0.0}, {"max", 1.5}}, 0, 1.5}, Bounds{{{"min", -0.5}}, -0.5, kInfinity},
        Bounds{{{"max", 0.25}}, -kInfinity, 0.25}}) {
    for (const std::int64_t group : {1, 16}) {
      const Case c{{2, 16, 11, 11}, {16, 16 / group, 3, 3}, 1, 1, 1, group};
      const Tensor x = random_tensor(c.x, 1);
      const Tensor w = random_tensor(c.w, 2);
      for (const bool add : {false, true}) {
        const Tensor fused = run_graph(
            [&](Builder& g, const auto& in) {
              const Value y = g.add(kConv, {in[0], g.constant(w)}, attributes_of(c));
              return g.add(kClip, {add ? y + in[1] : y}, attributes);
            },
            {x, residual});
        Tensor expected = naive_conv(x, w, 1, 1, 1, group);
        for (std::size_t i = 0; i < expected.data<float>().size(); ++i) {
          float& v = expected.data<float>()[i];
          v = std::min(std::max(v + (add ? residual.data<float>()[i] : 0), least), most);
        }
        expect_close(fused, expected, 1e-4, 1e-4);
      }
    }
  }
}

// oneDNN's convolutions do not all add correctly; what is fused must hang on that.
TEST(Conv, AddsResidualsWhereWindowsReachFarIntoThePadding) {
  struct Far {
    Shape x, w;
    std::int64_t dilation;
    Ints pads;
  };
  for (const auto& [x, w, dilation, pads] : {Far{{1, 64, 7, 7}, {64, 64, 3, 3}, 8, {8, 8, 8, 8}},
                                             Far{{1, 64, 7, 7}, {64, 64, 5, 5}, 4, {8, 8, 8, 8}},
                                             Far{{1, 64, 7, 7}, {64, 64, 1, 1}, 1, {1, 1, 1, 1}},
                                             Far{{1, 24, 12, 12}, {64, 24, 3, 3}, 1, {3, 0, 0, 0}},
                                             Far{{1, 32, 10, 5}, {16, 32, 2, 2}, 1, {2, 1, 0, 0}}}) {
    const Attributes a{
        {"kernel_shape", Ints{w[2], w[3]}}, {"pads", pads}, {"dilations", Ints{dilation, dilation}}};
    const Tensor weights = random_tensor(w, 2, -0.1, 0.1);
    const Tensor bias = random_tensor({w[0]}, 3);
    const Tensor input = random_tensor(x, 1);
    const auto convolved = [&](Builder& g, Value v) {
      return g.add(kConv, {v, g.constant(weights), g.constant(bias)}, a);
    };
    const Tensor plain = run_graph([&](Builder& g, const auto& in) { return convolved(g, in[0]); }, {input});
    const Tensor residual = random_tensor(plain.shape(), 9);
    Tensor expected = plain.clone();
    for (std::size_t i = 0; i < expected.data<float>().size(); ++i)
      expected.data<float>()[i] = std::max(0.0F, expected.data<float>()[i] + residual.data<float>()[i]);
    for (const bool again : {false, true}) {  // read again: not added in place
      const Tensor sum = run_graph(
          [&](Builder& g, const auto& in) {
            const Value rest = again ? in[1] : in[1] * 1.0000001;
            return g.add(kRelu, {convolved(g, in[0]) + rest});
          },
          {input, residual});
      expect_close(sum, expected, 1e-4, 1e-4);
    }
  }
}

TEST(Conv, ResidualsThatAreReadAgainKeepTheirValues) {
  const Attributes a{{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}};
  const Tensor w = random_tensor({16, 16, 3, 3}, 2);
  const Tensor x = random_tensor({1, 16, 8, 8}, 1);
  const auto block = [&](bool again) {
    return run_graph(
        [&](Builder& g, const auto& in) {
          const Value first = g.add(kConv, {in[0], g.constant(w)}, a);
          const Value second = g.add(kConv, {g.add(kRelu, {first}), g.constant(w)}, a);
          const Value sum = g.add(kRelu, {second + first});  // may take the memory of `first`
          return again ? sum + first : sum;                  // must not
        },
        {x});
  };
  const Tensor first = naive_conv(x, w, 1, 1, 1, 1);
  Tensor active = first.clone();
  for (float& v : active.data<float>()) v = std::max(v, 0.0F);
  Tensor sum = naive_conv(active, w, 1, 1, 1, 1);
  for (std::size_t i = 0; i < sum.data<float>().size(); ++i)
    sum.data<float>()[i] = std::max(0.0F, sum.data<float>()[i] + first.data<float>()[i]);
  expect_close(block(false), sum, 1e-4, 1e-4);
  for (std::size_t i = 0; i < sum.data<float>().size(); ++i) sum.data<float>()[i] += first.data<float>()[i];
  expect_close(block(true), sum, 1e-4, 1e-4);
}

TEST(Conv, ByHand) {
  // 1 2 3 with kernel (1, -1): 1-2, 2-3.
  const Tensor y = run_graph(
      [](Builder& g, const auto& in) {
        return g.add(kConv, {in[0], g.constant(floats({1, 1, 2}, {1, -1}))}, {{"kernel_shape", Ints{2}}});
      },
      {floats({1, 1, 3}, {1, 2, 3})});
  expect_close(y, floats({1, 1, 2}, {-1, -1}));
}

TEST(Conv, KernelLargerThanTheInputIsAnError) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 1, 2, 2}});
  const Value w = g.constant(random_tensor({1, 1, 3, 3}, 1));
  EXPECT_THROW(g.add(kConv, {x, w}, {{"kernel_shape", Ints{3, 3}}}), Error);
  const Value channels = g.constant(random_tensor({1, 2, 1, 1}, 1));
  EXPECT_THROW(g.add(kConv, {x, channels}, {{"kernel_shape", Ints{1, 1}}}), Error);
}

TEST(ConvTranspose, IsTheAdjointOfConv) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = random_tensor(c.w, 2);
    const Build conv = [&](Builder& g, const auto& in) {
      return g.add(kConv, {in[0], g.constant(w)}, attributes_of(c));
    };
    const Tensor y = run_graph(conv, {x});
    const Tensor u = random_tensor(y.shape(), 5);
    const Tensor back = run_graph(
        [&](Builder& g, const auto& in) { return conv_adjoint(in[0], g.constant(w), attributes_of(c), c.x); },
        {u});
    EXPECT_NEAR(dot(y, u), dot(x, back), 1e-3 * (1 + std::abs(dot(y, u))));
  }
}

TEST(ConvTranspose, AdjointOfItself) {
  check_adjoint(
      [](Builder& g, const auto& in) {
        return g.add(kConvTranspose,
                     {in[0], g.constant(random_tensor({6, 4, 3, 3}, 2)), g.constant(random_tensor({4}, 3))},
                     {{"kernel_shape", Ints{3, 3}},
                      {"strides", Ints{2, 2}},
                      {"pads", Ints{1, 1, 1, 1}},
                      {"output_padding", Ints{1, 1}}});
      },
      {{1, 6, 5, 5}});
}

TEST(ConvTranspose, OfConstantsIsTheSameAsOfInputs) {
  const Build transposed = [](Builder& g, const auto& in) {
    return g.add(kConvTranspose,
                 {in[0], g.constant(random_tensor({6, 5, 2, 2}, 2)), g.constant(random_tensor({5}, 3))},
                 {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  };
  const Tensor x = random_tensor({1, 6, 4, 4}, 1);
  const Tensor folded =
      run_graph([&](Builder& g, const auto& in) { return transposed(g, std::vector{g.constant(x)}) + in[0]; },
                {Tensor::zeros(DType::f32, {1, 5, 8, 8})});
  expect_close(folded, run_graph(transposed, {x}), 1e-5, 1e-5);
}

TEST(Conv, TransformsPayAfterFewerRunsOfMorePositions) {
  const auto runs = [](const Shape& x, const Shape& weights, std::int64_t stride = 1) {
    Builder g;
    g.output("y",
             g.add(kConv, {g.input("x", {DType::f32, x}), g.constant(random_tensor(weights, 1))},
                   {{"strides", std::vector<std::int64_t>{stride, stride}}, {"group", x[1] / weights[1]}}));
    return convolution::runs_for_transforms(g.build());
  };
  const double one = runs({1, 64, 18, 18}, {64, 64, 3, 3});
  EXPECT_GT(one, 1);
  EXPECT_DOUBLE_EQ(runs({4, 64, 18, 18}, {64, 64, 3, 3}), one / 4);
  EXPECT_DOUBLE_EQ(runs({1, 64, 34, 34}, {128, 64, 3, 3}), one / 4);
  const double never = std::numeric_limits<double>::infinity();
  EXPECT_EQ(runs({1, 64, 18, 18}, {64, 64, 1, 1}), never);
  EXPECT_EQ(runs({1, 64, 18, 18}, {64, 64, 3, 3}, 2), never);
  EXPECT_EQ(runs({1, 128, 18, 18}, {128, 64, 3, 3}), never);
  EXPECT_EQ(runs({1, 24, 18, 18}, {64, 24, 3, 3}), never);
  EXPECT_EQ(runs({1, 64, 6, 6}, {64, 64, 3, 3}), never);  // one tile
}

}  // namespace heatproof
