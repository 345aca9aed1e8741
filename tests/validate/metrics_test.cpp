#include "validate/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/npy.h"
#include "explain/explainer.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/operators.h"
#include "validate/features.h"
#include "validate/superpixels.h"

namespace heatproof {

using namespace testing;

namespace {

/// A network and data of make_metric_goldens.py.
struct GoldenMetrics {
  explicit GoldenMetrics(const std::string& stem)
      : network(network_of(golden(stem + ".onnx"))), arrays(read_npz(golden(stem + ".npz"))) {}

  Network network;
  std::map<std::string, Tensor> arrays;
  Explainer explainer{network, {parse_recipe("gradient_x_input")}, {}};

  Evaluation evaluation(const Tensor& attributions) {
    Evaluation e{
        .network = network,
        .inputs = arrays.at("input"),
        .relevance = attributions,
        .heatmap = pool_channels(attributions, Pool::sum),
        .logits = network.predict(arrays.at("input")),
        .masks = arrays.at("masks"),
        .explain = [this](const Tensor& x, auto t,
                          auto ids) { return explainer.explain(x, t, ids).relevance[0]; },
        .explain_on =
            [](const Network& other, const Tensor& x, auto t, auto ids) {
              return Explainer(other, {parse_recipe("gradient_x_input")}, {}).explain(x, t, ids).relevance[0];
            },
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

class Metrics : public ::testing::Test, protected GoldenMetrics {
 protected:
  Metrics() : GoldenMetrics("metrics") {}
};

class QuantusGoldens : public ::testing::TestWithParam<std::string> {};

Sample sample(const std::vector<float>& heatmap, const std::vector<float>& mask = {}, double logit = 1) {
  return {heatmap, heatmap, mask, 1, static_cast<std::int64_t>(heatmap.size()), logit};
}

double score(const char* metric, const Sample& s) {
  const MetricSpec m = parse_metric(metric);
  return m.metric->score(s, m.parameters);
}

}  // namespace

TEST_P(QuantusGoldens, AreReproduced) {
  GoldenMetrics golden(GetParam());
  int compared = 0;
  for (const auto& [key, expected] : golden.arrays) {
    const std::string kind = key.substr(0, key.find(' '));
    if (kind != "score" && kind != "curve" && kind != "mean" && kind != "fixed" && kind != "signed") continue;
    SCOPED_TRACE(key);
    const MetricSpec metric = parse_metric(key.substr(kind.size() + 1));
    const bool whole = key.find("signed=true") != key.npos || key.find("over=elements") != key.npos;
    const bool positive = (metric.metric->needs_masks || metric.metric->group == Group::complexity) &&
                          !whole && kind != "signed";
    Evaluation e = golden.evaluation(metric.metric->needs_explainer && kind != "fixed" ? golden.own()
                                     : positive ? golden.arrays.at("positive")
                                                : golden.arrays.at("attributions"));
    if (kind == "fixed") {  // every random network explains alike
      e.explain = [&](const Tensor&, auto, auto) { return golden.arrays.at("attributions"); };
      e.explain_on = [&](const Network&, const Tensor&, auto, auto) { return golden.arrays.at("other"); };
    }
    if (metric.metric->name == "focus") e.masks = golden.arrays.at("quadrants");
    // These divide by the relevance of each feature: where it is near zero, float32 has few digits left.
    const double digits = key.find("relative_") != key.npos ? 1e-3 : 1e-5;
    const Scores scores = evaluate(metric, e);
    ++compared;
    if (kind == "mean") {
      EXPECT_NEAR(std::accumulate(scores.values.begin(), scores.values.end(), 0.0) / 5,
                  expected.data<float>()[0], 1e-6);
      continue;
    }
    if (kind != "curve") {
      for (std::size_t i = 0; i < 5; ++i) {
        const double wanted = expected.data<float>()[i];
        if (std::isnan(wanted))
          EXPECT_TRUE(std::isnan(scores.values[i]));
        else
          EXPECT_NEAR(scores.values[i], wanted, digits * std::fabs(wanted) + 1e-6);
      }
      continue;
    }
    const auto& curves = scores.curves.begin()->second;
    const auto steps = static_cast<std::size_t>(expected.shape()[1]);
    // pixel_flipping starts with the untouched image, Quantus with the first removal.
    const std::size_t untouched = curves[0].size() - steps;
    EXPECT_LE(untouched, 1U);
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t k = 0; k < steps; ++k)
        ASSERT_NEAR(curves[i][k + untouched], expected.data<float>()[i * steps + k], 1e-5);
    }
  }
  EXPECT_EQ(compared, GetParam() == "metrics" ? 63 : 56);
}

INSTANTIATE_TEST_SUITE_P(Networks, QuantusGoldens, ::testing::Values("metrics", "metrics_rgb"),
                         [](const auto& instance) { return instance.param; });

TEST_P(QuantusGoldens, SuperpixelsAreThoseOfScikitImage) {
  const GoldenMetrics golden(GetParam());
  const Tensor& picture = golden.arrays.at("picture");
  const auto expected = golden.arrays.at("slic").data<std::int64_t>();
  const auto labels = slic(picture.data<float>(), picture.shape()[0], picture.shape()[1], picture.shape()[2]);
  ASSERT_EQ(labels.size(), expected.size());
  std::size_t different = 0;
  for (std::size_t k = 0; k < labels.size(); ++k) different += labels[k] != expected[k];
  EXPECT_EQ(different, 0U);
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
    EXPECT_NEAR(both[i], lerf[i] - morf[i], 1e-7);
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

TEST_F(Metrics, ScoresOfInputsAreThoseOfTheNetwork) {
  Evaluation e = evaluation(own());
  for (const char* kind : {"logit", "probability", "difference"}) {
    e.logits = network.predict(e.inputs);
    const auto known = scores_of_inputs(e, kind);
    e.logits = {};
    const auto computed = scores_of_inputs(e, kind);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(known[i], computed[i], 1e-6) << kind;
  }
}

TEST_F(Metrics, AFlatHeatmapIsTheMeanOfRandomOrders) {
  Evaluation e = evaluation(Tensor::filled(arrays.at("input").shape(), 1));
  // An order is as likely as its reverse.
  EXPECT_EQ(evaluate(parse_metric("pixel_flipping:patch=2,steps=6"), e).values, std::vector<double>(5, 0));
  for (const char* metric : {"pixel_flipping:patch=2,order=morf", "selectivity:patch_size=4",
                             "pixel_flipping:patch=2,order=random", "region_perturbation:patch_size=4"}) {
    const auto spread = [&](const std::string& orders) {
      double least = 1e9;
      double most = -1e9;
      for (e.seed = 0; e.seed < 6; ++e.seed) {
        const double v = evaluate(parse_metric(std::string(metric) + orders), e).values[0];
        EXPECT_TRUE(std::isfinite(v));  // minimum and maximum would not show it
        least = std::min(least, v), most = std::max(most, v);
      }
      return most - least;
    };
    const double one = spread(",orders=1");
    EXPECT_GT(one, 0) << metric;
    EXPECT_LT(spread(",orders=30"), one) << metric;
  }
}

TEST_F(Metrics, OrdersOnlyMatterWhereThereIsNone) {
  const Evaluation e = evaluation(own());
  for (const char* metric : {"pixel_flipping:patch=2", "selectivity:patch_size=4"})
    EXPECT_EQ(evaluate(parse_metric(metric), e).values,
              evaluate(parse_metric(std::string(metric) + ",orders=1"), e).values);
}

TEST_F(Metrics, PatchesLargerThanTheInputAreRefused) {
  const Evaluation e = evaluation(own());
  for (const char* metric :
       {"pixel_flipping:patch=1000", "insertion:patch=1000", "infidelity:patch_size=1000",
        "region_perturbation:patch_size=1000", "selectivity:patch_size=1000"})
    EXPECT_THROW(evaluate(parse_metric(metric), e), UsageError) << metric;
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
  EXPECT_DOUBLE_EQ(score("conservation", sample({1, 2, -1}, {}, 4)), 0.5);
  EXPECT_DOUBLE_EQ(score("positivity", sample({1, 2, -1})), 0.25);
  EXPECT_DOUBLE_EQ(score("positivity", sample({0, 0})), 0);
}

TEST_F(Metrics, AFlatHeatmapIsNoOrder) {
  Evaluation e = evaluation(Tensor::filled(arrays.at("input").shape(), 1));
  const auto pixels = static_cast<std::size_t>(e.heatmap.elements() / e.size());
  const std::vector<double> flat(3 * pixels, 1.0);
  const Parameters random = parse_metric("monotonicity").parameters;
  const auto order = most_relevant_first(e, 0, flat, random);
  auto sorted = order;
  std::ranges::sort(sorted);
  std::vector<std::size_t> by_index(flat.size());
  std::iota(by_index.begin(), by_index.end(), std::size_t{0});
  EXPECT_EQ(sorted, by_index);
  for (std::size_t k = 0; k < order.size(); k += 3) {
    EXPECT_EQ(order[k + 1], order[k] + pixels);  // the channels of a pixel stay together
    EXPECT_EQ(order[k + 2], order[k] + 2 * pixels);
  }
  EXPECT_LT(std::fabs(pearson(std::vector<double>(order.begin(), order.end()),
                              std::vector<double>(by_index.begin(), by_index.end()))),
            0.95);
  std::size_t in_place = 0;
  for (std::size_t k = 0; k < order.size(); k += 3) in_place += order[k] == k / 3;
  EXPECT_LT(in_place, pixels / 4);
  EXPECT_NE(order, most_relevant_first(e, 1, flat, random));
  EXPECT_EQ(order, most_relevant_first(e, 0, flat, random));
  for (const char* parity : {"monotonicity:ties=index", "monotonicity:as_quantus=true"})
    EXPECT_EQ(most_relevant_first(e, 0, flat, parse_metric(parity).parameters), by_index);
  // Without ties there is nothing to shuffle.
  const std::vector<double> rising{0.5, 1, 2, 3};
  EXPECT_EQ(most_relevant_first(e, 0, rising, random), (std::vector<std::size_t>{3, 2, 1, 0}));
}

TEST_F(Metrics, OrdersOfFlatHeatmapsHangOnTheSeed) {
  Evaluation e = evaluation(Tensor::filled(arrays.at("input").shape(), 1));
  for (const std::string name : {"region_perturbation:patch_size=3", "selectivity:patch_size=3",
                                 "monotonicity:features_in_step=7", "irof"}) {
    const MetricSpec metric = parse_metric(name);
    const MetricSpec by_index = parse_metric(name + (name == "irof" ? ":" : ",") + "ties=index");
    e.seed = 0;
    const Scores first = evaluate(metric, e);
    const Scores memory = evaluate(by_index, e);
    e.seed = 1;
    EXPECT_NE(first.curves, evaluate(metric, e).curves) << name;
    EXPECT_NE(first.curves, memory.curves) << name;
    EXPECT_EQ(memory.curves, evaluate(by_index, e).curves) << name;
  }
}

TEST_F(Metrics, MaximaMadeOfReLUsAreTheSameAwayFromTies) {
  const Network pooled(
      [](std::int64_t batch) {
        Builder g;
        const Value x = g.input("x", {DType::f32, {batch, 1, 4, 4}});
        const Value most = g.add(kMaxPool, {g.add(kRelu, {x})},
                                 {{"kernel_shape", std::vector<std::int64_t>{2, 2}},
                                  {"strides", std::vector<std::int64_t>{2, 2}}});
        g.output("y", reshape(most, {batch, 4}));
        return g.build();
      },
      {});
  Explainer gradient(pooled, {parse_recipe("gradient")}, {});
  Evaluation e{.network = pooled, .inputs = Tensor::filled({2, 1, 4, 4}, 1)};  // nothing but ties
  e.inputs.data<float>()[0] = 3;
  e.inputs.data<float>()[16] = 3;
  e.targets = {3, 3};
  e.ids = {0, 1};
  e.logits = pooled.predict(e.inputs);
  e.explain = [&](const Tensor& x, auto t, auto ids) { return gradient.explain(x, t, ids).relevance[0]; };
  e.explain_on = [](const Network& other, const Tensor& x, auto t, auto ids) {
    return Explainer(other, {parse_recipe("gradient")}, {}).explain(x, t, ids).relevance[0];
  };
  e.relevance = e.explain(e.inputs, e.targets, e.ids);
  e.heatmap = pool_channels(e.relevance, Pool::sum);
  const std::string rewrite = "implementation_invariance:rewrite=max_halves";
  for (double v : evaluate(parse_metric(rewrite + ",jitter=0"), e).values) EXPECT_GT(v, 0.1);
  for (double v : evaluate(parse_metric(rewrite), e).values) EXPECT_NEAR(v, 0, 1e-6);
}

TEST(Localisation, EqualPixelsAtTheEdgeCountByTheirShare) {
  const std::vector<float> mask{0, 1, 1, 0};
  // The two most relevant: pixel 3, and one of three that are equal, of which two lie in the mask.
  EXPECT_DOUBLE_EQ(score("relevance_rank_accuracy", sample({1, 1, 1, 2}, mask)), (0 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(score("relevance_rank_accuracy:ties=index", sample({1, 1, 1, 2}, mask)), 0);
  EXPECT_DOUBLE_EQ(score("top_k_intersection:k=3", sample({1, 1, 1, 2}, mask)), (0 + 2 * 2.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(score("top_k_intersection:k=1", sample({0, 0, 0, 0}, mask)), 0.5);
  EXPECT_THROW(score("top_k_intersection:k=5", sample({1, 1, 1, 2}, mask)), UsageError);
}

TEST(Localisation, ByHand) {
  const std::vector<float> mask{0, 1, 1, 0};
  EXPECT_EQ(score("pointing_game", sample({0, 5, 1, 2}, mask)), 1);
  EXPECT_EQ(score("pointing_game", sample({0, 1, 1, 2}, mask)), 0);
  EXPECT_DOUBLE_EQ(score("pointing_game", sample({2, 2, 1, 2}, mask)),
                   1.0 / 3);  // equal maxima share the hit
  EXPECT_EQ(score("pointing_game:as_quantus=true", sample({2, 2, 1, 2}, mask)), 1);
  EXPECT_DOUBLE_EQ(score("relevance_mass_accuracy", sample({1, 3, -7, 0}, mask)), 0.75);
  EXPECT_DOUBLE_EQ(score("relevance_rank_accuracy", sample({4, 3, 1, 0}, mask)), 0.5);
  EXPECT_TRUE(std::isnan(score("relevance_rank_accuracy", sample({4, 3}, std::vector<float>{0, 0}))));
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
