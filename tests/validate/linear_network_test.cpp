// Metrics on a linear network f(x) = Wx + b, where all is known: gradient × input is w ⊙ x, the fall of the
// score without a feature is its relevance, and gradients never change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "explain/explainer.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"
#include "validate/features.h"
#include "validate/metrics.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr std::int64_t kSide = 4;
constexpr std::int64_t kFeatures = kSide * kSide;
constexpr std::int64_t kClasses = 3;

class LinearNetwork : public ::testing::Test {
 protected:
  Tensor weights = random_tensor({kClasses, kFeatures}, 7);
  Tensor bias = floats({kClasses}, {0.5F, -0.25F, 0.125F});

  std::unique_ptr<Network> network;
  std::unique_ptr<Explainer> explainer;

  Evaluation evaluation(const std::string& recipe, std::int64_t samples = 3) {
    network = std::make_unique<Network>([this](std::int64_t batch) {
      Builder g;
      const Value x = g.input("x", {DType::f32, {batch, 1, kSide, kSide}});
      const Value flat = reshape(x, {batch, kFeatures});
      g.output("y", g.add(kLinear, {flat, g.constant(weights), g.constant(bias)}, {}, "layer"));
      return g.build();
    });
    explainer = std::make_unique<Explainer>(*network, std::vector{parse_recipe(recipe)}, ExplainOptions{});
    Evaluation e{.network = *network, .inputs = random_tensor({samples, 1, kSide, kSide}, 3, 0.5, 2)};
    e.logits = network->predict(e.inputs);
    for (std::int64_t i = 0; i < samples; ++i) {
      e.targets.push_back(i % kClasses);
      e.ids.push_back(static_cast<std::uint64_t>(i) + 10);
    }
    e.explain = [this](const Tensor& x, auto t, auto ids) {
      return explainer->explain(x, t, ids).relevance[0];
    };
    e.explain_on = [recipe](const Network& other, const Tensor& x, auto t, auto ids) {
      return Explainer(other, {parse_recipe(recipe)}, {}).explain(x, t, ids).relevance[0];
    };
    e.relevance = e.explain(e.inputs, e.targets, e.ids);
    e.heatmap = pool_channels(e.relevance, Pool::sum);
    return e;
  }

  /// Explanations that are the same whatever is asked.
  static void fix(Evaluation& e, const Tensor& one) {
    const auto always = [one](const Tensor& x) {
      std::vector<Tensor> rows(static_cast<std::size_t>(x.shape()[0]), one);
      return concatenate(rows);
    };
    e.explain = [always](const Tensor& x, auto, auto) { return always(x); };
    e.explain_on = [always](const Network&, const Tensor& x, auto, auto) { return always(x); };
    e.relevance = always(e.inputs);
    e.heatmap = pool_channels(e.relevance, Pool::sum);
  }

  static void expect_all(const char* metric, const Evaluation& e, double expected, double tolerance = 1e-5) {
    SCOPED_TRACE(metric);
    for (double v : evaluate(parse_metric(metric), e).values) EXPECT_NEAR(v, expected, tolerance);
  }
};

}  // namespace

TEST_F(LinearNetwork, GradientTimesInputIsPerfectlyFaithful) {
  const Evaluation e = evaluation("gradient_x_input");
  expect_all("faithfulness_correlation:subset_size=5,nr_runs=30,perturb_baseline=0", e, 1);
  expect_all("faithfulness_estimate:perturb_baseline=0", e, 1);
  expect_all("sensitivity_n:perturb_baseline=0,n_max_percentage=0.5", e, 1);
  expect_all("monotonicity_correlation:perturb_baseline=0,nr_samples=1", e, 1, 1e-9);
  expect_all("completeness:perturb_baseline=0", e, 0);
  expect_all("non_sensitivity:perturb_baseline=0,normalise=none", e, 0, 0);
  expect_all("sensitivity_a:perturb_baseline=0", e, 0, 0);
  expect_all("sensitivity_b", e, 0, 0);
}

