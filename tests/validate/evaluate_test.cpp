// What is not finite is never scored, whatever the metric: a sweep over the registry, so that metrics to come
// are held to it, too.
#include "validate/metric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/networks.h"
#include "support/operators.h"
#include "validate/features.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t kSamples = 4;
constexpr std::int64_t kSide = 8;

/// Metrics as small inputs allow them; others as they are.
std::string fitting(const std::string& metric) {
  static const std::map<std::string, std::string> smaller{
      {"faithfulness_correlation", ":subset_size=5,nr_runs=10"},
      {"top_k_intersection", ":k=4"},
      {"sensitivity_n", ":sizes=3,nr_runs=5"},
      {"monotonicity_correlation", ":nr_samples=3"},
      {"smooth_mprt", ":nr_samples=2"},
      {"max_sensitivity", ":nr_samples=2"},
      {"avg_sensitivity", ":nr_samples=2"},
      {"local_lipschitz_estimate", ":nr_samples=2"},
      {"relative_input_stability", ":nr_samples=2,changed=use"},
      {"relative_output_stability", ":nr_samples=2,changed=use"},
      {"relative_representation_stability", ":nr_samples=2,changed=use"}};
  const auto it = smaller.find(metric);
  return it == smaller.end() ? metric : metric + it->second;
}

/// Every metric of the registry, and those settings that compare samples.
std::vector<std::string> all_metrics() {
  std::vector<std::string> all;
  for (const Metric* m : metrics()) all.push_back(fitting(m->name));
  for (const char* more :
       {"sensitivity_n:as_quantus=true", "sparseness:normalise=batch", "effective_complexity:normalise=batch",
        "irof:as_quantus=true", "pixel_flipping:as_quantus=true", "completeness:as_quantus=true",
        "continuity:as_quantus=true,nr_steps=3", "pixel_flipping:order=random", "positivity",
        "mprt:full=true,similarity=ssim"})
    all.emplace_back(more);
  return all;
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || a == b || std::fabs(a - b) <= 1e-5 * (1 + std::fabs(b));
}

/// A small convolutional network and explanations of four images by it.
class NotFinite : public ::testing::Test {
 protected:
  Network network{[](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1, kSide, kSide}});
    const Value w = g.constant(random_tensor({4, 1, 3, 3}, 1));
    const Value h = g.add(kRelu, {g.add(kConv, {x, w, g.constant(random_tensor({4}, 2))}, {}, "conv")});
    const Value flat = reshape(h, {batch, 4 * 36});
    g.output("y", g.add(kLinear,
                        {flat, g.constant(random_tensor({3, 4 * 36}, 3)), g.constant(random_tensor({3}, 4))},
                        {}, "dense"));
    return g.build();
  }};
  const Recipe recipe = parse_recipe("gradient_x_input");
  Explainer explainer{network, {recipe}, {}};
  Donors donors;  // of all classes, whatever the network predicts

  Evaluation evaluation() {
    Evaluation e{.network = network, .inputs = random_tensor({kSamples, 1, kSide, kSide}, 5, 0.1, 1)};
    e.logits = network.predict(e.inputs);
    e.targets = {0, 1, 2, 0};
    e.ids = {10, 11, 12, 13};
    e.explain = [this](const Tensor& x, auto t, auto ids) {
      return explainer.explain(x, t, ids).relevance[0];
    };
    e.explain_on = [this](const Network& other, const Tensor& x, auto t, auto ids) {
      return Explainer(other, {recipe}, {}).explain(x, t, ids).relevance[0];
    };
    donors = {e.ids, {0, 1, 2, 0}, [inputs = e.inputs](std::int64_t i) { return inputs.rows(i, i + 1); }};
    e.donors = [this]() -> const Donors& { return donors; };
    e.masks = Tensor::zeros(DType::f32, {kSamples, kSide, kSide});
    for (std::int64_t i = 0; i < kSamples; ++i) std::fill_n(row_of(e.masks, i).begin(), 20, 1.0F);
    give(e, e.explain(e.inputs, e.targets, e.ids));
    return e;
  }

  static void give(Evaluation& e, const Tensor& relevance) {
    e.relevance = relevance;
    e.heatmap = pool_channels(relevance, Pool::sum);
  }
};

}  // namespace

