#include "explain/incremental.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

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

Network random_network(std::uint64_t seed, const Shape& input) {
  return Network([=](std::int64_t batch) { return RandomNetwork(seed, batch).build(input); }, {.batch = 2});
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

/// A place of a window of the patch's size, often at the edge.
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

/// Changes windows of random images step by step (persistent), or one window of them at a time; true when the
/// scores always were those of whole passes.
void check_updates(const Network& network, const Ints& patch, Updates mode, std::uint64_t seed, int steps,
                   double tolerance) {
  constexpr std::int64_t kRows = 3;
  auto plan = plan_windows(scores_graph(network, kRows), patch);
  if (!plan) return;
  const Shape& input = network.input_shape();
  IncrementalProgram program(network, *plan, {patch, mode, kRows, kRows}, 1);
  RandomStream random(seed, {"updates"});
  std::vector<std::vector<float>> images;
  for (std::int64_t i = 0; i < kRows; ++i) {
    const Tensor x = random_tensor(input, seed + static_cast<std::uint64_t>(i));
    images.emplace_back(x.data<float>().begin(), x.data<float>().end());
    program.load(i, images.back());
  }
  for (int step = 0; step < steps; ++step) {
    std::vector<std::vector<float>> rows;
    std::vector<IncrementalProgram::Change> changes;
    for (std::int64_t r = 0; r < kRows; ++r) {
      // Slots in any order; two windows of one slot at once, too.
      const std::int64_t slot = step % 3 == 0 ? 0 : (r + step) % kRows;
      const Place place = random_place(random, input, patch);
      auto x = images[static_cast<std::size_t>(slot)];
      auto window = window_of(input, patch, x, place);
      for (float& v : window) v = static_cast<float>(random.normal());
      put_window(input, patch, window, place, x);
      if (mode == Updates::persistent) images[static_cast<std::size_t>(slot)] = x;
      changes.push_back({slot, place, window_of(input, patch, x, place), {}});
      rows.push_back(std::move(x));
    }
    if (mode == Updates::persistent) {
      for (std::size_t r = 0; r < rows.size(); ++r) {
        rows[r] = images[static_cast<std::size_t>(changes[r].slot)];
        changes[r].window = window_of(input, patch, rows[r], changes[r].place);
      }
    }
    const Tensor expected = network.predict(stacked(rows, input));
    ASSERT_LT(deviation(program.update(changes, ScoreKind::logit), expected), tolerance) << "step " << step;
  }
}

Walks random_walks(const Network& network, const std::vector<Tensor>& bases, std::int64_t per_base,
                   std::int64_t steps, const Ints& patch,
                   std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>>& scores) {
  const Shape input = network.input_shape();
  return {.count = static_cast<std::int64_t>(bases.size()) * per_base,
          .steps = steps,
          .patch = patch,
          .base = [&bases, per_base](
                      std::int64_t w) { return bases[static_cast<std::size_t>(w / per_base)].data<float>(); },
          .fill =
              [=, &bases](std::int64_t w, std::int64_t step, std::span<float> x) {
                std::ranges::copy(bases[static_cast<std::size_t>(w / per_base)].data<float>(), x.begin());
                RandomStream random(static_cast<std::uint64_t>(w), {"walk"});
                for (std::int64_t k = 0; k < step; ++k) {
                  const Place place = random_place(random, input, patch);
                  const auto value = static_cast<float>(random.normal());
                  auto window = window_of(input, patch, x, place);
                  std::ranges::fill(window, value);
                  put_window(input, patch, window, place, x);
                  // Once, everything changes.
                  if (k == steps / 2) std::ranges::for_each(x, [](float& v) { v *= 0.5F; });
                }
              },
          .use =
              [&scores](std::int64_t w, std::int64_t step, std::span<const float> s) {
                scores[{w, step}].assign(s.begin(), s.end());
              }};
}

void check_walks(const Network& network, const Ints& patch, std::int64_t per_base, std::int64_t steps,
                 ScoreKind kind) {
  const std::vector<Tensor> bases{random_tensor(network.input_shape(), 1),
                                  random_tensor(network.input_shape(), 2),
                                  random_tensor(network.input_shape(), 3)};
  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<float>> scores;
  const Walks walks = random_walks(network, bases, per_base, steps, patch, scores);
  network.walk(walks, kind);
  ASSERT_EQ(scores.size(), static_cast<std::size_t>(walks.count * walks.steps));
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> rows;
  for (std::int64_t w = 0; w < walks.count; ++w) {
    for (std::int64_t s = 0; s < steps; ++s) {
      inputs.emplace_back(bases[0].data<float>().size());
      walks.fill(w, s, inputs.back());
      rows.push_back(scores.at({w, s}));
    }
  }
  EXPECT_LT(deviation(stacked(rows, {1, network.classes()}),
                      network.predict(stacked(inputs, network.input_shape()), kind)),
            1e-5);
}

}  // namespace