TEST_F(LinearNetwork, ForeignRelevanceIsNotFaithful) {
  Evaluation e = evaluation("gradient_x_input");
  fix(e, random_tensor({1, 1, kSide, kSide}, 99));
  for (const char* metric :
       {"faithfulness_correlation:subset_size=5,perturb_baseline=0",
        "faithfulness_estimate:perturb_baseline=0", "sensitivity_n:perturb_baseline=0"}) {
    SCOPED_TRACE(metric);
    for (double v : evaluate(parse_metric(metric), e).values) EXPECT_LT(std::fabs(v), 0.8);
  }
}

TEST_F(LinearNetwork, GradientPredictsEveryChange) {
  const Evaluation e = evaluation("gradient");
  expect_all("infidelity:patch_size=2,perturb_baseline=0", e, 0);
  expect_all("infidelity:patch_size=2,cumulative=false,perturb_baseline=mean", e, 0);
}

TEST_F(LinearNetwork, GradientNeverChanges) {
  const Evaluation e = evaluation("gradient");
  for (const char* metric :
       {"max_sensitivity", "avg_sensitivity", "local_lipschitz_estimate", "continuity",
        "relative_input_stability:changed=use", "relative_output_stability:changed=use",
        "relative_representation_stability:changed=use", "implementation_invariance:rewrite=identity"})
    expect_all(metric, e, 0);
  expect_all("input_invariance", e, 1, 0);
  expect_all("input_invariance:measure=cosine", e, 0);
}

TEST_F(LinearNetwork, GradientTimesInputMovesWithTheInput) {
  const Evaluation e = evaluation("gradient_x_input");
  expect_all("input_invariance", e, 0, 0);
  // Noise that is a constant c: R' − R = c w.
  const auto scores = evaluate(
      parse_metric("max_sensitivity:nr_samples=1,changed=use,lower_bound=0.5,upper_bound=0.5000001"), e);
  for (std::size_t i = 0; i < 3; ++i) {
    double change = 0;
    double size = 0;
    for (std::size_t f = 0; f < kFeatures; ++f) {
      const double w = weights.data<float>()[static_cast<std::size_t>(e.targets[i]) * kFeatures + f];
      const double x = e.inputs.data<float>()[i * kFeatures + f];
      change += 0.25 * w * w;
      size += w * w * x * x;
    }
    EXPECT_NEAR(scores.values[i], std::sqrt(change / size), 1e-5);
  }
}

TEST_F(LinearNetwork, AscentFindsWorseNeighbours) {
  const Evaluation e = evaluation("gradient_x_input");
  const auto before = evaluate(parse_metric("continuity:path=0"), e).values;
  const auto after = evaluate(parse_metric("continuity:path=0,ascent=40"), e).values;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(after[i], before[i]);
    // ‖w ⊙ d‖₁ / ‖d‖₂ is at most ‖w‖₂.
    double norm = 0;
    for (std::size_t f = 0; f < kFeatures; ++f)
      norm += std::pow(weights.data<float>()[static_cast<std::size_t>(e.targets[i]) * kFeatures + f], 2);
    EXPECT_LE(after[i], std::sqrt(norm) + 1e-5);
  }
}

TEST_F(LinearNetwork, MotionsMoveAndContinuityMeasuresThem) {
  const Evaluation e = evaluation("gradient_x_input");
  for (const char* motion : {"translation", "rotation", "brightness"}) {
    const Scores s =
        evaluate(parse_metric(std::string("continuity:neighbours=0,path=3,motion=") + motion), e);
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_EQ(s.curves.at("path")[i].size(), 3U);
      EXPECT_GT(s.values[i], 0) << motion;
    }
  }
}

TEST_F(LinearNetwork, DummyFeaturesAreFound) {
  for (std::int64_t c = 0; c < kClasses; ++c)  // the last four features count for nothing
    std::fill_n(weights.data<float>().data() + c * kFeatures + 12, 4, 0.0F);
  Evaluation e = evaluation("gradient_x_input");
  expect_all("sensitivity_b", e, 0, 0);
  expect_all("non_sensitivity:perturb_baseline=0,normalise=none", e, 0, 0);
  fix(e, Tensor::filled({1, 1, kSide, kSide}, 1));
  expect_all("sensitivity_b", e, 4.0 / 16);
  expect_all("non_sensitivity:perturb_baseline=0,normalise=none", e, 4, 0);
  Tensor missed = Tensor::zeros(DType::f32, {1, 1, kSide, kSide});  // relevance where nothing counts
  missed.data<float>()[12] = 1;
  fix(e, missed);
  expect_all("sensitivity_a:perturb_baseline=0", e, 1, 0);
}

