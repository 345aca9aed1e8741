// Google Benchmark of single kernels, as compiled graphs: what a step of a network costs on its own.
//
//   scripts/benchmark --kernels [FILTER]
//
// "bytes_per_second" counts what must be read and written once, "flops" multiply-adds as two.
#include <benchmark/benchmark.h>

#include <functional>

#include "base/random.h"
#include "engine/program.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

using Ints = std::vector<std::int64_t>;
using Build = std::function<Value(Builder&, Value)>;

Tensor noise(const Shape& shape, std::uint64_t seed) {
  Tensor t = Tensor::empty(DType::f32, shape);
  RandomStream random(seed, {"kernels"});
  for (float& v : t.data<float>()) v = static_cast<float>(random.normal());
  return t;
}

/// Times the graph output = build(x).
void run(benchmark::State& state, const Shape& shape, const Build& build, double flops = 0) {
  Builder g;
  const Value y = build(g, g.input("x", {DType::f32, shape}));
  g.output("y", y);
  const std::int64_t bytes = 4 * (shape.elements() + y.shape().elements());
  Workspace workspace(compile(g.build()));
  const Tensor x = noise(shape, 0);
  workspace.run({x});
  for (auto _ : state) benchmark::DoNotOptimize(workspace.run({x}));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
  if (flops > 0)
    state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

Value conv(Builder& g, Value x, std::int64_t channels, std::int64_t kernel, std::int64_t stride = 1) {
  const Tensor w = noise({channels, x.shape()[1], kernel, kernel}, 1);
  const std::int64_t pad = kernel / 2;
  return g.add(
      kConv, {x, g.constant(w), g.constant(noise({channels}, 2))},
      {{"kernel_shape", Ints{kernel, kernel}}, {"strides", Ints{stride, stride}}, {"pads", Ints(4, pad)}});
}

double conv_flops(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t pixels) {
  return 2.0 * static_cast<double>(in * out * kernel * kernel * pixels);
}

Attributes window(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {{"kernel_shape", Ints{kernel, kernel}}, {"strides", Ints{stride, stride}}, {"pads", Ints(4, pad)}};
}

// Convolutions of ResNet: channels, side, kernel.
void convolution(benchmark::State& state) {
  const auto c = state.range(0);
  const auto side = state.range(1);
  const auto kernel = state.range(2);
  run(
      state, {1, c, side, side}, [&](Builder& g, Value x) { return conv(g, x, c, kernel); },
      conv_flops(c, c, kernel, side * side));
}
BENCHMARK(convolution)
    ->Args({64, 56, 3})
    ->Args({128, 28, 3})
    ->Args({256, 14, 3})
    ->Args({512, 7, 3})
    ->Args({256, 56, 1})
    ->UseRealTime();

// What is fused into the convolution must cost next to nothing: compare with convolution/64/56/3.
void convolution_relu(benchmark::State& state) {
  run(
      state, {1, 64, 56, 56}, [](Builder& g, Value x) { return g.add(kRelu, {conv(g, x, 64, 3)}); },
      conv_flops(64, 64, 3, 56 * 56));
}
BENCHMARK(convolution_relu)->UseRealTime();

void convolution_add_relu(benchmark::State& state) {
  run(
      state, {1, 64, 56, 56}, [](Builder& g, Value x) { return g.add(kRelu, {conv(g, x, 64, 3) + x}); },
      conv_flops(64, 64, 3, 56 * 56));
}
BENCHMARK(convolution_add_relu)->UseRealTime();

/// A convolution with w⁺ and its transpose: what a z⁺ rule adds to a layer.
void z_plus(benchmark::State& state) {
  run(
      state, {1, 64, 56, 56},
      [](Builder& g, Value x) {
        const Value a = positive(x);
        const Value w = positive(g.constant(noise({64, 64, 3, 3}, 1)));
        const Attributes attributes{{"kernel_shape", Ints{3, 3}}, {"pads", Ints(4, 1)}};
        const Value s = a / stabilize(g.add(kConv, {a, w}, attributes), 1e-6);
        return a * g.add(kConvTranspose, {s, w}, attributes);
      },
      2 * conv_flops(64, 64, 3, 56 * 56));
}
BENCHMARK(z_plus)->UseRealTime();

void max_pool(benchmark::State& state) {
  run(state, {1, state.range(0), 112, 112},
      [](Builder& g, Value x) { return g.add(kMaxPool, {x}, window(3, 2, 1)); });
}
BENCHMARK(max_pool)->Arg(64)->Arg(3)->UseRealTime();

/// In the layout that convolutions choose.
void max_pool_after_convolution(benchmark::State& state) {
  run(state, {1, 3, 224, 224},
      [](Builder& g, Value x) { return g.add(kMaxPool, {conv(g, x, 64, 7, 2)}, window(3, 2, 1)); });
}
BENCHMARK(max_pool_after_convolution)->UseRealTime();

void average_pool(benchmark::State& state) {
  run(state, {1, 64, 112, 112},
      [](Builder& g, Value x) { return g.add(kAveragePool, {x}, window(2, 2, 0)); });
}
BENCHMARK(average_pool)->UseRealTime();

/// `steps` elementwise operators, which become one pass over memory: more of them should hardly cost more.
void elementwise_chain(benchmark::State& state) {
  run(state, {1, 256, 56, 56}, [&](Builder& g, Value x) {
    Value y = x;
    for (std::int64_t i = 0; i < state.range(0); ++i) y = g.add(kRelu, {y * 0.99 + x}) - 0.1;
    return y;
  });
}
BENCHMARK(elementwise_chain)->Arg(1)->Arg(4)->Arg(16)->UseRealTime();

void stabilized_quotient(benchmark::State& state) {
  run(state, {1, 256, 56, 56}, [](Builder&, Value x) { return x / stabilize(x, 1e-6); });
}
BENCHMARK(stabilized_quotient)->UseRealTime();

/// Reorders: the input arrives plain, and leaves plain.
void transposition(benchmark::State& state) {
  run(state, {1, 256, 56, 56}, [](Builder&, Value x) { return transpose(x, {0, 2, 3, 1}); });
}
BENCHMARK(transposition)->UseRealTime();

/// A 1×1 convolution of few channels is nearly all reorder.
void reorder(benchmark::State& state) {
  run(state, {1, 64, 112, 112}, [](Builder& g, Value x) { return conv(g, x, 8, 1); });
}
BENCHMARK(reorder)->UseRealTime();

void gather(benchmark::State& state) {
  run(state, {256, 56, 56}, [&](Builder& g, Value x) {
    Ints rows(static_cast<std::size_t>(x.shape()[state.range(0)]));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>((7 * i) % rows.size());
    return g.add(kGather, {x, g.integers(rows)}, {{"axis", state.range(0)}});
  });
}
BENCHMARK(gather)->Arg(0)->Arg(2)->UseRealTime();

void dense(benchmark::State& state) {
  run(
      state, {state.range(0), 2048},
      [](Builder& g, Value x) {
        return g.add(kMatMul, {x, g.constant(noise({2048, 1000}, 1))});
      },
      2.0 * static_cast<double>(state.range(0)) * 2048 * 1000);
}
BENCHMARK(dense)->Arg(1)->Arg(16)->UseRealTime();

void soft_max(benchmark::State& state) {
  run(state, {64, 1000}, [](Builder& g, Value x) {
    return g.add(kSoftmax, {x}, {{"axis", std::int64_t{1}}});
  });
}
BENCHMARK(soft_max)->UseRealTime();

}  // namespace

}  // namespace heatproof

BENCHMARK_MAIN();
