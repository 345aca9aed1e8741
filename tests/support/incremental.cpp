#include "support/incremental.h"

#include <algorithm>
#include <cmath>

#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof::testing {

namespace {

using Ints = std::vector<std::int64_t>;

/// Small networks of everything that can be computed on windows, drawn from a seed.
class RandomNetwork {
 public:
  RandomNetwork(std::uint64_t seed, std::int64_t batch) : random_(seed, {"network"}), batch_(batch) {}

  Graph build(const Shape& input) {
    Shape shape = input;
    shape[0] = batch_;
    Value x = g_.input("x", {DType::f32, shape});
    x = convolution(x, pick({4, 8, 16, 20}));
    const std::int64_t layers = between(2, 6);
    for (std::int64_t i = 0; i < layers; ++i) x = layer(x);
    g_.output("y", head(x));
    return g_.build();
  }

 private:
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_.uniform() * static_cast<double>(high - low + 1));
  }
  std::int64_t pick(const Ints& from) {
    return from[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(from.size()) - 1))];
  }
  Value weights(const Shape& shape, double size) {
    Tensor t = Tensor::empty(DType::f32, shape);
    for (float& v : t.data<float>()) v = static_cast<float>(size * random_.normal());
    return g_.constant(t);
  }

  Value convolution(Value x, std::int64_t channels, std::int64_t group = 1, bool same = false) {
    const std::size_t axes = x.shape().size() - 2;
    Shape w{channels, x.shape()[1] / group};
    Ints strides;
    Ints dilations;
    Ints begin;
    Ints end;
    for (std::size_t a = 0; a < axes; ++a) {
      w.push_back(same ? 3 : pick({1, 2, 3, 3, 5}));
      dilations.push_back(same ? 1 : pick({1, 1, 2}));
      strides.push_back(same || x.shape()[a + 2] < 12 ? 1 : pick({1, 1, 2}));
      const std::int64_t extent = dilations[a] * (w.back() - 1) + 1;
      begin.push_back(same ? 1 : between(0, extent - 1));
      end.push_back(same ? 1 : std::max<std::int64_t>(between(0, extent - 1), extent - x.shape()[a + 2]));
    }
    begin.insert(begin.end(), end.begin(), end.end());
    const double size = 1.2 / std::sqrt(static_cast<double>(w.elements() / w[0]));
    return g_.add(kConv, {x, weights(w, size), weights({channels}, 0.1)},
                  {{"strides", strides}, {"dilations", dilations}, {"pads", begin}, {"group", group}});
  }

  Value pool(Value x) {
    const std::size_t axes = x.shape().size() - 2;
    Ints kernel;
    Ints strides;
    Ints pads;
    Ints sizes;
    const bool ceil = between(0, 1) == 1;
    for (std::size_t a = 0; a < axes; ++a) {
      kernel.push_back(pick({2, 3}));
      strides.push_back(x.shape()[a + 2] < 8 ? 1 : pick({1, 2}));
      pads.push_back(between(0, 1));
      if (x.shape()[a + 2] < kernel[a]) pads[a] = 1;  // or it would not fit
      const std::int64_t room = x.shape()[a + 2] + 2 * pads[a] - kernel[a];
      std::int64_t size = (ceil ? (room + strides[a] - 1) / strides[a] : room / strides[a]) + 1;
      if ((size - 1) * strides[a] >= x.shape()[a + 2] + pads[a]) --size;  // ONNX: windows start inside
      sizes.push_back(size);
    }
    const Ints begin = pads;
    pads.insert(pads.end(), begin.begin(), begin.end());
    Attributes a{{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}, {"output_shape", sizes}};
    if (between(0, 1) == 0) return g_.add(kMaxPool, {x}, a);
    a.set("count_include_pad", between(0, 1));
    return g_.add(kAveragePool, {x}, a);
  }

  Value layer(Value x) {
    const std::int64_t channels = x.shape()[1];
    const auto rank = x.shape().size();
    switch (between(0, 9)) {
      case 0:
        return g_.add(kRelu, {convolution(x, channels, channels)});  // depthwise
      case 1:
        return g_.add(kRelu, {convolution(x, 2 * channels, 2)});
      case 2:
      case 3:
        return pool(x);
      case 4:  // residual
        return g_.add(
            kRelu, {x + convolution(g_.add(kRelu, {convolution(x, channels, 1, true)}), channels, 1, true)});
      case 5:  // dense block
        return g_.add(kConcat, {x, g_.add(kSigmoid, {convolution(x, 8, 1, true)})},
                      {{"axis", std::int64_t{1}}});
      case 6:  // not folded: no layer before it
        return g_.add(kRelu, {g_.add(kBatchNormalization,
                                     {g_.add(kTanh, {x}), weights({channels}, 1), weights({channels}, 1)})});
      case 7: {  // a map of constants, and one number per channel
        Shape map(x.shape().begin() + 1, x.shape().end());
        map[0] = 1;
        Shape each(rank, 1);
        each[1] = channels;
        return x * weights(each, 1) + weights(map, 1);
      }
      case 8: {
        Ints pads(2 * rank, 0);
        for (std::size_t a = 2; a < rank; ++a) pads[a] = between(0, 2), pads[a + rank] = between(0, 2);
        return convolution(g_.add(kPad, {x}, {{"pads", pads}, {"value", 0.5}}), channels);
      }
      default: {
        Ints starts(rank, 0);
        Ints ends(x.shape().begin(), x.shape().end());
        Ints steps(rank, 1);
        for (std::size_t a = 2; a < rank; ++a) {
          starts[a] = between(0, 1);
          steps[a] = ends[a] > 16 ? 2 : 1;
        }
        return g_.add(kSlice, {x}, {{"starts", starts}, {"ends", ends}, {"steps", steps}});
      }
    }
  }

  Value head(Value x) {
    Ints axes;
    for (std::int64_t a = 2; a < x.shape().rank(); ++a) axes.push_back(a);
    const Value gate =
        g_.add(kSigmoid, {g_.add(kReduceMean, {x}, {{"axes", axes}, {"keepdims", std::int64_t{1}}})});
    x = convolution(x * gate, 8);
    x = g_.add(kReduceMean, {x}, {{"axes", axes}, {"keepdims", std::int64_t{0}}});
    return g_.add(kLinear, {x, weights({5, 8}, 1), weights({5}, 1)});
  }

  RandomStream random_;
  std::int64_t batch_;
  Builder g_;
};

}  // namespace

