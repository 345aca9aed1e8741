#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/threads.h"
#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/conv_geometry.h"
#include "ops/operators.h"
#include "ops/winograd_kernels.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

using Ints = std::vector<std::int64_t>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  Shape x;
  std::int64_t outputs;
  Ints pads;  // top, left, bottom, right

  Shape y() const { return {x[0], outputs, x[2] + pads[0] + pads[2] - 2, x[3] + pads[1] + pads[3] - 2}; }
  /// Weights whose sums are about 1.
  Tensor w() const {
    const double most = 0.5 / std::sqrt(static_cast<double>(x[1]));
    return random_tensor({outputs, x[1], 3, 3}, 2, -most, most);
  }
};

// Whole and cut tiles, few and many of them, panels of weights that are full and half, windows that lie in
// the padding as a whole, so many channels that weights are large, and enough of both for AMX.
const std::vector<Case> kCases = {
    {{2, 16, 12, 16}, 32, {1, 1, 1, 1}}, {{1, 32, 7, 30}, 48, {1, 1, 1, 1}},
    {{3, 48, 13, 9}, 16, {0, 0, 0, 0}},  {{2, 16, 21, 22}, 80, {0, 2, 3, 1}},
    {{9, 16, 10, 10}, 16, {4, 1, 0, 1}}, {{2, 368, 12, 9}, 144, {1, 1, 1, 1}},
    {{3, 80, 30, 21}, 48, {1, 1, 1, 1}}, {{1, 448, 32, 29}, 64, {1, 1, 1, 1}},
};

/// Σ over a window, in double precision.
double at(const Tensor& x, const Tensor& w, const Case& c, std::int64_t image, std::int64_t k, std::int64_t y,
          std::int64_t column) {
  double sum = 0;
  for (std::int64_t channel = 0; channel < c.x[1]; ++channel)
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 3; ++j) {
        const std::int64_t yy = y + i - c.pads[0];
        const std::int64_t xx = column + j - c.pads[1];
        if (yy < 0 || yy >= c.x[2] || xx < 0 || xx >= c.x[3]) continue;
        const auto from = ((image * c.x[1] + channel) * c.x[2] + yy) * c.x[3] + xx;
        const auto tap = ((k * c.x[1] + channel) * 3 + i) * 3 + j;
        sum += static_cast<double>(x.data<float>()[static_cast<std::size_t>(from)]) *
               w.data<float>()[static_cast<std::size_t>(tap)];
      }
  return sum;
}

/// max(least, min(most, conv(x) + bias + residual)), every value on its own.
Tensor by_definition(const Case& c, const Tensor& x, const Tensor& w, const Tensor& bias,
                     const Tensor& residual, float least = -kInfinity, float most = kInfinity) {
  Tensor y = Tensor::zeros(DType::f32, c.y());
  const Shape& s = y.shape();
  std::size_t n = 0;
  for (std::int64_t image = 0; image < s[0]; ++image)
    for (std::int64_t k = 0; k < s[1]; ++k)
      for (std::int64_t i = 0; i < s[2]; ++i)
        for (std::int64_t j = 0; j < s[3]; ++j, ++n) {
          const double sum = at(x, w, c, image, k, i, j) + bias.data<float>()[static_cast<std::size_t>(k)] +
                             (residual.defined() ? residual.data<float>()[n] : 0.0F);
          y.data<float>()[n] = std::clamp(static_cast<float>(sum), least, most);
        }
  return y;
}

Value convolved(Builder& g, Value x, const Case& c, const Tensor& w, const Tensor& bias) {
  return g.add(kConv, {x, g.constant(w), g.constant(bias)}, {{"kernel_shape", Ints{3, 3}}, {"pads", c.pads}});
}

