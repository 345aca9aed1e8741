#include "explain/estimators/coalitions.h"

#include <algorithm>

#include "explain/resample.h"

namespace heatproof {

Parameter cells_parameter() {
  return {"cells", std::int64_t{7}, "parts of each side; a part is shown or hidden as a whole", 1.0, 64.0};
}

Groups grid_groups(const Shape& input, std::int64_t cells) {
  Groups groups;
  groups.of = {0};
  groups.count = 1;
  for (int axis = first_position(input); axis < input.rank(); ++axis) {
    const std::int64_t size = input[static_cast<std::size_t>(axis)];
    const std::int64_t parts = std::min(cells, size);
    std::vector<std::int64_t> finer;
    for (std::int64_t group : groups.of) {
      for (std::int64_t i = 0; i < size; ++i) finer.push_back(group * parts + i * parts / size);
    }
    groups.of = std::move(finer);
    groups.count *= parts;
  }
  return groups;
}

bool few(std::int64_t count, std::int64_t samples) {
  return count < 20 && (std::int64_t{1} << count) <= samples;
}

std::vector<Coalition> all_coalitions(std::int64_t count) {
  std::vector<Coalition> all;
  for (std::int64_t bits = 0; bits < (std::int64_t{1} << count); ++bits) {
    Coalition c(static_cast<std::size_t>(count));
    for (std::int64_t g = 0; g < count; ++g) c[static_cast<std::size_t>(g)] = ((bits >> g) & 1) != 0;
    all.push_back(std::move(c));
  }
  return all;
}

std::vector<double> scores_of_coalitions(const EstimatorSetup& setup, const Groups& groups,
                                         const Parameters& p, const Samples& sample,
                                         const std::vector<Coalition>& coalitions) {
  const Tensor baseline = baselines_of(setup, sample, p.text("baseline"));
  const auto x0 = baseline.data<float>();
  return scores_of_copies(setup.network, sample, score_kind(setup.network, p),
                          static_cast<std::int64_t>(coalitions.size()),
                          [&](std::int64_t, std::int64_t copy, std::span<float> x) {
                            const Coalition& shown = coalitions[static_cast<std::size_t>(copy)];
                            for (std::size_t i = 0; i < x.size(); ++i) {
                              if (!shown[static_cast<std::size_t>(groups.of[i % groups.of.size()])])
                                x[i] = x0[i];
                            }
                          })[0];
}

void spread(const Groups& groups, const std::vector<double>& values, std::span<float> relevance) {
  for (std::size_t i = 0; i < relevance.size(); ++i)
    relevance[i] = static_cast<float>(values[static_cast<std::size_t>(groups.of[i % groups.of.size()])]);
}

Tensor explain_groups(const Groups& groups, const Samples& samples,
                      const std::function<std::vector<double>(const Samples&)>& explain) {
  Tensor relevance = Tensor::empty(DType::f32, samples.inputs.shape());
  for (std::int64_t n = 0; n < samples.size(); ++n) {
    const Tensor x = samples.inputs.rows(n, n + 1);
    const auto k = static_cast<std::size_t>(n);
    spread(groups, explain({x, samples.targets.subspan(k, 1), samples.ids.subspan(k, 1)}),
           relevance.rows(n, n + 1).data<float>());
  }
  return relevance;
}

}  // namespace heatproof