Graph random_graph(std::uint64_t seed, std::int64_t batch, const Shape& input) {
  return RandomNetwork(seed, batch).build(input);
}

Network random_network(std::uint64_t seed, const Shape& input, NetworkOptions options) {
  return Network([=](std::int64_t batch) { return random_graph(seed, batch, input); }, std::move(options));
}

Shape random_input(std::uint64_t seed) {
  RandomStream random(seed, {"shape"});
  const auto length = [&](double low, double high) {
    return static_cast<std::int64_t>(random.uniform(low, high));
  };
  switch (seed % 5) {
    case 0:
      return {1, 2, length(40, 90)};
    case 1:
      return {1, 1, length(8, 12), length(8, 12), length(8, 12)};
    default:
      return {1, 3, length(18, 36), length(18, 36)};
  }
}

Place random_place(RandomStream& random, const Shape& input, const Ints& patch) {
  Place place;
  for (std::size_t a = 0; a < patch.size(); ++a) {
    const std::int64_t room = input[a + 2] - patch[a];
    const auto at = static_cast<std::int64_t>(random.uniform(-2, static_cast<double>(room) + 3));
    place.push_back(std::clamp<std::int64_t>(at, 0, room));
  }
  return place;
}

Tensor stacked(const std::vector<std::vector<float>>& rows, Shape shape) {
  shape[0] = static_cast<std::int64_t>(rows.size());
  Tensor t = Tensor::empty(DType::f32, shape);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(
        rows[i],
        t.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).data<float>().begin());
  return t;
}

}  // namespace heatproof::testing
