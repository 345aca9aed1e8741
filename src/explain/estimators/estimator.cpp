#include "explain/estimators/estimator.h"

#include <algorithm>

#include "graph/operator.h"
#include "ops/arithmetic.h"

namespace heatproof {

std::span<const float> Samples::row(std::int64_t n) const {
  const auto elements = static_cast<std::size_t>(inputs.elements() / size());
  return inputs.data<float>().subspan(static_cast<std::size_t>(n) * elements, elements);
}

std::vector<std::vector<double>> scores_of_copies(const Network& network, const Samples& samples,
                                                  ScoreKind kind, std::int64_t copies, const EditCopy& edit) {
  std::vector<std::vector<double>> scores(static_cast<std::size_t>(samples.size()));
  network.stream(
      samples.size() * copies, kind,
      [&](std::int64_t i, std::span<float> x) {
        std::ranges::copy(samples.row(i / copies), x.begin());
        edit(i / copies, i % copies, x);
      },
      [&](std::int64_t i, std::span<const float> s) {
        const auto n = static_cast<std::size_t>(i / copies);
        scores[n].push_back(s[static_cast<std::size_t>(samples.targets[n])]);
      },
      Convolutions::fastest);
  return scores;
}

Program program_that_fits(std::int64_t all, std::int64_t most, const Network& network, std::int64_t& count,
                          const std::function<Graph(std::int64_t)>& graph) {
  const std::size_t memory = network.memory();
  const auto part = [&](std::int64_t limit) {
    const std::int64_t parts = (all + limit - 1) / limit;
    return network.fit((all + parts - 1) / parts);
  };
  for (count = part(most);; count = part(std::max<std::int64_t>(1, count / 2))) {
    Program program = network.compile(graph(count));
    if (count == network.unit() || program.arena_bytes() + program.constant_bytes() <= memory) return program;
  }
}

Tensor baselines_of(const EstimatorSetup& setup, const Samples& samples, const std::string& text) {
  Builder g;
  const Shape& shape = samples.inputs.shape();
  const Value x = g.input("x", {DType::f32, shape});
  g.output("baseline",
           baseline(x, text, box_edge(g, setup.low, 0, shape), box_edge(g, setup.high, 1, shape)));
  return Workspace(compile(g.build())).run({samples.inputs})[0].clone();
}

}  // namespace heatproof
