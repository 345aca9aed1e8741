#include "validate/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/files.h"
#include "support/operators.h"
#include "validate/imputer.h"

namespace heatproof {

using namespace testing;

namespace {

Network network_of(const std::filesystem::path& path) {
  return Network([model = Model::load(path)](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    return model.specialize(s);
  });
}

/// The network and data of make_metric_goldens.py.
class Metrics : public ::testing::Test {
 protected:
  Network network = network_of(golden("metrics.onnx"));
  std::map<std::string, Tensor> arrays = read_npz(golden("metrics.npz"));
  Explainer explainer{network, {parse_recipe("gradient_x_input")}, {}};

  Evaluation evaluation(const Tensor& attributions) {
    Evaluation e{.network = network,
                 .inputs = arrays.at("input"),
                 .relevance = attributions,
                 .heatmap = pool_channels(attributions, Pool::sum),
                 .logits = network.predict(arrays.at("input")),
                 .masks = arrays.at("masks"),
                 .explain = [this](const Tensor& x, auto t,
                                   auto ids) { return explainer.explain(x, t, ids).relevance[0]; },
                 .seed = 0,
                 .ids = {0, 1, 2, 3, 4}};
    const auto targets = arrays.at("targets").data<std::int64_t>();
    e.targets.assign(targets.begin(), targets.end());
    return e;
  }
  Tensor own() {
    return explainer.explain(arrays.at("input"), arrays.at("targets").data<std::int64_t>()).relevance[0];
  }
};

Sample sample(const std::vector<float>& heatmap, const std::vector<float>& mask = {}, double logit = 1) {
  return {heatmap, heatmap, mask, 1, static_cast<std::int64_t>(heatmap.size()), logit};
}

double score(const Metric& m, const Sample& s) { return m.score(s, {}); }

}  // namespace

TEST_F(Metrics, AgreeWithQuantus) {
  int compared = 0;
  for (const auto& [key, expected] : arrays) {
    if (!key.starts_with("score ") && !key.starts_with("curve ")) continue;
    SCOPED_TRACE(key);
    const bool localisation = parse_metric(key.substr(6)).metric->group == Group::localisation;
    const bool continuity = key.find("continuity") != std::string::npos;
    const Evaluation e =
        evaluation(continuity ? own() : arrays.at(localisation ? "positive" : "attributions"));
    const Scores scores = evaluate(parse_metric(key.substr(6)), e);
    ++compared;
    if (key.starts_with("score ")) {
      for (std::size_t i = 0; i < 5; ++i)
        EXPECT_NEAR(scores.values[i], expected.data<float>()[i],
                    1e-5 * std::fabs(expected.data<float>()[i]) + 1e-6);
      continue;
    }
    // pixel_flipping starts with the untouched image, Quantus with the first removal.
    const std::size_t untouched = scores.curves.contains("morf") ? 1 : 0;
    const auto& curves = scores.curves.begin()->second;
    const auto steps = static_cast<std::size_t>(expected.shape()[1]);
    for (std::size_t i = 0; i < 5; ++i) {
      ASSERT_EQ(curves[i].size(), steps + untouched);
      for (std::size_t k = 0; k < steps; ++k)
        ASSERT_NEAR(curves[i][k + untouched], expected.data<float>()[i * steps + k], 1e-5);
    }
  }
  EXPECT_EQ(compared, 23);
}

TEST_F(Metrics, PixelFlippingStartsAtTheLogitAndEndsWithEverythingRemoved) {
  const Evaluation e = evaluation(arrays.at("attributions"));
  const Scores s = evaluate(parse_metric("pixel_flipping:patch=5,steps=7,imputer=black"), e);
  const Tensor nothing = network.predict(Tensor::zeros(DType::f32, e.inputs.shape()));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(s.curves.at("morf")[i].front(), e.target_logit(static_cast<std::int64_t>(i)), 1e-5);
    EXPECT_NEAR(s.curves.at("lerf")[i].front(), e.target_logit(static_cast<std::int64_t>(i)), 1e-5);
    const double end = nothing.data<float>()[i * 4 + static_cast<std::size_t>(e.targets[i])];
    EXPECT_NEAR(s.curves.at("morf")[i].back(), end, 1e-5);
    EXPECT_NEAR(s.curves.at("lerf")[i].back(), end, 1e-5);
  }
}

TEST_F(Metrics, SymmetricGainIsTheDifferenceOfTheAreas) {
  const Evaluation e = evaluation(own());
  const auto area = [&](const std::string& order) {
    return evaluate(parse_metric("pixel_flipping:patch=3,order=" + order), e).values;
  };
  const auto both = area("symmetric");
  const auto morf = area("morf");
  const auto lerf = area("lerf");
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(both[i], lerf[i] - morf[i], 1e-9);
    EXPECT_GT(both[i], 0);  // gradient times input is a fair explanation of so shallow a network
  }
}

