// heatproof_simulate: how often do the statistics of `select` claim what is not so? Draws images from a table
// of scores (or a distribution), makes all recipes equal in one of several ways, and counts what rank, the
// comparison with the controls and the intervals say: the program's own code, not a second one.
//
//   heatproof_simulate selection SCORES.npy NULL RECIPES IMAGES RUNS SEED
//   heatproof_simulate intervals SCORES.npy|normal|exponential|... IMAGES RUNS SEED
//
// SCORES.npy is [recipe, image]. Prints one JSON object.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "select/shares.h"
#include "select/verdict.h"

namespace heatproof {

namespace {

using Table = std::vector<std::vector<double>>;  // [recipe][image]

double exponential(RandomStream& random) { return -std::log(1 - random.uniform()); }

/// A distribution: how a value is drawn, and its mean.
struct Distribution {
  double (*draw)(RandomStream&);
  double mean;
};

const std::map<std::string, Distribution> kDistributions{
    {"normal", {[](RandomStream& r) { return r.normal(); }, 0}},
    {"exponential", {exponential, 1}},
    {"lognormal", {[](RandomStream& r) { return std::exp(r.normal()); }, std::exp(0.5)}},
    {"lognormal_half", {[](RandomStream& r) { return std::exp(0.5 * r.normal()); }, std::exp(0.125)}},
    {"binary_0.5", {[](RandomStream& r) { return r.uniform() < 0.5 ? 1.0 : 0.0; }, 0.5}},
    {"binary_0.9", {[](RandomStream& r) { return r.uniform() < 0.9 ? 1.0 : 0.0; }, 0.9}},
    {"ties", {[](RandomStream& r) { return std::round(0.8 * r.normal()) + 0.25; }, 0.25}},
    {"constant", {[](RandomStream&) { return 0.3; }, 0.3}},
};

Table read_table(const std::string& path) {
  const Tensor t = to_float(read_npy(path));
  if (t.shape().rank() != 2) throw InputError(path + ": give scores as [recipe, image]");
  const auto images = static_cast<std::size_t>(t.shape()[1]);
  Table table;
  const auto values = t.data<float>();
  for (std::size_t k = 0; k < values.size(); k += images)
    table.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(k),
                       values.begin() + static_cast<std::ptrdiff_t>(k + images));
  return table;
}

double deviation_of(const std::vector<double>& row) {
  const double mean = mean_of(row);
  double squares = 0;
  for (double v : row) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(row.size()));
}

/// Each recipe by itself: less its mean, over its deviation.
void standardise(Table& table) {
  for (auto& row : table) {
    const double mean = mean_of(row);
    const double deviation = deviation_of(row);
    for (double& v : row) v = (v - mean) / (deviation > 0 ? deviation : 1);
  }
}

void subtract_means(Table& table) {
  for (auto& row : table) {
    const double mean = mean_of(row);
    for (double& v : row) v -= mean;
  }
}

/// A population in which all recipes have the same mean, or the scores as they are.
Table population(Table table, const std::string& null) {
  if (null == "centred" || null == "nan") {
    subtract_means(table);
  } else if (null == "skew_centred") {
    standardise(table);
    for (auto& row : table) {
      for (double& v : row) v = std::exp(v);
    }
    subtract_means(table);
  } else if (null == "opposite_skew") {  // of every second recipe the other way round
    standardise(table);
    for (std::size_t r = 0; r < table.size(); ++r) {
      for (double& v : table[r]) v = r % 2 == 0 ? std::exp(v) : -std::exp(v);
    }
    subtract_means(table);
  } else if (null == "skew") {
    standardise(table);
    for (auto& row : table) {
      for (double& v : row) v = std::exp(v);
    }
  } else if (null == "ties" || null == "binary") {
    standardise(table);
    for (auto& row : table) {
      for (double& v : row) v = null == "ties" ? std::round(v) : v > 0.5 ? 1 : 0;
    }
  }
  return table;
}

/// Under these nulls every image's scores are dealt out to the recipes anew; else recipes are equal in the
/// mean.
bool is_dealt(const std::string& null) {
  return null == "dealt" || null == "skew" || null == "ties" || null == "binary";
}