TEST(IncrementalProgram, GivesWhatWholePassesGive) {
  EXPECT_TRUE(rc::check("persistent and transient updates of random networks", [](std::uint16_t number) {
    const Shape input = random_input(number);
    const Network network = random_network(number, input);
    RandomStream random(number, {"patch"});
    Ints patch;
    for (std::size_t a = 2; a < input.size(); ++a)
      patch.push_back(static_cast<std::int64_t>(random.uniform(1, 6)));
    const Updates mode = number % 2 == 0 ? Updates::persistent : Updates::transient;
    RC_CLASSIFY(plan_windows(scores_graph(network, 1), patch).has_value(), "computed on windows");
    check_updates(network, patch, mode, number, 4, 1e-5);
    RC_ASSERT(!::testing::Test::HasFatalFailure());
  }));
}

TEST(IncrementalProgram, DoesNotDriftOverManyUpdates) {
  const Network network = random_network(7, {1, 3, 40, 40});
  ASSERT_TRUE(plan_windows(scores_graph(network, 1), {3, 3}));
  check_updates(network, {3, 3}, Updates::persistent, 1, 200, 1e-5);
}

TEST(WindowPlan, OfThreeConvolutionsAndAPoolByHand) {
  Builder g;
  Value x = g.input("x", {DType::f32, {1, 1, 64, 64}});
  const auto convolve = [&](Value v, std::int64_t stride) {
    return g.add(kConv, {v, g.constant(random_tensor({1, 1, 3, 3}, 1))},
                 {{"strides", Ints{stride, stride}}, {"pads", Ints{1, 1, 1, 1}}});
  };
  x = convolve(convolve(x, 1), 2);
  x = g.add(kMaxPool, {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  g.output("y", g.add(kReduceMean, {convolve(x, 1)}, {{"axes", Ints{2, 3}}, {"keepdims", std::int64_t{0}}}));
  const Graph graph = g.build();
  const auto plan = plan_windows(graph, {4, 4});
  ASSERT_TRUE(plan);
  // 4 → 6 → 3 or 4 → 2 or 3 → 5 of 16.
  std::vector<Ints> sizes;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (plan->windowed(id)) sizes.push_back(plan->of(id).size);
  }
  EXPECT_EQ(sizes, (std::vector<Ints>{{4, 4}, {6, 6}, {4, 4}, {3, 3}, {5, 5}}));
  EXPECT_EQ(plan->windows[1].start(0, 0), 0);
  EXPECT_EQ(plan->windows[1].start(0, 10), 9);
  EXPECT_EQ(plan->windows[1].start(0, 60), 58);
  EXPECT_LT(plan->update, 0.5 * plan->whole);
}

TEST(WindowPlan, IsRefusedWhereNothingIsGained) {
  const Network network = random_network(7, {1, 3, 40, 40});
  const Graph graph = scores_graph(network, 1);
  EXPECT_FALSE(plan_windows(graph, {40, 40}));
  EXPECT_FALSE(plan_windows(graph, {3}));
  EXPECT_FALSE(plan_windows(graph, {0, 3}));
  EXPECT_FALSE(plan_windows(graph, {41, 3}));
  Builder g;
  g.output("y", g.add(kLinear, {g.input("x", {DType::f32, {1, 8}}), g.constant(random_tensor({2, 8}, 1))}));
  EXPECT_FALSE(plan_windows(g.build(), {}));
}

TEST(Differences, AreCoveredByWindows) {
  const Tensor a = random_tensor({1, 2, 6, 7}, 1);
  Tensor b = a.clone();
  EXPECT_TRUE(differences(a.shape(), {2, 3}, a.data<float>(), b.data<float>()).empty());
  b.data<float>()[0] += 1;           // channel 0 at (0, 0)
  b.data<float>()[42 + 7 + 2] += 1;  // channel 1 at (1, 2): the same window
  b.data<float>()[5 * 7 + 6] += 1;   // (5, 6): the window that still lies inside
  EXPECT_EQ(differences(a.shape(), {2, 3}, a.data<float>(), b.data<float>()),
            (std::vector<Place>{{0, 0}, {4, 4}}));
}

TEST(NetworkWalk, GivesWhatWholePassesGiveHoweverManyWalksThereAre) {
  const Network network = random_network(7, {1, 3, 40, 40});
  ASSERT_TRUE(plan_windows(scores_graph(network, 1), {3, 3}));
  for (const std::int64_t per_base : {1, 3, 5}) check_walks(network, {3, 3}, per_base, 8, ScoreKind::logit);
  check_walks(network, {3, 3}, 1, 8, ScoreKind::probability);
  check_walks(network, {20, 3}, 2, 5, ScoreKind::logit);
  check_walks(network, {40, 40}, 1, 3, ScoreKind::logit);
  check_walks(network, {}, 1, 3, ScoreKind::logit);
}

TEST(NetworkWalk, KeepsToTheMemory) {
  const auto specialize = [](std::int64_t batch) { return RandomNetwork(7, batch).build({1, 3, 40, 40}); };
  for (const std::size_t memory : {std::size_t{1} << 10, std::size_t{1} << 20, std::size_t{1} << 21})
    check_walks(Network(specialize, {.memory = memory}), {3, 3}, 2, 6, ScoreKind::logit);
}

TEST(NetworkEditWindows, GivesWhatWholePassesGive) {
  const auto specialize = [](std::int64_t batch) { return RandomNetwork(7, batch).build({1, 3, 40, 40}); };
  for (const std::size_t memory : {std::size_t{1} << 10, std::size_t{1} << 20, std::size_t{1} << 30}) {
    const Network network(specialize, {.memory = memory});
    const Shape& input = network.input_shape();
    const std::vector<Tensor> bases{random_tensor(input, 1), random_tensor(input, 2),
                                    random_tensor(input, 3)};
    const Ints patch{4, 5};
    std::vector<std::vector<float>> rows(40);
    std::vector<std::vector<float>> inputs;
    const auto base = [&](std::int64_t i) {
      return std::span<const float>(bases[static_cast<std::size_t>(i)].data<float>());
    };
    const auto image = [](std::int64_t i) { return i / 7 % 3; };
    const auto first = [](std::int64_t i) { return Place{i % 37, i * 7 % 36}; };
    const auto change = [](std::int64_t i, std::span<float> window) {
      for (std::size_t k = static_cast<std::size_t>(i % 3); k < window.size(); ++k)
        window[k] = 0.1F * static_cast<float>(i);
    };
    network.edit_windows({.count = 40,
                          .patch = patch,
                          .image = image,
                          .base = base,
                          .first = first,
                          .change = change,
                          .use =
                              [&](std::int64_t i, std::span<const float> s) {
                                rows[static_cast<std::size_t>(i)].assign(s.begin(), s.end());
                              }},
                         ScoreKind::logit);
    for (std::int64_t i = 0; i < 40; ++i) {
      inputs.emplace_back(base(image(i)).begin(), base(image(i)).end());
      auto window = window_of(input, patch, inputs.back(), first(i));
      change(i, window);
      put_window(input, patch, window, first(i), inputs.back());
    }
    EXPECT_LT(deviation(stacked(rows, {1, 5}), network.predict(stacked(inputs, input))), 1e-5);
  }
}

TEST(IncrementalProgram, AgreesOnRealNetworks) {
  for (const auto& [name, patch] : std::map<std::string, Ints>{{"squeezenet_fp16", {16, 16}},
                                                               {"mnist", {3, 3}},
                                                               {"cifar10_small", {4, 4}},
                                                               {"resnet8_cifar10", {4, 4}},
                                                               {"mobilenet_v1_025_vww", {8, 8}}}) {
    const auto path = shared_data("models/" + name + ".onnx");
    if (path.empty()) GTEST_SKIP() << "no shared data";
    SCOPED_TRACE(name);
    const Network network = network_of(path);
    check_updates(network, patch, Updates::persistent, 5, 6, 1e-5);
    check_updates(network, patch, Updates::transient, 5, 4, 1e-5);
  }
  for (const std::string name : {"cnn", "resnet", "strided", "pools", "mobile", "gates"}) {
    SCOPED_TRACE(name);
    const Network network = network_of(golden(name + ".onnx"));
    const Ints patch(network.input_shape().size() - 2, 2);
    check_updates(network, patch, Updates::persistent, 5, 4, 1e-5);
    check_updates(network, patch, Updates::transient, 5, 4, 1e-5);
  }
}

}  // namespace heatproof