TEST_F(Metrics, DoNotDependOnTheBatchSize) {
  const Evaluation together = evaluation(arrays.at("attributions"));
  const MetricSpec metric = parse_metric("pixel_flipping:patch=2,steps=6");
  const auto all = evaluate(metric, together).values;
  for (std::int64_t i = 0; i < 5; ++i) {
    Evaluation one = together;
    for (Tensor* t : {&one.inputs, &one.relevance, &one.heatmap, &one.logits, &one.masks})
      *t = t->rows(i, i + 1);
    one.targets = {together.targets[static_cast<std::size_t>(i)]};
    one.ids = {static_cast<std::uint64_t>(i)};
    EXPECT_NEAR(evaluate(metric, one).values[0], all[static_cast<std::size_t>(i)], 1e-5);
  }
}

TEST_F(Metrics, AFlatHeatmapIsOrderedAtRandom) {
  Evaluation e = evaluation(Tensor::filled(arrays.at("input").shape(), 1));
  const auto first = evaluate(parse_metric("pixel_flipping:patch=2,steps=6"), e);
  e.seed = 1;
  const auto second = evaluate(parse_metric("pixel_flipping:patch=2,steps=6"), e);
  EXPECT_NE(first.values, second.values);
  EXPECT_EQ(first.curves.size(), 2U);
}

TEST_F(Metrics, ContinuityOfAConstantExplanationIsZero) {
  Evaluation e = evaluation(own());
  e.explain = [&](const Tensor& x, auto, auto) { return Tensor::filled(x.shape(), 1); };
  e.relevance = Tensor::filled(e.inputs.shape(), 1);
  for (double v : evaluate(parse_metric("continuity"), e).values) EXPECT_EQ(v, 0);
}

TEST_F(Metrics, SayWhatTheyLack) {
  Evaluation e = evaluation(own());
  e.masks = {};
  EXPECT_THROW(evaluate(parse_metric("pointing_game"), e), UsageError);
  e.explain = nullptr;
  EXPECT_THROW(evaluate(parse_metric("continuity"), e), UsageError);
}

TEST(Conservation, ByHand) {
  EXPECT_DOUBLE_EQ(score(kConservation, sample({1, 2, -1}, {}, 4)), 0.5);
  EXPECT_DOUBLE_EQ(score(kPositivity, sample({1, 2, -1})), 0.25);
  EXPECT_DOUBLE_EQ(score(kPositivity, sample({0, 0})), 0);
}

TEST(Sparseness, ByHand) {
  EXPECT_NEAR(score(kSparseness, sample({1, 1, 1, 1})), 0, 1e-12);
  EXPECT_NEAR(score(kSparseness, sample({0, 0, 0, -5})), 0.75, 1e-12);  // 1 − 1/n
  EXPECT_NEAR(score(kComplexity, sample({1, -1, 1, 1})), std::log(4), 1e-12);
  EXPECT_NEAR(score(kComplexity, sample({0, 3})), 0, 1e-12);
}

TEST(Localisation, ByHand) {
  const std::vector<float> mask{0, 1, 1, 0};
  EXPECT_EQ(score(kPointingGame, sample({0, 5, 1, 2}, mask)), 1);
  EXPECT_EQ(score(kPointingGame, sample({0, 1, 1, 2}, mask)), 0);
  EXPECT_DOUBLE_EQ(score(kRelevanceMassAccuracy, sample({1, 3, -7, 0}, mask)), 0.75);
  EXPECT_DOUBLE_EQ(score(kRelevanceRankAccuracy, sample({4, 3, 1, 0}, mask)), 0.5);
  EXPECT_TRUE(std::isnan(score(kRelevanceRankAccuracy, sample({4, 3}, std::vector<float>{0, 0}))));
}

TEST(Imputer, ByHand) {
  const Tensor x = floats({1, 2, 1, 2}, {1, 3, 10, 20});
  expect_close(impute("mean", x, {}, 1), floats({1, 2, 1, 2}, {2, 2, 15, 15}));
  expect_close(impute("black", x, {-1, -2}, 1), floats({1, 2, 1, 2}, {-1, -1, -2, -2}));
  expect_close(impute("black", x, {}, 1), floats({1, 2, 1, 2}, {0, 0, 0, 0}));
  // A constant image stays what it is.
  const Tensor flat = Tensor::filled({1, 1, 9, 9}, 4);
  expect_close(impute("blur", flat, {}, 1), flat);
  expect_close(impute("local_mean", flat, {}, 2), flat);
}

TEST(MetricRegistry, NamesTheNearest) {
  try {
    parse_metric("pixel_fliping");
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("pixel_flipping"), std::string::npos) << e.what();
  }
  EXPECT_THROW(parse_metric("pixel_flipping:patch=-1"), UsageError);
  EXPECT_THROW(parse_metric("pixel_flipping:imputer=purple"), UsageError);
  EXPECT_EQ(parse_metric("pixel_flipping:steps=14,patch=3").text, "pixel_flipping:patch=3");
}

}  // namespace heatproof