TEST_F(NotFinite, RelevanceHasNoScoreInAnyMetricAndDoesNotTouchOthers) {
  const Evaluation whole = evaluation();
  const Evaluation without = part_of(whole, {0, 2, 3});
  for (const std::string& text : all_metrics()) {
    SCOPED_TRACE(text);
    const MetricSpec metric = parse_metric(text);
    const std::vector<double> clean = evaluate(metric, whole).values;
    const std::vector<double> others = evaluate(metric, without).values;
    for (const char* what : {"one NaN", "one infinity", "minus infinity", "all NaN", "zero"}) {
      if (std::string(what) == "zero" && metric.metric->scores_zero) continue;
      SCOPED_TRACE(what);
      Tensor broken = whole.relevance.clone();
      const auto row = row_of(broken, 1);
      if (std::string(what) == "one NaN") row[17] = kNaN;
      if (std::string(what) == "one infinity") row[17] = kInfinity;
      if (std::string(what) == "minus infinity") row[17] = -kInfinity;
      if (std::string(what) == "all NaN") std::ranges::fill(row, kNaN);
      if (std::string(what) == "zero") std::ranges::fill(row, 0.0F);
      Evaluation e = whole;
      give(e, broken);
      const Scores scores = evaluate(metric, e);
      ASSERT_EQ(scores.values.size(), 4U);
      EXPECT_TRUE(std::isnan(scores.values[1])) << scores.values[1];
      for (const auto& [name, curves] : scores.curves) {
        ASSERT_EQ(curves.size(), 4U) << name;
        for (const double v : curves[1]) EXPECT_TRUE(std::isnan(v)) << name;
      }
      for (const std::size_t i : {0U, 2U, 3U}) {
        EXPECT_TRUE(same(scores.values[i], others[i == 0 ? 0 : i - 1])) << scores.values[i];
        if (metric.compares_samples()) continue;
        EXPECT_TRUE(same(scores.values[i], clean[i])) << scores.values[i];
      }
    }
  }
}

TEST_F(NotFinite, MostMetricsScoreTheCleanSamples) {
  // Else the sweep would compare NaN with NaN.
  const Evaluation e = evaluation();
  for (const std::string& text : all_metrics()) {
    const Scores s = evaluate(parse_metric(text), e);
    EXPECT_TRUE(std::ranges::any_of(s.values, [](double v) { return std::isfinite(v); })) << text;
  }
}

TEST_F(NotFinite, ExplanationsThatAMetricAsksForCountAsWell) {
  Evaluation e = evaluation();
  const auto poisoned = [](Tensor relevance) {
    if (relevance.shape()[0] == kSamples) row_of(relevance, 2)[5] = kNaN;
    return relevance;
  };
  e.explain = [poisoned, explain = e.explain](const Tensor& x, auto t, auto ids) {
    return poisoned(explain(x, t, ids));
  };
  e.explain_on = [poisoned, explain = e.explain_on](const Network& n, const Tensor& x, auto t, auto ids) {
    return poisoned(explain(n, x, t, ids));
  };
  for (const Metric* m : metrics()) {
    if (!m->needs_explainer && m->name != "focus") continue;
    SCOPED_TRACE(m->name);
    const Scores scores = evaluate(parse_metric(fitting(m->name)), e);
    EXPECT_TRUE(std::isnan(scores.values[2])) << scores.values[2];
    for (const auto& [name, curves] : scores.curves)
      for (const double v : curves[2]) EXPECT_TRUE(std::isnan(v)) << name;
    EXPECT_TRUE(std::isfinite(scores.values[0]));
  }
}