TEST_F(LinearNetwork, MonotonicityIsTheOrderOfTheSigns) {
  for (float& w : weights.data<float>()) w = std::fabs(w) + 0.1F;
  expect_all("monotonicity:perturb_baseline=0", evaluation("gradient_x_input"), 1, 0);
  for (float& w : weights.data<float>()) w = -w;
  expect_all("monotonicity:perturb_baseline=0", evaluation("gradient_x_input"), 0, 0);
}

TEST_F(LinearNetwork, FixedExplanationsFailTheRandomisationTests) {
  Evaluation e = evaluation("gradient");
  fix(e, random_tensor({1, 1, kSide, kSide}, 99));
  for (const char* metric :
       {"mprt", "mprt:order=bottom_up,similarity=cosine", "mprt:order=independent,similarity=ssim",
        "mprt:full=true", "smooth_mprt:nr_samples=3", "random_logit", "random_logit:other=runner_up"})
    expect_all(metric, e, 1, 1e-6);
  expect_all("efficient_mprt", e, 0, 1e-12);
}

TEST_F(LinearNetwork, GradientsPassTheRandomisationTests) {
  const Evaluation e = evaluation("gradient", 1);
  for (const char* metric : {"mprt", "smooth_mprt:nr_samples=3", "random_logit:similarity=spearman"})
    EXPECT_LT(evaluate(parse_metric(metric), e).values[0], 0.9) << metric;
  // On a linear network, averaging over noise changes no gradient.
  EXPECT_NEAR(evaluate(parse_metric("smooth_mprt:nr_samples=3"), e).values[0],
              evaluate(parse_metric("mprt"), e).values[0], 1e-6);
}

TEST_F(LinearNetwork, RandomLogitExplainsAnotherClass) {
  Evaluation e = evaluation("gradient");
  std::vector<std::vector<std::int64_t>> asked;
  e.explain = [&](const Tensor& x, auto targets, auto) {
    asked.emplace_back(targets.begin(), targets.end());
    return random_tensor(x.shape(), 1);
  };
  for (const char* other : {"random", "runner_up", "quantus"}) {
    evaluate(parse_metric(std::string("random_logit:other=") + other), e);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(asked.back()[i], e.targets[i]) << other;
  }
  const auto logits = e.logits.data<float>();
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t c = 0; c < kClasses; ++c) {
      if (static_cast<std::int64_t>(c) == e.targets[i]) continue;
      EXPECT_GE(logits[i * kClasses + static_cast<std::size_t>(asked[1][i])], logits[i * kClasses + c]);
    }
  }
}

TEST_F(LinearNetwork, InsertionAndDeletionAreAreasByHand) {
  Evaluation e = evaluation("gradient_x_input", 1);
  // With logits and black = 0, removing features by decreasing relevance subtracts them one by one.
  std::vector<double> r(e.relevance.data<float>().begin(), e.relevance.data<float>().end());
  std::ranges::sort(r, std::greater<>());
  const double score = e.target_logit(0);
  std::vector<double> deletion{score};
  for (double v : r) deletion.push_back(deletion.back() - v);
  double area = 0;
  for (std::size_t k = 1; k < deletion.size(); ++k) area += 0.5 * (deletion[k] + deletion[k - 1]) / kFeatures;
  expect_all("deletion:score=logit,steps=16", e, area);
  const auto inserted = evaluate(parse_metric("insertion:score=logit,steps=16,imputer=black"), e);
  EXPECT_NEAR(inserted.values[0], 2 * (score + deletion.back()) / 2 - area, 1e-5);  // mirrored
  EXPECT_NEAR(inserted.curves.at("insertion")[0].front(), deletion.back(), 1e-5);
  EXPECT_NEAR(inserted.curves.at("insertion")[0].back(), score, 1e-5);
  EXPECT_NEAR(inserted.curves.at("insertion")[0][1], deletion.back() + r[0], 1e-5);
  const double mean = std::accumulate(deletion.begin(), deletion.end(), 0.0) / 17;
  expect_all("pixel_flipping:patch=1,steps=16,order=morf,imputer=black,summary=aopc", e, score - mean);
}

