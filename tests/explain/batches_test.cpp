// Whatever batch size a network was written for, and however rows are grouped: every row is explained as it
// is alone (tests/goldens/make_batch_goldens.py).
#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "data/npy.h"
#include "explain/explainer.h"
#include "explain/rows.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network written(const std::string& name, NetworkOptions options = {}) {
  const Model model = Model::load(golden("batch_" + name + ".onnx"));
  options.declared_batch = model.declared_batch().value_or(0);
  return Network(
      [model](std::int64_t batch) {
        Specialization s;
        s.batch = batch;
        return model.specialize(s);
      },
      std::move(options));
}

Tensor gradients(const Network& network, const std::string& recipe, const Tensor& x, std::int64_t batch = 0) {
  const std::vector<std::int64_t> targets(static_cast<std::size_t>(x.shape()[0]), 1);
  ExplainOptions options;
  options.batch = batch;
  return Explainer(network, {parse_recipe(recipe)}, options).explain(x, targets).relevance[0];
}

struct Rows {
  Tensor x, logits, gradient;
};

Rows rows_of(const std::string& name) {
  const auto arrays = read_npz(golden("batch.npz"));
  return {arrays.at(name + ".x"), arrays.at(name + ".logits"), arrays.at(name + ".gradient")};
}

class Batches : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(Batches, RowsAreWhatTheyAreAlone) {
  const Rows rows = rows_of(GetParam());
  for (const std::int64_t batch : {0, 1, 3, 4, 16}) {
    SCOPED_TRACE(batch);
    const Network network = written(GetParam(), {.batch = batch});
    for (const std::int64_t n : {1, 2, 4, 11}) {
      SCOPED_TRACE(n);
      const Tensor x = rows.x.rows(0, n);
      EXPECT_LT(deviation(network.predict(x), rows.logits.rows(0, n)), 1e-5);
      EXPECT_LT(deviation(gradients(network, "gradient", x, batch), rows.gradient.rows(0, n)), 1e-5);
    }
  }
}

