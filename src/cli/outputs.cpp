#include "cli/outputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "cli/messages.h"

namespace heatproof::cli {

namespace {

constexpr std::size_t kTop = 5;

std::string written(double score, bool probability) {
  return probability ? fmt::format("{:6.2f} %", 100 * score) : fmt::format("{:8.6g}", score);
}

/// The first few by decreasing value; what is no number comes last.
std::vector<std::int64_t> largest(const std::vector<double>& values) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(kTop, order.size()));
  const auto rank = [&](std::int64_t k) {
    const double value = values[static_cast<std::size_t>(k)];
    return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value;
  };
  std::partial_sort(order.begin(), end, order.end(), [&](auto a, auto b) { return rank(a) > rank(b); });
  order.erase(end, order.end());
  return order;
}

}  // namespace

bool has_labels(const Network& network) { return network.classes() == 1 || network.probability().classes; }

std::string target_name(const Session& session, std::int64_t target) {
  const Probability& p = session.network().probability();
  if (has_labels(session.network())) return session.labels().name(target);
  if (p.choices == 1 || session.labels().empty()) return fmt::format("output {}", target);
  return fmt::format("{} (output {})", session.labels().name(target / p.inner % p.choices), target);
}

Outputs::Outputs(const Session& session, Shape shape)
    : labels_(session.labels()), probability_(session.network().probability()), shape_(shape) {}

double Outputs::score(std::span<const float> logits, std::int64_t output) const {
  return probability_ ? probability_.of(logits, output) : logits[static_cast<std::size_t>(output)];
}

std::string Outputs::kind() const {
  if (!probability_) return "value";
  return probability_.from == Probability::From::convention ? "softmax of the logits" : "probability";
}

nlohmann::json Outputs::top(std::span<const float> logits, bool print) const {
  if (logits.size() == 1 || probability_.classes) return classes(logits, print);
  return probability_.choices > 1 ? shares(logits, print) : places(logits, print);
}

nlohmann::json Outputs::classes(std::span<const float> logits, bool print) const {
  // A probability is a sum over all classes. Of many, the likeliest are those of the largest logits.
  constexpr std::size_t kMany = 4096;
  const bool ranked = probability_.choices > 1 && logits.size() > kMany;
  std::vector<double> scores;
  for (std::size_t c = 0; c < logits.size(); ++c)
    scores.push_back(ranked ? logits[c] : score(logits, static_cast<std::int64_t>(c)));
  nlohmann::json list = nlohmann::json::array();
  for (const std::int64_t c : largest(scores)) {
    const double s = ranked ? score(logits, c) : scores[static_cast<std::size_t>(c)];
    const std::string label = labels_.name(c);
    list.push_back({{"class", c}, {"label", label}, {probability_ ? "probability" : "value", s}});
    const bool named = probability_ || !labels_.empty();
    if (print)
      show("  {}  {}\n", written(s, static_cast<bool>(probability_)),
           named ? label : fmt::format("output {}", c));
  }
  return list;
}

/// Of all places at which the network chooses a class, how many each class has.
nlohmann::json Outputs::shares(std::span<const float> logits, bool print) const {
  const auto [choices, inner] = std::pair(probability_.choices, probability_.inner);
  std::vector<double> counts(static_cast<std::size_t>(choices), 0);
  const auto size = static_cast<std::int64_t>(logits.size());
  for (std::int64_t first = 0; first < size; ++first) {
    if (first / inner % choices != 0) continue;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < choices; ++c)
      if (logits[static_cast<std::size_t>(first + c * inner)] >
          logits[static_cast<std::size_t>(first + best * inner)])
        best = c;
    ++counts[static_cast<std::size_t>(best)];
  }
  const std::int64_t all = size / choices;
  nlohmann::json list = nlohmann::json::array();
  for (const std::int64_t c : largest(counts)) {
    const double share = counts[static_cast<std::size_t>(c)] / static_cast<double>(all);
    const std::string label = labels_.name(c);
    list.push_back({{"class", c}, {"label", label}, {"share", share}});
    if (print) show("  {:6.2f} % of {} places  {}\n", 100 * share, all, label);
  }
  return list;
}

nlohmann::json Outputs::places(std::span<const float> logits, bool print) const {
  std::vector<double> scores;
  for (std::size_t k = 0; k < logits.size(); ++k)
    scores.push_back(score(logits, static_cast<std::int64_t>(k)));
  nlohmann::json list = nlohmann::json::array();
  for (const std::int64_t k : largest(scores)) {
    const double s = scores[static_cast<std::size_t>(k)];
    list.push_back({{"index", k}, {"place", place(k)}, {probability_ ? "probability" : "value", s}});
    if (print)
      show("  {}  output {} at [{}]\n", written(s, static_cast<bool>(probability_)), k,
           fmt::join(place(k), ", "));
  }
  return list;
}

std::vector<std::int64_t> Outputs::place(std::int64_t output) const {
  std::vector<std::int64_t> index;
  const auto strides = shape_.strides();
  for (std::size_t a = 1; a < shape_.size(); ++a) index.push_back(output / strides[a] % shape_[a]);
  return index;
}

}  // namespace heatproof::cli