TEST_F(LinearNetwork, ConsistencyAndSufficiencyCompareSamples) {
  Evaluation e = evaluation("gradient", 3);
  e.logits = floats({3, kClasses}, {1, 0, 0, 1, 0, 0, 0, 1, 0});  // predictions 0, 0, 1
  fix(e, Tensor::filled({1, 1, kSide, kSide}, 1));                // all explanations are alike
  for (const char* metric : {"consistency", "consistency:discretise=rank", "consistency:discretise=sign",
                             "consistency:discretise=floating_points,n=2", "sufficiency"}) {
    SCOPED_TRACE(metric);
    EXPECT_EQ(evaluate(parse_metric(metric), e).values, (std::vector<double>{0.5, 0.5, 0}));
  }
  e.relevance.data<float>()[2 * kFeatures] = -1;
  EXPECT_EQ(evaluate(parse_metric("consistency:abs=false"), e).values, (std::vector<double>{1, 1, 0}));
  EXPECT_EQ(evaluate(parse_metric("consistency"), e).values, (std::vector<double>{0.5, 0.5, 0}));
}

TEST_F(LinearNetwork, FocusLooksForTheClassInMosaics) {
  Evaluation e = evaluation("gradient", 4);
  e.targets = {0, 0, 1, 1};
  e.logits = floats({4, kClasses}, {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0});
  for (std::int64_t i = 0; i < 4; ++i)
    std::fill_n(e.inputs.data<float>().data() + i * kFeatures, kFeatures, i < 2 ? 1.0F : 3.0F);
  e.explain = [](const Tensor& x, auto, auto) { return x; };  // relevance 1 on class 0, 3 on class 1
  const auto scores = evaluate(parse_metric("focus"), e).values;
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(scores[i], i < 2 ? 0.25 : 0.75, 1e-6);
  e.masks = Tensor::zeros(DType::f32, {4, kSide, kSide});
  for (std::int64_t i = 0; i < 4; ++i) std::fill_n(e.masks.data<float>().data() + i * kFeatures, 8, 1.0F);
  fix(e, Tensor::filled({1, 1, kSide, kSide}, 2));
  expect_all("focus:mosaics=given", e, 0.5);
  const Tensor relevance = e.relevance;
  e.relevance = Tensor::filled(relevance.shape(), -1);
  for (double v : evaluate(parse_metric("focus:mosaics=given"), e).values) EXPECT_TRUE(std::isnan(v));
  e.relevance = relevance;
  e.targets = {0, 0, 0, 0};
  e.logits = floats({4, kClasses}, {1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0});
  EXPECT_THROW(evaluate(parse_metric("focus"), e), UsageError);
}

TEST_F(LinearNetwork, IrofRemovesSuperpixels) {
  // The superpixels are the quadrants, each of one colour; all of the score lies in the first of them.
  std::ranges::fill(weights.data<float>(), 0.0F);
  for (std::size_t y = 0; y < 2; ++y) weights.data<float>()[y * 4] = weights.data<float>()[y * 4 + 1] = 1;
  std::ranges::fill(bias.data<float>(), 0.0F);
  Evaluation e = evaluation("gradient_x_input", 1);
  for (std::size_t f = 0; f < kFeatures; ++f)
    e.inputs.data<float>()[f] = 1 + static_cast<float>(f / 8 * 2 + f % 4 / 2) * 100;
  const Scores s = evaluate(parse_metric("irof:segments=4,imputer=black,score=logit"), e);
  ASSERT_EQ(s.curves.at("score")[0].size(), 4U);
  EXPECT_NEAR(s.curves.at("score")[0][0], 0, 1e-6);
  EXPECT_NEAR(s.values[0], 4, 1e-6);
}