TEST_P(Batches, EstimatorsAndRulesDoNotDependOnTheGroups) {
  const Rows rows = rows_of(GetParam());
  const std::string patch = rows.x.shape().rank() == 4 ? "patch=2,stride=2" : "patch=1,stride=1";
  for (const std::string& recipe : {std::string("lrp_epsilon"), std::string("integrated_gradients:steps=6"),
                                    std::string("smoothgrad:samples=5"), "occlusion:" + patch}) {
    if (rows.x.shape().rank() < 3 && recipe.starts_with("occlusion")) continue;
    SCOPED_TRACE(recipe);
    const Network network = written(GetParam());
    const Tensor together = gradients(network, recipe, rows.x);
    for (const std::int64_t r : {0, 5, 10}) {
      const Network fresh = written(GetParam(), {.batch = 1});
      const std::vector<std::int64_t> target{1};
      const std::vector<std::uint64_t> id{static_cast<std::uint64_t>(r)};
      const Tensor alone = Explainer(fresh, {parse_recipe(recipe)}, {})
                               .explain(rows.x.rows(r, r + 1).clone(), target, id)
                               .relevance[0];
      EXPECT_LT(deviation(together.rows(r, r + 1), alone), 2e-5) << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Batches,
                         ::testing::Values("sequence_first", "sequence_first_4", "folded_heads",
                                           "folded_heads_4", "vit", "vit_3", "cnn_4", "centred",
                                           "time_outside"),
                         [](const auto& network) { return std::string(network.param); });

TEST(BatchesOf, NetworksThatWereWrittenForOneRowTakeMany) {
  for (const char* name : {"sequence_first", "folded_heads", "vit", "centred", "time_outside"}) {
    std::string said;
    const Network network = written(name, {.batch = 16, .notice = [&](const std::string& s) { said += s; }});
    EXPECT_EQ(network.unit(), 1) << name;
    EXPECT_EQ(network.fit(16), 16) << name;
    // Which subtracts a mean over the batch.
    EXPECT_EQ(said.find("rows beside it") != std::string::npos, name == std::string("centred"))
        << name << said;
  }
}

TEST(BatchesOf, NetworksThatWereWrittenForMoreAreTakenApartWhereThatIsProven) {
  for (const char* name : {"cnn_4", "folded_heads_4"}) {
    const Network network = written(name);
    EXPECT_EQ(network.unit(), 1) << name;
    EXPECT_EQ(network.fit(16), 16) << name;
  }
  int said = 0;
  const Network network = written("sequence_first_4", {.notice = [&](const std::string& s) {
                                    ++said;
                                    EXPECT_NE(s.find("batches of 4"), std::string::npos) << s;
                                  }});
  EXPECT_EQ(network.unit(), 4);
  EXPECT_EQ(network.fit(4), 4);
  EXPECT_EQ(said, 0);
  EXPECT_EQ(network.fit(16), 4);
  EXPECT_EQ(network.fit(3), 4);
  EXPECT_EQ(network.batch(), 4);
  EXPECT_EQ(said, 1);
  EXPECT_THROW(network.graph(1), UnsupportedError);
}

TEST(BatchesOf, RowsThatHangOnOneAnotherAreRefused) {
  EXPECT_THROW(written("centred_4"), UnsupportedError);
  EXPECT_THROW(network_of(golden("batch_centred_4.onnx")), UnsupportedError);
  const auto graph = [](bool mixes, double scale) {
    Builder g;
    const Value x = g.input("x", {DType::f32, {4, 3}});
    const Value others = reduce_sum(x, {0}, true);
    g.output("y", mixes ? x + scale * others : x / (x * scale));
    return g.build();
  };
  EXPECT_THROW(check_rows(graph(true, 1e-2), "", 4), UnsupportedError);
  EXPECT_THROW(check_rows(graph(false, 0), "", 4), UnsupportedError);  // not finite
  EXPECT_NO_THROW(check_rows(graph(true, 0), "", 4));
}

TEST(BatchesOf, NumbersThatAreNotFiniteAreNoSameRow) {
  const Tensor a = floats({2, 2}, {1, NAN, 1, 2});
  EXPECT_FALSE(same_row(a, 0, a, 0));
  EXPECT_TRUE(same_row(a, 1, a, 1));
  EXPECT_FALSE(same_row(a, 1, a, 0));
  EXPECT_FALSE(same_row(a, 1, floats({1, 2}, {1, 2.01F}), 0));
}

TEST(BatchesOf, OperatorsThatDoNotSayHowRowsPassRunOneByOne) {
  std::vector<std::string> said;
  const auto specialize = [](std::int64_t batch) {
    EXPECT_EQ(batch, 1);
    Builder g;
    const Value x = g.input("x", {DType::f32, {batch, 3}});
    const std::vector<std::int64_t> shape{batch, 5}, starts{0, 1}, steps{1, 1};
    g.output("y", g.add(kUnslice, {x}, {{"shape", shape}, {"starts", starts}, {"steps", steps}}, "spread"));
    return g.build();
  };
  const Network network(specialize, {.batch = 8, .notice = [&](const std::string& s) { said.push_back(s); }});
  EXPECT_EQ(network.batch(), 1);
  const Tensor x = random_tensor({11, 3}, 5);
  const Tensor y = network.predict(x);
  for (std::int64_t r = 0; r < 11; ++r) {
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_EQ(y.rows(r, r + 1).data<float>()[k + 1], x.rows(r, r + 1).data<float>()[k]);
  }
  EXPECT_EQ(gradients(network, "gradient", x, 8).shape(), x.shape());
  EXPECT_EQ(gradients(network, "integrated_gradients:steps=4", x).shape(), x.shape());
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("'spread' (Unslice)"), std::string::npos) << said[0];
  EXPECT_NE(said[0].find("one by one"), std::string::npos) << said[0];
}

TEST(BatchesOf, TheProgramSaysOnceThatRowsRunInBatchesOfTheirOwn) {
  const TemporaryFolder folder;
  const Rows rows = rows_of("sequence_first_4");
  write_file(folder / "x.npy", format_npy(rows.x));
  const std::string model = golden("batch_sequence_first_4.onnx").string();
  const std::string x = (folder / "x.npy").string();
  const std::string raw = (folder / "r.npy").string();
  for (const char* batch : {"1", "3", "4", "16"}) {
    const Outcome outcome = heatproof("explain " + model + " " + x + " --recipe gradient --target 1 --raw " +
                                      raw + " --batch " + batch + " --threads 1");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_LT(deviation(read_npy(raw), rows.gradient), 1e-5) << batch;
    const auto first = outcome.err.find("batches of 4");
    EXPECT_EQ(first == std::string::npos, std::string(batch) == "4" || std::string(batch) == "1")
        << outcome.err;
    EXPECT_EQ(outcome.err.find("batches of 4", first == std::string::npos ? first : first + 1),
              std::string::npos);
  }
  const std::string output = (folder / "y.npy").string();
  EXPECT_EQ(heatproof("run " + model + " " + x + " --output " + output + " --threads 1").code, 0);
  EXPECT_LT(deviation(read_npy(output), rows.logits), 1e-5);
  const Outcome refused = heatproof("run " + golden("batch_centred_4.onnx").string() + " " + x);
  EXPECT_EQ(refused.code, 4) << refused.err;
}

TEST(BatchesOf, WhatAFileSaysOfSeveralRowsIsNotDroppedInSilence) {
  const auto said_by = [](Value (*make)(Builder&, Value)) {
    std::string said;
    const auto specialize = [make](std::int64_t batch) {
      Builder g;
      g.output("y", make(g, g.input("x", {DType::f32, {batch, 4}})));
      return g.build();
    };
    const Network network(specialize, {.batch = 8, .notice = [&](const std::string& s) { said += s; }});
    network.predict(random_tensor({5, 4}, 1));
    return said;
  };
  const auto mean = [](Builder&, Value x) {
    return x - reduce_sum(x, {0}, true) / static_cast<double>(x.shape()[0]);
  };
  EXPECT_NE(said_by(mean).find("rows beside it"), std::string::npos);
  const auto attention = [](Builder& g, Value x) {
    const Value scores = g.add(kMatMul, {x, transpose(x, {1, 0})});
    return g.add(kMatMul, {g.add(kSoftmax, {scores}, {{"axis", std::int64_t{1}}}), x});
  };
  EXPECT_NE(said_by(attention).find("rows beside it"), std::string::npos);
  EXPECT_EQ(said_by([](Builder& g, Value x) { return g.add(kRelu, {x * 2.0}); }), "");
  // Constants of four rows: there is no one row to begin with.
  const auto constants = [](Builder& g, Value x) { return x + g.constant(random_tensor({4, 4}, 2)); };
  EXPECT_THROW(said_by(constants), Error);
}

}  // namespace heatproof
