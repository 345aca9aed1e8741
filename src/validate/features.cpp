#include "validate/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "explain/parameters.h"
#include "heatproof/error.h"

namespace heatproof {

Parameter absolute_parameter(bool otherwise) { return {"abs", otherwise, "use |relevance|"}; }
Parameter normalise_parameter(const std::string& otherwise) {
  return {"normalise",
          otherwise,
          "divide relevance by its largest magnitude in the sample, or in the batch, as Quantus does",
          {},
          {},
          {"sample", "batch", "none"}};
}
Parameter features_in_step_parameter() {
  return {"features_in_step", std::int64_t{0},
          "features removed together; 0: one by one where there are at most 4096, else in 256 steps", 0, 1e9};
}

std::size_t features_in_step(const Parameters& p, std::size_t features) {
  constexpr std::size_t kSteps = 256;
  constexpr std::size_t kOneByOne = 4096;
  const auto given = static_cast<std::size_t>(p.integer("features_in_step"));
  if (given > 0) return given;
  return features <= kOneByOne ? 1 : (features + kSteps - 1) / kSteps;
}
Parameter perturb_baseline_parameter(const std::string& otherwise) {
  return {"perturb_baseline", otherwise,
          "what removed features become: black (the image's minimum), white (maximum), mean, uniform, or a "
          "number"};
}
Parameter watched_score_parameter() {
  return {"score", std::string("logit"), "what is watched", {}, {}, {"logit", "probability", "difference"}};
}

std::vector<Parameter> joined(std::vector<Parameter> a, const std::vector<Parameter>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::span<const float> row_of(const Tensor& t, std::int64_t i) {
  const auto size = static_cast<std::size_t>(t.elements() / t.shape()[0]);
  return t.data<float>().subspan(static_cast<std::size_t>(i) * size, size);
}

std::span<float> row_of(Tensor& t, std::int64_t i) {
  const auto size = static_cast<std::size_t>(t.elements() / t.shape()[0]);
  return t.data<float>().subspan(static_cast<std::size_t>(i) * size, size);
}

std::vector<std::vector<double>> attributions(const Tensor& relevance, const Parameters& p) {
  const std::string& normalise = p.text("normalise");
  const bool absolute = p.flag("abs");
  std::vector<std::vector<double>> all;
  std::vector<double> largest;
  for (std::int64_t i = 0; i < relevance.shape()[0]; ++i) {
    const auto row = row_of(relevance, i);
    all.emplace_back(row.begin(), row.end());
    largest.push_back(0);
    for (double& v : all.back()) {
      largest.back() = std::max(largest.back(), std::fabs(v));
      if (absolute) v = std::fabs(v);
    }
  }
  if (normalise == "none") return all;
  if (normalise == "batch") std::ranges::fill(largest, *std::ranges::max_element(largest));
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (largest[i] == 0) continue;
    for (double& v : all[i]) v /= largest[i];
  }
  return all;
}

std::vector<float> baseline_of(const Evaluation& e, std::int64_t i, const std::string& name,
                               std::int64_t copy) {
  const auto x = row_of(e.inputs, i);
  if (name == "uniform") {
    RandomStream random = e.random(fmt::format("baseline {}", copy), i);
    std::vector<float> values(x.size());
    for (float& v : values) v = static_cast<float>(random.uniform());
    return values;
  }
  double value = 0;
  if (name == "black") {
    value = *std::ranges::min_element(x);
  } else if (name == "white") {
    value = *std::ranges::max_element(x);
  } else if (name == "mean") {
    value = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  } else {
    char* end = nullptr;
    value = std::strtod(name.c_str(), &end);
    if (name.empty() || *end != '\0' || !std::isfinite(value))
      throw UsageError(fmt::format("perturb_baseline={}: use black, white, mean, uniform or a number", name));
  }
  return std::vector<float>(x.size(), static_cast<float>(value));
}

std::vector<float> baseline_of_steps(const Evaluation& e, std::int64_t i, const std::string& name,
                                     const std::vector<std::vector<std::size_t>>& steps) {
  std::vector<float> values = baseline_of(e, i, name);
  if (name != "mean") return values;
  const auto x = row_of(e.inputs, i);
  std::vector<double> now(x.begin(), x.end());
  double sum = std::accumulate(now.begin(), now.end(), 0.0);
  for (const auto& step : steps) {
    const double mean = sum / static_cast<double>(now.size());
    for (const std::size_t f : step) {
      values[f] = static_cast<float>(mean);
      sum += mean - now[f];
      now[f] = mean;
    }
  }
  return values;
}

std::vector<std::vector<std::size_t>> in_steps(const std::vector<std::size_t>& order, std::size_t size) {
  std::vector<std::vector<std::size_t>> steps;
  for (std::size_t begin = 0; begin < order.size(); begin += size)
    steps.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(begin),
                       order.begin() + static_cast<std::ptrdiff_t>(std::min(begin + size, order.size())));
  return steps;
}

