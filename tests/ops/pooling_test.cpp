#include "ops/pooling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

struct Case {
  Shape x;
  std::int64_t kernel, stride, pad;
};
// Channels that fill registers, that do not, and single ones; planes for one thread and for several, and so
// large that their rows are shared out.
const std::vector<Case> kCases = {
    {{1, 16, 9, 9}, 3, 2, 1}, {{2, 5, 8, 8}, 2, 2, 0},    {{1, 1, 12, 12}, 3, 1, 1}, {{1, 40, 7, 7}, 3, 2, 0},
    {{3, 64, 6, 6}, 5, 1, 2}, {{1, 72, 41, 41}, 3, 2, 1}, {{1, 64, 50, 50}, 2, 2, 0}};

Attributes attributes_of(const Case& c) {
  return {{"kernel_shape", Ints{c.kernel, c.kernel}},
          {"strides", Ints{c.stride, c.stride}},
          {"pads", Ints{c.pad, c.pad, c.pad, c.pad}}};
}

/// Weights of a pointwise convolution that does nothing.
Tensor identity(std::int64_t channels, std::size_t spatial) {
  Shape shape(spatial + 2, 1);
  shape[0] = shape[1] = channels;
  Tensor weights = Tensor::zeros(DType::f32, shape);
  for (std::int64_t i = 0; i < channels; ++i)
    weights.data<float>()[static_cast<std::size_t>(i * channels + i)] = 1;
  return weights;
}

/// A convolution before brings the input into the layout that convolutions like.
Value in_conv_layout(Builder& g, Value x) {
  return g.add(kConv, {x, g.constant(identity(x.shape()[1], 2))}, {{"kernel_shape", Ints{1, 1}}});
}

/// Each window's maximum and where it is first, or its mean.
template <typename F>
void for_windows(const Case& c, const Tensor& x, F f) {
  const PoolGeometry g = pool_geometry(attributes_of(c), c.x);
  const std::int64_t planes = c.x[0] * c.x[1];
  for (std::int64_t p = 0; p < planes; ++p) {
    for (std::int64_t h = 0; h < g.output[1]; ++h) {
      for (std::int64_t w = 0; w < g.output[2]; ++w) {
        std::vector<std::size_t> inside;
        for (std::int64_t i = 0; i < c.kernel; ++i) {
          for (std::int64_t j = 0; j < c.kernel; ++j) {
            const std::int64_t y = h * c.stride - c.pad + i;
            const std::int64_t z = w * c.stride - c.pad + j;
            if (y >= 0 && y < c.x[2] && z >= 0 && z < c.x[3])
              inside.push_back(static_cast<std::size_t>((p * c.x[2] + y) * c.x[3] + z));
          }
        }
        f(static_cast<std::size_t>((p * g.output[1] + h) * g.output[2] + w), inside);
      }
    }
  }
  (void)x;
}

}  // namespace

TEST(MaxPool, AgreesWithItsDefinitionInEveryLayout) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor(c.x, 4);
    for (const bool conv : {false, true}) {
      const Tensor y = run_graph(
          [&](Builder& g, const auto& in) {
            return g.add(kMaxPool, {conv ? in_conv_layout(g, in[0]) : in[0]}, attributes_of(c));
          },
          {x});
      Tensor expected = Tensor::zeros(DType::f32, y.shape());
      for_windows(c, x, [&](std::size_t to, const std::vector<std::size_t>& inside) {
        float best = -std::numeric_limits<float>::infinity();
        for (std::size_t i : inside) best = std::max(best, x.data<float>()[i]);
        expected.data<float>()[to] = best;
      });
      expect_close(y, expected, 1e-6);
    }
  }
}

TEST(MaxPool, GradientGoesToTheFirstMaximum) {
  for (const Case& c : kCases) {
    // Rounded values make ties.
    Tensor x = random_tensor(c.x, 4, 0, 4);
    for (float& v : x.data<float>()) v = std::floor(v);
    for (const bool conv : {false, true}) {
      const Tensor gradient = derivative_of(
          [&](Builder& g, const auto& in) {
            return g.add(kMaxPool, {conv ? in_conv_layout(g, in[0]) : in[0]}, attributes_of(c));
          },
          {x});
      Tensor expected = Tensor::zeros(DType::f32, c.x);
      for_windows(c, x, [&](std::size_t, const std::vector<std::size_t>& inside) {
        std::size_t best = inside[0];
        for (std::size_t i : inside) {
          if (x.data<float>()[i] > x.data<float>()[best]) best = i;
        }
        expected.data<float>()[best] += 1;
      });
      expect_close(gradient, expected, 1e-6);
    }
  }
}

TEST(MaxPool, DerivativeInOneAndThreeDimensionsWithDilation) {
  for (const Shape& shape : {Shape{2, 18, 11}, Shape{2, 18, 6, 7, 8}}) {
    const std::size_t n = shape.size() - 2;
    const Attributes window{{"kernel_shape", Ints(n, 2)},
                            {"strides", Ints(n, 2)},
                            {"dilations", Ints(n, 3)},
                            {"pads", Ints(2 * n, 1)}};
    // Steps of 1 between values, so that differences of the test change no maximum.
    Tensor x = Tensor::empty(DType::f32, shape);
    for (std::int64_t i = 0; i < shape.elements(); ++i)
      x.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i * 7919 % shape.elements()) / 64;
    for (const bool conv : {false, true}) {
      if (conv && n != 3) continue;
      check_derivative(
          [&](Builder& g, const auto& in) {
            return g.add(
                kMaxPool,
                {conv ? g.add(kConv, {in[0], g.constant(identity(18, n))}, {{"kernel_shape", Ints(n, 1)}})
                      : in[0]},
                window);
          },
          {x});
    }
  }
}

TEST(AveragePool, AdjointInEveryLayout) {
  for (const Case& c : kCases) {
    for (const bool conv : {false, true}) {
      for (const std::int64_t include : {0, 1}) {
        check_adjoint(
            [&](Builder& g, const auto& in) {
              Attributes a = attributes_of(c);
              a.set("count_include_pad", include);
              return g.add(kAveragePool, {conv ? in_conv_layout(g, in[0]) : in[0]}, a);
            },
            {c.x});
      }
    }
  }
}

TEST(AveragePool, CountsThePaddingWhenAsked) {
  const Tensor x = floats({1, 1, 2}, {2, 4});
  const auto pool = [&](std::int64_t include) {
    return run_graph(
        [&](Builder& g, const auto& in) {
          return g.add(kAveragePool, {in[0]},
                       {{"kernel_shape", Ints{2}}, {"pads", Ints{1, 1}}, {"count_include_pad", include}});
        },
        {x});
  };
  expect_close(pool(0), floats({1, 1, 3}, {2, 3, 4}));
  expect_close(pool(1), floats({1, 1, 3}, {1, 3, 2}));
}

TEST(Pooling, KernelLargerThanTheInputNamesTheSizes) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 1, 2, 2}});
  try {
    g.add(kMaxPool, {x}, {{"kernel_shape", Ints{3, 3}}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("3x3"), std::string::npos) << e.what();
  }
}

}  // namespace heatproof