TEST_F(LinearNetwork, ComplexityByHand) {
  Evaluation e = evaluation("gradient", 1);
  const auto set = [&](std::vector<float> values) {
    values.resize(kFeatures, 0);
    e.relevance = floats({1, 1, kSide, kSide}, values);
    e.heatmap = e.relevance.reshaped({1, kSide, kSide});
  };
  set(std::vector<float>(kFeatures, -2));
  expect_all("sparseness", e, 0, 1e-12);
  expect_all("complexity", e, std::log(16), 1e-12);
  expect_all("effective_complexity", e, 16, 0);
  set({0, 0, 0, -5});
  expect_all("sparseness", e, 15.0 / 16, 1e-12);  // 1 − 1/n
  expect_all("complexity", e, 0, 1e-12);
  expect_all("effective_complexity", e, 1, 0);
  set({1, 0.5F, 0.25F});
  expect_all("effective_complexity:eps=0.3", e, 2, 0);
  set({1, 0.5F, 0.25F});
  expect_all("effective_complexity:eps=0.3,normalise=none", e, 2, 0);
}

TEST_F(LinearNetwork, ComplexityTakesValuesAsTheyAre) {
  Evaluation e = evaluation("gradient", 1);
  std::vector<float> values(kFeatures, 0);
  values[0] = -2;
  values[1] = 1;
  e.relevance = floats({1, 1, kSide, kSide}, values);
  e.heatmap = e.relevance.reshaped({1, kSide, kSide});
  expect_all("effective_complexity", e, 2, 0);
  expect_all("effective_complexity:abs=false", e, 1, 0);
  EXPECT_TRUE(std::isnan(evaluate(parse_metric("complexity:abs=false"), e).values[0]));
  // Values 2, 1 and fourteen zeros, each plus 1: Σ(2i − 17)·v / (16 · Σ v) by hand.
  double weighted = 13 * 2.0 + 15 * 3.0;
  for (int i = 1; i <= 14; ++i) weighted += 2 * i - 17;
  expect_all("sparseness:normalise=none,offset=1", e, weighted / (16 * 19), 1e-9);
}

TEST_F(LinearNetwork, AMeanIsThatOfWhatIsLeft) {
  Evaluation e = evaluation("gradient", 1);
  for (std::size_t f = 0; f < kFeatures; ++f) e.inputs.data<float>()[f] = f == 0 ? 16 : 0;
  // The mean is 1; without feature 0, which becomes 1, the mean is 1/16.
  const std::vector<float> fillers = baseline_of_steps(e, 0, "mean", {{0}, {1}});
  EXPECT_FLOAT_EQ(fillers[0], 1);
  EXPECT_FLOAT_EQ(fillers[1], 1.0F / 16);
  EXPECT_FLOAT_EQ(baseline_of_steps(e, 0, "0.5", {{0}})[0], 0.5F);
  EXPECT_EQ(in_steps({3, 1, 2}, 2), (std::vector<std::vector<std::size_t>>{{3, 1}, {2}}));
}

TEST_F(LinearNetwork, HeatmapsOfAllChannelsCountOnce) {
  Evaluation e = evaluation("gradient_x_input", 1);
  const double ratio = evaluate(parse_metric("conservation"), e).values[0];
  std::vector<Tensor> twice{e.relevance, e.relevance};
  e.relevance = concatenate(twice).reshaped({1, 2, kSide, kSide});  // as for two channels
  e.pixelwise = true;
  EXPECT_NEAR(evaluate(parse_metric("conservation"), e).values[0], ratio, 1e-12);
}

TEST_F(LinearNetwork, NothingToRewriteIsNoNumber) {
  const Evaluation e = evaluation("gradient");
  for (const char* rewrite : {"matrix_product", "max_halves", "zero_taps"}) {
    const auto scores =
        evaluate(parse_metric(std::string("implementation_invariance:rewrite=") + rewrite), e).values;
    EXPECT_TRUE(std::isnan(scores[0])) << rewrite;
  }
}

}  // namespace heatproof
