#include "ops/conv_transpose_narrow.h"

#include <gtest/gtest.h>

#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;

struct Case {
  std::int64_t batch, summed, channels, rows, cols, kernel_y, kernel_x, stride_y, stride_x;
  Ints pads, more;  // begin and end of both axes; output_padding
};

const std::vector<Case> kCases = {
    {1, 16, 3, 5, 20, 3, 3, 1, 1, {1, 1, 1, 1}, {0, 0}}, {2, 32, 3, 9, 12, 7, 7, 2, 2, {3, 3, 3, 3}, {1, 1}},
    {1, 48, 1, 4, 33, 3, 5, 2, 3, {0, 2, 1, 0}, {1, 2}}, {2, 16, 4, 3, 7, 2, 2, 3, 3, {0, 0, 0, 0}, {0, 0}},
    {1, 16, 2, 6, 31, 1, 1, 1, 1, {0, 0, 0, 0}, {0, 0}}, {1, 64, 3, 2, 2, 5, 5, 4, 4, {2, 2, 2, 2}, {3, 3}},
};

/// Σ over s of what each of its elements adds to y.
Tensor naive(const Tensor& s, const Tensor& w, const Case& c, const Shape& shape) {
  std::vector<double> sums(static_cast<std::size_t>(shape.elements()));
  const auto at = [](const Shape& q, std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
    return static_cast<std::size_t>(((i * q[1] + j) * q[2] + k) * q[3] + l);
  };
  for (std::int64_t n = 0; n < c.batch; ++n)
    for (std::int64_t k = 0; k < c.summed; ++k)
      for (std::int64_t h = 0; h < c.rows; ++h)
        for (std::int64_t v = 0; v < c.cols; ++v)
          for (std::int64_t o = 0; o < c.channels; ++o)
            for (std::int64_t p = 0; p < c.kernel_y; ++p)
              for (std::int64_t q = 0; q < c.kernel_x; ++q) {
                const std::int64_t y = h * c.stride_y - c.pads[0] + p;
                const std::int64_t x = v * c.stride_x - c.pads[1] + q;
                if (y < 0 || y >= shape[2] || x < 0 || x >= shape[3]) continue;
                sums[at(shape, n, o, y, x)] +=
                    static_cast<double>(s.data<float>()[at(s.shape(), n, k, h, v)]) *
                    w.data<float>()[at(w.shape(), k, o, p, q)];
              }
  Tensor y = Tensor::empty(DType::f32, shape);
  for (std::size_t i = 0; i < sums.size(); ++i) y.data<float>()[i] = static_cast<float>(sums[i]);
  return y;
}

Attributes attributes_of(const Case& c) {
  return {{"kernel_shape", Ints{c.kernel_y, c.kernel_x}},
          {"strides", Ints{c.stride_y, c.stride_x}},
          {"pads", c.pads},
          {"output_padding", c.more}};
}

}  // namespace

TEST(NarrowTranspose, AgreesWithItsDefinition) {
  for (const Case& c : kCases) {
    const Tensor w = random_tensor({c.summed, c.channels, c.kernel_y, c.kernel_x}, 2);
    Tensor identity = Tensor::zeros(DType::f32, {c.summed, c.summed, 1, 1});
    for (std::int64_t k = 0; k < c.summed; ++k)
      identity.data<float>()[static_cast<std::size_t>(k * (c.summed + 1))] = 1;
    const Tensor s = random_tensor({c.batch, c.summed, c.rows, c.cols}, 1);
    const Tensor y = run_graph(
        [&](Builder& g, const auto& in) {
          // A convolution first, so that s has the layout that convolutions like.
          const Value through = g.add(kConv, {in[0], g.constant(identity)}, {{"kernel_shape", Ints{1, 1}}});
          return g.add(kConvTranspose, {through, g.constant(w)}, attributes_of(c));
        },
        {s});
    expect_close(y, naive(s, w, c, y.shape()), 1e-5, 1e-5);
  }
}

TEST(NarrowTranspose, TakesWhatItCanCompute) {
  const Shape w{32, 3, 3, 3};
  const ConvGeometry dense = conv_geometry({{"kernel_shape", Ints{3, 3}}}, w);
  const Shape s{1, 32, 8, 8};
  const Shape y{1, 3, 10, 10};
  const Layout last{.channels_last = true};
  EXPECT_TRUE(is_narrow_transpose(dense, s, y, last));
  EXPECT_TRUE(is_narrow_transpose(dense, s, y, Layout{16}));
  EXPECT_FALSE(is_narrow_transpose(dense, s, y, Layout{}));
  EXPECT_FALSE(is_narrow_transpose(dense, s, y, Layout{8}));
  EXPECT_FALSE(is_narrow_transpose(dense, {1, 24, 8, 8}, y, last));
  EXPECT_FALSE(is_narrow_transpose(dense, s, {1, 5, 10, 10}, last));
  EXPECT_FALSE(is_narrow_transpose(conv_geometry({{"dilations", Ints{2, 2}}}, w), s, y, last));
}

TEST(ConvTranspose, RefusesOutputPaddingAsLongAsAStride) {
  Builder g;
  const Value x = g.input("x", {DType::f32, {1, 2, 3, 3}});
  const Value w = g.constant(random_tensor({2, 3, 2, 2}, 1));
  const auto shape_with = [&](std::int64_t padding) {
    return g.add(kConvTranspose, {x, w}, {{"strides", Ints{2, 2}}, {"output_padding", Ints{padding, 0}}})
        .shape();
  };
  EXPECT_EQ(shape_with(1), (Shape{1, 3, 7, 6}));
  EXPECT_THROW(shape_with(2), UnsupportedError);
}

}  // namespace heatproof