TEST_F(NotFinite, LogitsMakeNaNOfTheirSampleAlone) {
  for (const float value : {kNaN, kInfinity}) {
    Evaluation e = evaluation();
    row_of(e.logits, 1)[0] = value;  // of another class than the target
    for (const char* metric : {"sparseness", "conservation", "pixel_flipping", "consistency"}) {
      const auto scores = evaluate(parse_metric(metric), e).values;
      EXPECT_TRUE(std::isnan(scores[1])) << metric;
      EXPECT_TRUE(std::isfinite(scores[0])) << metric;
    }
  }
}

TEST(NotFiniteScores, OfChangedInputsMakeNaN) {
  // y = W x + log x₀: finite for the inputs, NaN where the first feature becomes negative.
  const Network network([](std::int64_t batch) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 1, kSide, kSide}});
    const Value flat = reshape(x, {batch, 64});
    Tensor first = Tensor::zeros(DType::f32, {3, 64});
    for (std::int64_t c = 0; c < 3; ++c) row_of(first, c)[0] = 1;
    const Value y = g.add(kLinear, {flat, g.constant(random_tensor({3, 64}, 3))});
    g.output("y", y + g.add(kLog, {g.add(kLinear, {flat, g.constant(first)})}));
    return g.build();
  });
  Evaluation e{.network = network, .inputs = random_tensor({2, 1, kSide, kSide}, 5, 0.1, 1)};
  e.logits = network.predict(e.inputs);
  e.targets = {0, 1};
  e.ids = {1, 2};
  e.black = {-1};
  e.relevance = random_tensor({2, 1, kSide, kSide}, 6);
  e.heatmap = pool_channels(e.relevance, Pool::sum);
  for (const char* metric :
       {"pixel_flipping:patch=1,imputer=black", "pixel_flipping:as_quantus=true,perturb_baseline=-1",
        "deletion:imputer=black", "insertion:imputer=black", "irof:imputer=black",
        "region_perturbation:perturb_baseline=-1", "selectivity:perturb_baseline=-1",
        "monotonicity:perturb_baseline=-1", "monotonicity_correlation:perturb_baseline=-1,nr_samples=1",
        "faithfulness_estimate:perturb_baseline=-1", "infidelity:perturb_baseline=-1",
        "sensitivity_a:perturb_baseline=-1", "non_sensitivity:perturb_baseline=-1",
        "completeness:perturb_baseline=-1", "sensitivity_n:perturb_baseline=-1,n_max_percentage=1",
        "sensitivity_n:as_quantus=true,perturb_baseline=-1"}) {
    for (const double v : evaluate(parse_metric(metric), e).values) EXPECT_TRUE(std::isnan(v)) << metric;
  }
}

TEST(Orders, PutWhatIsNoNumberLast) {
  const std::vector<double> values{1, NAN, 3, NAN, 2};
  EXPECT_EQ(descending(values), (std::vector<std::size_t>{2, 4, 0, 1, 3}));
  for (const double r : ranks(values)) EXPECT_TRUE(std::isnan(r));
  EXPECT_TRUE(std::isnan(spearman(values, values)));
  EXPECT_EQ(argmax_rows(floats({3, 3}, {NAN, 1, 2, 3, NAN, 1, NAN, NAN, NAN})),
            (std::vector<std::int64_t>{2, 0, 0}));
  const Probability competing{.choices = 3};
  EXPECT_TRUE(std::isnan(competing.best_rival(std::vector<float>{1, NAN, 0}, 0)));
  EXPECT_TRUE(std::isnan(competing.best_rival(std::vector<float>{1, NAN, 5}, 0)));
  for (const Pool pool : {Pool::sum, Pool::abs, Pool::l2, Pool::max, Pool::positive})
    EXPECT_TRUE(std::isnan(pool_channels(floats({1, 3, 1, 1}, {1, NAN, 2}), pool).data<float>()[0]));
}

}  // namespace heatproof
