#include "select/reliability.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "base/random.h"
#include "heatproof/error.h"
#include "validate/features.h"

namespace heatproof {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kHalvings = 200;
constexpr int kResamples = 1000;

using ScoreTable = std::vector<std::vector<double>>;  // [recipe][image]

/// Mean score of each recipe over some images.
std::vector<double> means_over(const ScoreTable& scores, const std::vector<std::size_t>& images) {
  std::vector<double> means;
  for (const auto& row : scores) {
    double sum = 0;
    for (std::size_t i : images) sum += row[i];
    means.push_back(sum / static_cast<double>(images.size()));
  }
  return means;
}

ScoreTable finite_rows(const ScoreTable& scores) {
  ScoreTable rows;
  for (const auto& row : scores) {
    if (std::ranges::all_of(row, [](double v) { return std::isfinite(v); })) rows.push_back(row);
  }
  return rows;
}

/// Ranks of the recipes on each image, [recipe][image].
ScoreTable ranks_by_image(const ScoreTable& scores) {
  ScoreTable result(scores.size(), std::vector<double>(scores[0].size()));
  for (std::size_t i = 0; i < scores[0].size(); ++i) {
    std::vector<double> column;
    for (const auto& row : scores) column.push_back(row[i]);
    const std::vector<double> r = ranks(column);
    for (std::size_t k = 0; k < r.size(); ++k) result[k][i] = r[k];
  }
  return result;
}

double split_half(const ScoreTable& scores, std::uint64_t seed) {
  const std::size_t images = scores[0].size();
  if (images < 4) return kNaN;
  RandomStream random(seed, {"split half"});
  double sum = 0;
  int count = 0;
  for (int k = 0; k < kHalvings; ++k) {
    const auto order = random.permutation(static_cast<std::int64_t>(images));
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(images / 2);
    const double tau =
        kendall_tau(means_over(scores, {order.begin(), middle}), means_over(scores, {middle, order.end()}));
    if (std::isnan(tau)) continue;
    sum += tau;
    ++count;
  }
  return count > 0 ? sum / count : kNaN;
}

/// α and τ over images and halves of them.
std::pair<double, double> agreement(const ScoreTable& scores, std::uint64_t seed) {
  const ScoreTable finite = finite_rows(scores);
  if (finite.size() < 2 || finite[0].size() < 2) return {kNaN, kNaN};
  return {krippendorff_alpha(ranks_by_image(finite)), split_half(finite, seed)};
}

double above(const ScoreTable& scores, const std::vector<std::size_t>& methods, std::size_t random) {
  double wins = 0;
  double pairs = 0;
  for (std::size_t m : methods) {
    for (std::size_t i = 0; i < scores[m].size(); ++i) {
      const double a = scores[m][i];
      const double b = scores[random][i];
      if (std::isnan(a) || std::isnan(b)) continue;
      wins += a > b ? 1 : a == b ? 0.5 : 0;
      pairs += 1;
    }
  }
  return pairs > 0 ? wins / pairs : kNaN;
}

/// The metric with one parameter changed; nothing where the value is not allowed.
std::optional<MetricSpec> varied(const MetricSpec& metric, const std::string& key, const std::string& value) {
  Spec spec = parse_spec(metric.text);
  std::erase_if(spec.parameters, [&](const auto& p) { return p.first == key; });
  std::string text = spec.name;
  char separator = ':';
  spec.parameters.emplace_back(key, value);
  for (const auto& [k, v] : spec.parameters) text += separator + k + "=" + v, separator = ',';
  try {
    MetricSpec other = parse_metric(text);
    if (other.text == metric.text) return std::nullopt;
    return other;
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

}  // namespace

double krippendorff_alpha(const std::vector<std::vector<double>>& values) {
  if (values.size() < 2 || values[0].size() < 2) return kNaN;
  const auto units = static_cast<double>(values.size());
  const auto raters = static_cast<double>(values[0].size());
  double total = 0;
  for (const auto& row : values) total += mean_of(row) / units;
  double within = 0;
  double all = 0;
  for (const auto& row : values) {
    const double mean = mean_of(row);
    for (double v : row) within += (v - mean) * (v - mean), all += (v - total) * (v - total);
  }
  const double observed = within / (units * (raters - 1));
  const double expected = all / (units * raters - 1);
  return expected > 0 ? 1 - observed / expected : kNaN;
}

Reliability reliability_of(const std::vector<std::vector<double>>& scores,
                           const std::vector<std::size_t>& methods, std::optional<std::size_t> random,
                           std::uint64_t seed) {
  Reliability r{kNaN, kNaN, kNaN};
  if (random) r.above_random = above(scores, methods, *random);
  ScoreTable explaining;
  for (std::size_t m : methods) explaining.push_back(scores[m]);
  std::tie(r.between_images, r.split_half) = agreement(explaining, seed);
  std::tie(r.between_images_with_controls, r.split_half_with_controls) = agreement(scores, seed);
  return r;
}

Interval order_agreement(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b,
                         std::uint64_t seed) {
  ScoreTable first;
  ScoreTable second;
  const auto finite = [](const std::vector<double>& row) {
    return std::ranges::all_of(row, [](double v) { return std::isfinite(v); });
  };
  for (std::size_t r = 0; r < a.size(); ++r) {
    if (finite(a[r]) && finite(b[r])) first.push_back(a[r]), second.push_back(b[r]);
  }
  if (first.size() < 2) return {kNaN, kNaN, kNaN};
  const std::size_t images = first[0].size();
  std::vector<std::size_t> all(images);
  for (std::size_t i = 0; i < images; ++i) all[i] = i;
  const double tau = kendall_tau(means_over(first, all), means_over(second, all));
  if (images < 2) return {tau, kNaN, kNaN};
  RandomStream random(seed, {"order agreement"});
  std::vector<double> resampled;
  for (int k = 0; k < kResamples; ++k) {
    std::vector<std::size_t> drawn;
    for (std::size_t i = 0; i < images; ++i) drawn.push_back(random.below(images));
    const double t = kendall_tau(means_over(first, drawn), means_over(second, drawn));
    if (!std::isnan(t)) resampled.push_back(t);
  }
  if (resampled.empty()) return {tau, kNaN, kNaN};
  std::ranges::sort(resampled);
  const auto at = [&](double q) {
    return resampled[static_cast<std::size_t>(std::llround(q * static_cast<double>(resampled.size() - 1)))];
  };
  return {tau, at(0.025), at(0.975)};
}

std::vector<MetricSpec> variants_of(const MetricSpec& metric) {
  std::vector<MetricSpec> variants;
  const auto add = [&](const std::string& key, const std::string& value) {
    auto other = varied(metric, key, value);
    if (other && std::ranges::none_of(variants, [&](const auto& v) { return v.text == other->text; }))
      variants.push_back(std::move(*other));
  };
  for (const std::string& change : metric.metric->variants) {
    const std::size_t equals = change.find('=');
    add(change.substr(0, equals), change.substr(equals + 1));
  }
  if (!metric.metric->variants.empty()) return variants;
  for (const Parameter& p : metric.metric->parameters) {
    if (p.name == "orders") continue;  // how precisely chance is measured, no choice of its own
    for (const double factor : {0.5, 2.0}) {
      const ParameterValue& value = metric.parameters.at(p.name);
      if (const auto* n = std::get_if<std::int64_t>(&value); n != nullptr && *n > 0)
        add(p.name, to_string(ParameterValue(
                        std::max<std::int64_t>(1, std::llround(factor * static_cast<double>(*n))))));
      if (const auto* x = std::get_if<double>(&value); x != nullptr && *x > 0)
        add(p.name, to_string(ParameterValue(factor * *x)));
    }
  }
  return variants;
}

}  // namespace heatproof