std::vector<std::vector<float>> all_baselines(const Evaluation& e, const std::string& name) {
  std::vector<std::vector<float>> all;
  for (std::int64_t i = 0; i < e.size(); ++i) all.push_back(baseline_of(e, i, name));
  return all;
}

Parameter jitter_parameter(double otherwise) {
  return {"jitter", otherwise,
          "noise on the inputs first, as a share of their range: away from ties under a max pooling, where a "
          "network has no gradient",
          0.0, 1.0};
}

Tensor jittered(const Evaluation& e, double jitter) {
  Tensor moved = e.inputs.clone();
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto x = row_of(moved, i);
    const auto [low, high] = std::ranges::minmax(x);
    RandomStream random = e.random("jitter", i);
    for (float& v : x) v += static_cast<float>(jitter * (high - low) * random.uniform(-1, 1));
  }
  return moved;
}

std::vector<std::size_t> descending(std::span<const double> values, std::span<const std::size_t> ties) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto before = [&](std::size_t a, std::size_t b) {
    if (values[a] != values[b] || ties.empty()) return values[a] > values[b];
    return ties[a] < ties[b];
  };
  // What is no number has no order, and comes last.
  const auto numbers =
      std::ranges::stable_partition(order, [&](std::size_t k) { return !std::isnan(values[k]); });
  std::ranges::stable_sort(order.begin(), numbers.begin(), before);
  return order;
}

Parameter ties_parameter() {
  return {"ties", std::string("random"), "order of equal relevance", {}, {}, {"random", "index"}};
}

std::vector<std::size_t> most_relevant_first(const Evaluation& e, std::int64_t i,
                                             std::span<const double> values, const Parameters& p) {
  if (p.text("ties") == "index" || (p.has("as_quantus") && p.flag("as_quantus"))) return descending(values);
  const auto pixels = static_cast<std::size_t>(e.heatmap.elements() / e.size());
  const std::size_t places = values.size() % pixels == 0 ? pixels : values.size();
  const auto order = e.random("ties", i).permutation(static_cast<std::int64_t>(places));
  std::vector<std::size_t> rank(values.size());
  for (std::size_t k = 0; k < rank.size(); ++k) rank[k] = static_cast<std::size_t>(order[k % places]);
  return descending(values, rank);
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<double> rank(values.size(), std::numeric_limits<double>::quiet_NaN());
  if (std::ranges::any_of(values, [](double v) { return std::isnan(v); })) return rank;
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  for (std::size_t k = 0; k < order.size();) {
    std::size_t end = k;
    while (end < order.size() && values[order[end]] == values[order[k]]) ++end;
    for (std::size_t j = k; j < end; ++j) rank[order[j]] = 0.5 * static_cast<double>(k + end + 1);
    k = end;
  }
  return rank;
}

double pearson(std::span<const double> a, std::span<const double> b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::numeric_limits<double>::quiet_NaN();
}

double spearman(std::span<const double> a, std::span<const double> b) { return pearson(ranks(a), ranks(b)); }

std::string watched_kind(const Network& network, const Parameters& p) {
  const std::string& kind = p.text("score");
  if (kind != "probability") return kind;
  return score_kind(network, p, "score") == ScoreKind::probability ? kind : "logit";
}

std::string why_unwatched(const Network& network, const std::string& kind) {
  if (kind == "probability") return network.probability().missing;
  if (kind != "difference" || network.probability().has_rivals()) return {};
  if (network.classes() == 1) return "the network has one output, and so no other class";
  return "which outputs are other classes of the target's place is not known, since the network does not end "
         "in Softmax";
}

double watched(const Network& network, std::span<const float> scores, std::int64_t target,
               const std::string& kind) {
  const double own = scores[static_cast<std::size_t>(target)];
  return kind == "difference" ? own - network.probability().best_rival(scores, target) : own;
}

namespace {

/// How the network is asked for what is watched.
ScoreKind kind_of(const Network& network, const std::string& kind) {
  if (const std::string why = why_unwatched(network, kind); !why.empty())
    throw UsageError(fmt::format("score={}: {}; use score=logit", kind, why));
  return kind == "probability" ? ScoreKind::probability : ScoreKind::logit;
}

}  // namespace

std::vector<std::vector<double>> scores_of_edits(const Evaluation& e, std::int64_t copies,
                                                 const std::string& kind, const Edit& edit) {
  std::vector<std::vector<double>> result(static_cast<std::size_t>(e.size()),
                                          std::vector<double>(static_cast<std::size_t>(copies)));
  const auto fill = [&](std::int64_t index, std::span<float> x) {
    std::ranges::copy(row_of(e.inputs, index / copies), x.begin());
    edit(index / copies, index % copies, x);
  };
  const auto use = [&](std::int64_t index, std::span<const float> scores) {
    const auto i = static_cast<std::size_t>(index / copies);
    result[i][static_cast<std::size_t>(index % copies)] =
        e.seen(index / copies, watched(e.network, scores, e.targets[i], kind));
  };
  e.network.stream(e.size() * copies, kind_of(e.network, kind), fill, use);
  return result;
}