/// One experiment: scores of some recipes on some images, drawn with replacement; the population's means.
struct Draw {
  Table scores;
  std::vector<double> means;
};

Draw draw(const Table& all, const std::vector<double>& means, const std::string& null, std::size_t recipes,
          std::size_t images, RandomStream& random) {
  Draw d;
  std::vector<std::size_t> rows;
  if (!is_dealt(null)) {
    for (const std::int64_t r : random.permutation(static_cast<std::int64_t>(all.size())))
      rows.push_back(static_cast<std::size_t>(r));
    rows.resize(std::min(recipes, rows.size()));
    for (std::size_t r : rows) d.means.push_back(means[r]);
  } else {
    d.means.assign(recipes, 0);
  }
  d.scores.assign(d.means.size(), std::vector<double>(images));
  for (std::size_t i = 0; i < images; ++i) {
    const std::size_t column = random.below(all[0].size());
    std::vector<std::int64_t> deal;
    for (std::size_t k = 0; k < d.scores.size(); ++k) {
      if (is_dealt(null) && k % all.size() == 0)
        deal = random.permutation(static_cast<std::int64_t>(all.size()));
      const std::size_t r = is_dealt(null) ? static_cast<std::size_t>(deal[k % all.size()]) : rows[k];
      d.scores[k][i] = all[r][column];
    }
  }
  if (null == "nan") d.scores[random.below(d.scores.size())][random.below(images)] = NAN;
  return d;
}

/// What was found in so many runs.
struct Count {
  std::size_t runs = 0, worse = 0, beats = 0, confirmed = 0, contradictions = 0, below_floor = 0,
              nan_claims = 0, covered = 0, bounded = 0, best_in_set = 0, told_apart = 0;
};

void count_ranking(const std::vector<Ranked>& ranking, const Draw& d, Count& c) {
  const std::size_t best = ranking[0].recipe;
  const double top = *std::ranges::max_element(d.means);
  bool worse = false;
  bool covered = true;
  bool bounded = true;
  bool found = false;
  for (const Ranked& r : ranking) {
    if (r.failed) continue;
    const bool equal = d.means[r.recipe] >= top - 1e-9;
    worse |= equal && !r.in_best_set;
    found |= equal && r.in_best_set;
    c.told_apart += !r.in_best_set;
    if (&r == ranking.data()) continue;
    const Interval& s = r.shortfall;
    const double truth = d.means[best] - d.means[r.recipe];
    bounded &= std::isfinite(s.low);
    covered &= !std::isfinite(s.low) || (s.low <= truth + 1e-9 && truth <= s.high + 1e-9);
    c.contradictions += (s.low > 0) == r.in_best_set || (r.p <= 0.05) == r.in_best_set;
    std::size_t nonzero = 0;
    for (std::size_t i = 0; i < d.scores[0].size(); ++i)
      nonzero += d.scores[best][i] != d.scores[r.recipe][i];
    c.below_floor += r.p < std::pow(2.0, -static_cast<double>(nonzero)) * (1 - 1e-9);
  }
  c.worse += worse;
  c.best_in_set += found;
  c.covered += covered;
  c.bounded += bounded;
}