/// Runs `build` with Convolutions::fastest, and expects that Winograd's transforms serve. With one thread and
/// with three, so that tiles are computed in blocks and together, and by one thread what was planned for
/// three.
Tensor run_fastest(const Build& build, const std::vector<Tensor>& inputs) {
  Builder g;
  std::vector<Value> values;
  for (const Tensor& t : inputs)
    values.push_back(g.input(fmt::format("x{}", values.size()), {DType::f32, t.shape()}));
  g.output("y", build(g, values));
  const Graph graph = g.build();
  const int before = threads();
  set_threads(3);
  Workspace workspace(compile(graph, Convolutions::fastest));
  std::vector<StepTime> steps;
  const Tensor y = workspace.run(inputs, steps)[0];
  set_threads(1);
  expect_close(workspace.run(inputs)[0], y, 1e-6, 1e-6);
  expect_close(Workspace(compile(graph, Convolutions::fastest)).run(inputs)[0], y, 1e-5, 1e-5);
  set_threads(before);
  EXPECT_EQ(winograd::kernels() != nullptr, std::ranges::any_of(steps, [](const StepTime& step) {
              return step.name.find("winograd") != std::string::npos;
            }));
  return y;
}

}  // namespace

TEST(Winograd, AgreesWithTheDefinition) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = c.w();
    const Tensor bias = random_tensor({c.outputs}, 3);
    const Tensor y =
        run_fastest([&](Builder& g, const auto& in) { return convolved(g, in[0], c, w, bias); }, {x});
    expect_close(y, by_definition(c, x, w, bias, {}), 1e-5, 1e-5);
  }
}

TEST(Winograd, AddsAndClips) {
  for (const Case& c : kCases) {
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = c.w();
    const Tensor bias = random_tensor({c.outputs}, 3);
    const Tensor residual = random_tensor(c.y(), 4, 0, 1);
    const Tensor relu = run_fastest(
        [&](Builder& g, const auto& in) {
          return g.add(kRelu, {convolved(g, in[0], c, w, bias) + g.add(kRelu, {in[1]})});
        },
        {x, residual});
    expect_close(relu, by_definition(c, x, w, bias, residual, 0), 1e-5, 1e-5);
    const Tensor clipped = run_fastest(
        [&](Builder& g, const auto& in) {
          return g.add(kClip, {convolved(g, in[0], c, w, bias) + in[1]}, {{"min", -0.25}, {"max", 0.5}});
        },
        {x, residual});
    expect_close(clipped, by_definition(c, x, w, bias, residual, -0.25F, 0.5F), 1e-5, 1e-5);
  }
}

TEST(Winograd, KeepsResidualsThatAreReadAgain) {
  const Case c{{2, 32, 13, 13}, 32, {1, 1, 1, 1}};
  const Tensor w = c.w();
  const Tensor bias = random_tensor({32}, 3);
  const Tensor one = random_tensor({32, 32, 1, 1}, 4, -0.1, 0.1);
  const Build build = [&](Builder& g, const auto& in) {
    const Value residual = g.add(kConv, {in[1], g.constant(one)});
    return g.add(kRelu, {convolved(g, in[0], c, w, bias) + residual}) + residual * 0.5;
  };
  const std::vector<Tensor> inputs{random_tensor(c.x, 5), random_tensor(c.x, 6)};
  expect_close(run_fastest(build, inputs), run_graph(build, inputs), 1e-5, 1e-5);
}

// oneDNN blocks groups of 8 channels by 8, also where vectors have 16 lanes.
TEST(Winograd, ReadsWhatOtherConvolutionsLeave) {
  const Case c{{2, 32, 13, 13}, 32, {1, 1, 1, 1}};
  const Tensor w = c.w();
  const Tensor bias = random_tensor({32}, 3);
  for (const std::int64_t group : {1, 2, 4, 8, 32}) {
    const Tensor grouped = random_tensor({32, 32 / group, 3, 3}, 4, -0.2, 0.2);
    const Build build = [&](Builder& g, const auto& in) {
      const Value h = g.add(kConv, {in[0], g.constant(grouped)}, {{"group", group}, {"pads", c.pads}});
      return convolved(g, g.add(kRelu, {h}), c, w, bias);
    };
    const std::vector<Tensor> inputs{random_tensor(c.x, 5)};
    expect_close(run_fastest(build, inputs), run_graph(build, inputs), 1e-5, 1e-5);
  }
}