std::vector<std::vector<double>> scores_of_walks(const Evaluation& e, const SampleWalks& of,
                                                 const std::string& kind) {
  const auto [walks, steps] = std::pair(of.walks, of.steps);
  std::vector<std::vector<double>> result(static_cast<std::size_t>(e.size()),
                                          std::vector<double>(static_cast<std::size_t>(walks * steps)));
  const auto copy = [&](std::int64_t walk, std::int64_t step) { return walk % walks * steps + step; };
  Walks all{
      .count = e.size() * walks,
      .steps = steps,
      .patch = of.patch,
      .base = [&](std::int64_t walk) { return row_of(e.inputs, walk / walks); },
      .fill =
          [&](std::int64_t walk, std::int64_t step, std::span<float> x) {
            std::ranges::copy(row_of(e.inputs, walk / walks), x.begin());
            of.edit(walk / walks, copy(walk, step), x);
          },
      .use =
          [&](std::int64_t walk, std::int64_t step, std::span<const float> scores) {
            const auto i = static_cast<std::size_t>(walk / walks);
            result[i][static_cast<std::size_t>(copy(walk, step))] =
                e.seen(walk / walks, watched(e.network, scores, e.targets[i], kind));
          },
      .changes = [&](std::int64_t walk, Sha256& hash) { of.changes(walk / walks, walk % walks, hash); }};
  if (of.advance)
    all.advance = [&](std::int64_t walk, std::int64_t step, std::span<float> x) {
      return of.advance(walk / walks, copy(walk, step), x);
    };
  e.network.walk(all, kind_of(e.network, kind));
  return result;
}

Donors own_donors(const Evaluation& e) {
  return {e.ids, e.logits.defined() ? argmax_rows(e.logits) : std::vector<std::int64_t>(),
          [inputs = e.inputs](std::int64_t i) { return inputs.rows(i, i + 1); }};
}

Parameter orders_parameter() {
  return {"orders", std::int64_t{1},
          "random orders that are averaged where the order is chance: order=random, and heatmaps that are "
          "equal everywhere",
          1, 1000};
}

void average_orders(const Evaluation& e, const std::vector<std::int64_t>& samples, std::int64_t orders,
                    const std::function<Scores(const Evaluation&)>& once, Scores& scores) {
  if (samples.empty() || orders < 2) return;
  Evaluation few = part_of(e, samples);
  for (std::int64_t k = 1; k < orders; ++k) {
    few.seed = e.seed + 0x9e3779b97f4a7c15U * static_cast<std::uint64_t>(k);  // apart from the users' 0, 1, 2
    const Scores next = once(few);
    for (std::size_t j = 0; j < samples.size(); ++j) {
      const auto i = static_cast<std::size_t>(samples[j]);
      const double share = 1 / static_cast<double>(k + 1);
      scores.values[i] += (next.values[j] - scores.values[i]) * share;
      for (auto& [name, curves] : scores.curves) {
        for (std::size_t s = 0; s < curves[i].size(); ++s)
          curves[i][s] += (next.curves.at(name)[j][s] - curves[i][s]) * share;
      }
    }
  }
  for (std::size_t j = 0; j < samples.size(); ++j)
    if (few.spoiled && few.spoiled->at(static_cast<std::int64_t>(j))) e.spoiled->mark(samples[j]);
}

std::int64_t longer_side(const Shape& s) {
  return s.rank() == 4 ? std::max(s[2], s[3]) : s.rank() == 3 ? s[2] : s.elements() / s[0];
}

std::int64_t usual_patch(const Shape& inputs) {
  return std::max<std::int64_t>(1, (longer_side(inputs) + 7) / 14);
}

void check_patch(const Evaluation& e, const std::string& parameter, std::int64_t side) {
  const Shape& s = e.inputs.shape();
  if (side <= longer_side(s)) return;
  throw UsageError(fmt::format(
      "{}={} is larger than the input of {}; use 1 to {}", parameter, side,
      s.rank() == 4 ? fmt::format("{}x{} pixels", s[2], s[3]) : fmt::format("{} features", longer_side(s)),
      longer_side(s)));
}

std::vector<double> scores_of_inputs(const Evaluation& e, const std::string& kind) {
  std::vector<double> scores;
  if (!e.logits.defined()) {
    for (const auto& row : scores_of_edits(e, 1, kind, [](std::int64_t, std::int64_t, std::span<float>) {}))
      scores.push_back(row[0]);
    return scores;
  }
  kind_of(e.network, kind);
  for (std::int64_t i = 0; i < e.size(); ++i) {
    const auto row = row_of(e.logits, i);
    const std::int64_t target = e.targets[static_cast<std::size_t>(i)];
    scores.push_back(e.seen(i, kind == "probability" ? e.network.probability().of(row, target)
                                                     : watched(e.network, row, target, kind)));
  }
  return scores;
}

}  // namespace heatproof