nlohmann::json simulate_selection(const Table& scores, const std::string& null, std::size_t recipes,
                                  std::size_t images, std::size_t runs, std::uint64_t seed) {
  const Table all = population(scores, null);
  std::vector<double> means;
  for (const auto& row : all) means.push_back(mean_of(row));
  Count c;
  for (std::size_t run = 0; run < runs; ++run) {
    RandomStream random(seed, {"simulate", null}, run);
    const Draw d = draw(all, means, null, recipes, images, random);
    const auto ranking = rank(d.scores, run);
    ++c.runs;
    count_ranking(ranking, d, c);
    // The last fifth are taken for the controls; a claim is false where one of them is as good.
    const std::size_t k = d.scores.size();
    std::vector<bool> is_control(k, false);
    for (std::size_t r = k - std::max<std::size_t>(1, k / 5); r < k; ++r) is_control[r] = true;
    const auto over = over_controls(ranking, is_control);
    const std::size_t best = ranking[0].recipe;
    bool equal = false;
    for (const OverControl& o : over) {
      equal |= d.means[o.control] >= d.means[best] - 1e-9;
      c.nan_claims += !o.compared && beats_every(over);
    }
    if (!beats_every(over) || !equal) continue;
    ++c.beats;
    const Draw other = draw(all, means, is_dealt(null) ? null : "as drawn", recipes, images, random);
    if (!is_dealt(null)) continue;  // other recipes would be drawn
    std::vector<std::pair<std::size_t, std::vector<double>>> held;
    for (const OverControl& o : over) held.emplace_back(o.control, other.scores[o.control]);
    c.confirmed += beats_every(over_controls(other.scores[best], held, run));
  }
  const auto rate = [&](std::size_t count) {
    return static_cast<double>(count) / static_cast<double>(c.runs);
  };
  return {{"worse", rate(c.worse)},
          {"beats", rate(c.beats)},
          {"confirmed", is_dealt(null) ? nlohmann::json(rate(c.confirmed)) : nlohmann::json(nullptr)},
          {"contradictions", c.contradictions},
          {"p_below_floor", c.below_floor},
          {"claims_without_a_score", c.nan_claims},
          {"best_in_set", rate(c.best_in_set)},
          {"told_apart", rate(c.told_apart)},
          {"shortfalls_covered", rate(c.covered)}};
}

nlohmann::json simulate_intervals(const std::string& of, std::size_t images, std::size_t runs,
                                  std::uint64_t seed) {
  const auto known = kDistributions.find(of);
  Table all;
  if (known == kDistributions.end()) all = read_table(of);
  std::size_t given = 0;
  std::size_t covered = 0;
  std::size_t rough = 0;
  std::size_t covered_rough = 0;
  std::size_t degenerate = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    RandomStream random(seed, {"intervals", of}, run);
    const std::size_t recipe = all.empty() ? 0 : random.below(all.size());
    const double mean = all.empty() ? known->second.mean : mean_of(all[recipe]);
    std::vector<double> values;
    for (std::size_t i = 0; i < images; ++i)
      values.push_back(all.empty() ? known->second.draw(random)
                                   : all[recipe][random.below(all[recipe].size())]);
    const Interval i = interval_of(Bootstrap(images, run, 2000), values, of.starts_with("binary"));
    if (std::isnan(i.low)) continue;
    ++given;
    const bool holds = i.low <= mean && mean <= i.high;
    degenerate += !(i.low < i.high);
    covered += holds;
    rough += i.rough;
    covered_rough += holds && i.rough;
  }
  const auto share = [](std::size_t a, std::size_t b) {
    return b > 0 ? nlohmann::json(static_cast<double>(a) / static_cast<double>(b)) : nlohmann::json(nullptr);
  };
  return {{"given", share(given, runs)},
          {"covered", share(covered, given)},
          {"rough", share(rough, given)},
          {"covered_where_not_rough", share(covered - covered_rough, given - rough)},
          {"degenerate", degenerate}};
}

std::size_t count_of(const char* text) { return std::stoull(text); }

int run(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  nlohmann::json result;
  if (a.size() == 7 && a[0] == "selection")
    result = simulate_selection(read_table(a[1]), a[2], count_of(argv[4]), count_of(argv[5]),
                                count_of(argv[6]), count_of(argv[7]));
  else if (a.size() == 5 && a[0] == "intervals")
    result = simulate_intervals(a[1], count_of(argv[3]), count_of(argv[4]), count_of(argv[5]));
  else
    throw UsageError(
        "heatproof_simulate selection SCORES.npy NULL RECIPES IMAGES RUNS SEED, or intervals WHAT IMAGES "
        "RUNS "
        "SEED");
  fmt::print("{}\n", result.dump());
  return 0;
}

}  // namespace

}  // namespace heatproof

int main(int argc, char** argv) {
  try {
    return heatproof::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "heatproof_simulate: {}\n", e.what());
    return 1;
  }
}