TEST(Winograd, AddsItsOwnInput) {
  const Case c{{2, 32, 13, 13}, 32, {1, 1, 1, 1}};
  const Tensor x = random_tensor(c.x, 1);
  const Tensor w = c.w();
  const Tensor bias = random_tensor({32}, 3);
  const Tensor y = run_fastest(
      [&](Builder& g, const auto& in) {
        const Value h = g.add(kConv, {in[0], g.constant(Tensor::filled({32, 32, 1, 1}, 1 / 32.0F))});
        return convolved(g, h, c, w, bias) + h;
      },
      {x});
  Tensor h = Tensor::zeros(DType::f32, c.x);
  const std::size_t pixels = 13 * 13;
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t p = 0; p < pixels; ++p) {
      double mean = 0;
      for (std::size_t k = 0; k < 32; ++k) mean += x.data<float>()[(n * 32 + k) * pixels + p] / 32;
      for (std::size_t k = 0; k < 32; ++k)
        h.data<float>()[(n * 32 + k) * pixels + p] = static_cast<float>(mean);
    }
  expect_close(y, by_definition(c, h, w, bias, h), 1e-5, 1e-5);
}

namespace {

bool supports(dnnl::cpu_isa isa) {
  const auto bits = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

// As convolutions of joined channels are written, and adjoints.
TEST(Winograd, TransformsPartsOfConstants) {
  const Tensor all = random_tensor({32, 48, 3, 3}, 2, -0.1, 0.1);
  const auto slice = [](const Ints& starts, const Ints& ends) {
    return Attributes{{"starts", starts}, {"ends", ends}, {"steps", Ints{1, 1, 1, 1}}};
  };
  const Build build = [&](Builder& g, const auto& in) {
    const Value part = g.add(kSlice, {g.constant(all)}, slice({0, 16, 0, 0}, {32, 48, 3, 3}));
    const Value h = g.add(kConv, {in[0], part}, {{"pads", Ints{1, 1, 1, 1}}});
    const Value turned = g.add(kTranspose, {part}, {{"perm", Ints{1, 0, 3, 2}}});
    return g.add(kConv, {h, turned}, {{"pads", Ints{1, 1, 1, 1}}});
  };
  const std::vector<Tensor> inputs{random_tensor({2, 32, 13, 13}, 5)};
  expect_close(run_fastest(build, inputs), run_graph(build, inputs), 1e-5, 1e-5);
}

// A window whose only tap is the middle one gives back what it sees; also in layouts and for instruction sets
// that this machine would not choose.
TEST(Winograd, EveryKernelReadsEveryLayout) {
  constexpr std::int64_t kSize = 6;
  constexpr std::int64_t kPixels = kSize * kSize;
  constexpr std::int64_t kFeatures = 32;
  std::vector<float> w(kFeatures * kFeatures * 9);
  for (std::size_t k = 0; k < kFeatures; ++k) w[(k * kFeatures + k) * 9 + 4] = 2;
  const Tensor values = random_tensor({1, kFeatures, kSize, kSize}, 5);
  for (const dnnl::cpu_isa isa :
       {dnnl::cpu_isa::avx2, dnnl::cpu_isa::avx512_core, dnnl::cpu_isa::avx512_core_amx}) {
    if (!supports(isa)) continue;
    const winograd::Kernels& k = *winograd::kernels(isa);
    for (const std::int64_t block : {8, 16, 32}) {
      if (block % k.lanes != 0) continue;
      const winograd::Maps maps{.channels = kFeatures,
                                .height = kSize,
                                .width = kSize,
                                .block = block,
                                .block_step = block * kPixels,
                                .pixel_step = block,
                                .row_step = block * kSize,
                                .image_step = kFeatures * kPixels};
      const winograd::Grid grid{.down = 2, .across = 2, .top = 1, .left = 1};
      const auto place = [&](std::int64_t c, std::int64_t p) {
        return static_cast<std::size_t>(c / block * maps.block_step + p * block + c % block);
      };
      std::vector<float> x(kFeatures * kPixels);
      for (std::int64_t c = 0; c < kFeatures; ++c)
        for (std::int64_t p = 0; p < kPixels; ++p)
          x[place(c, p)] = values.data<float>()[static_cast<std::size_t>(c * kPixels + p)];
      constexpr std::int64_t kAllTiles = 4 * kFeatures;
      const std::int64_t size = k.weight_size(kFeatures, kFeatures);
      std::vector<float> u(static_cast<std::size_t>(36 * size));
      std::vector<float> operand(static_cast<std::size_t>(k.operand_size(4, kFeatures)));
      std::vector<float> v(36 * kAllTiles);
      std::vector<float> m(36 * kAllTiles);
      std::vector<float> y(x.size());
      k.pack({w.data(), kFeatures, kFeatures, 9 * kFeatures, 9, 3, 1}, 0, kFeatures, u.data());
      k.transform_inputs(x.data(), maps, grid, 0, 4, v.data(), kAllTiles);
      for (std::int64_t i = 0; i < 36; ++i) {
        const float* rows = v.data() + i * kAllTiles;
        if (!operand.empty()) k.prepare(rows, 4, kFeatures, operand.data());
        k.multiply(operand.empty() ? rows : operand.data(), u.data() + i * size, m.data() + i * kAllTiles, 4,
                   kFeatures, kFeatures, 0, kFeatures);
      }
      const winograd::Finish finish{.bias = nullptr, .residual = nullptr, .least = -kInfinity, .most = 1};
      k.transform_outputs(m.data(), kAllTiles, finish, maps, grid, 0, 4, y.data());
      for (std::size_t n = 0; n < x.size(); ++n) EXPECT_NEAR(y[n], std::min(2 * x[n], 1.0F), 1e-5);
    }
  }
}

/// Sums of products are as precise as those of single precision, also where matrices are cut from tiles, and
/// where numbers differ by orders of magnitude.
TEST(Winograd, EveryKernelMultipliesInSinglePrecision) {
  for (const dnnl::cpu_isa isa :
       {dnnl::cpu_isa::avx2, dnnl::cpu_isa::avx512_core, dnnl::cpu_isa::avx512_core_amx}) {
    if (!supports(isa)) continue;
    const winograd::Kernels& k = *winograd::kernels(isa);
    for (const auto& [tiles, channels, outputs] :
         {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 16, 16},
          {15, 32, 48},
          {17, 48, 32},
          {32, 64, 64},
          {50, 80, 16},
          {65, 16, 112}}) {
      SCOPED_TRACE(fmt::format("{} · {} · {}", tiles, channels, outputs));
      // The last of the 36 products is with the last tap alone.
      const Tensor w = random_tensor({outputs, channels, 3, 3}, 1);
      std::vector<float> u(static_cast<std::size_t>(36 * k.weight_size(channels, outputs)));
      k.pack({w.data<float>().data(), outputs, channels, 9 * channels, 9, 3, 1}, 0, outputs, u.data());
      Tensor v = random_tensor({tiles, channels}, 2);
      for (std::int64_t t = 0; t < tiles; ++t)
        for (float& x : v.rows(t, t + 1).data<float>()) x *= std::ldexp(1.0F, static_cast<int>(t % 60) - 30);
      std::vector<float> operand(static_cast<std::size_t>(k.operand_size(tiles, channels)));
      if (!operand.empty()) k.prepare(v.data<float>().data(), tiles, channels, operand.data());
      std::vector<float> m(static_cast<std::size_t>(tiles * outputs));
      k.multiply(operand.empty() ? v.data<float>().data() : operand.data(),
                 u.data() + 35 * k.weight_size(channels, outputs), m.data(), tiles, channels, outputs, 0,
                 outputs);
      for (std::int64_t t = 0; t < tiles; ++t)
        for (std::int64_t n = 0; n < outputs; ++n) {
          double sum = 0;
          double sizes = 0;
          for (std::int64_t c = 0; c < channels; ++c) {
            const double term =
                static_cast<double>(v.data<float>()[static_cast<std::size_t>(t * channels + c)]) *
                w.data<float>()[static_cast<std::size_t>((n * channels + c) * 9 + 8)];
            sum += term;
            sizes += std::fabs(term);
          }
          ASSERT_NEAR(m[static_cast<std::size_t>(t * outputs + n)], sum, 2.4e-7 * sizes);
        }
    }
  }
}

}  // namespace heatproof
