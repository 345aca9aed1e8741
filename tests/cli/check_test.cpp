// heatproof check: what it measures, of how many images, and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

const std::string kCheck = "check " + shapes("shapes.onnx").string() + " " + shapes("images").string() +
                           " --recipe lrp_epsilon_plus ";

json json_of(const Outcome& o) {
  EXPECT_EQ(o.code, 0) << o.err;
  return json::parse(o.out);
}

void expect_refused(const std::string& arguments, const std::string& part) {
  const Outcome o = heatproof(arguments);
  EXPECT_EQ(o.code, 2) << arguments;
  EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  EXPECT_NE(o.err.find(part), std::string::npos) << o.err;
}

}  // namespace

TEST(Check, MeasuresSelectivityAndGivesIntervals) {
  const TemporaryFolder folder;
  const json j = json_of(heatproof(kCheck + "--limit 3 --json --out " + folder.path().string()));
  EXPECT_EQ(j["targets"].size(), 3U);
  const auto named = [&](const std::string& start) {
    return std::ranges::find_if(
        j["axioms"], [&](const json& a) { return a["metric"].get<std::string>().starts_with(start); });
  };
  for (const char* axiom : {"conservation", "positivity", "continuity", "sensitivity_a", "selectivity",
                            "implementation_invariance"})
    EXPECT_NE(named(axiom), j["axioms"].end()) << axiom;
  const json a = *named("selectivity");
  EXPECT_LT(a["low"].get<double>(), a["mean"].get<double>());
  EXPECT_GT(a["high"].get<double>(), a["mean"].get<double>());
  const json gain = *named("pixel_flipping");
  EXPECT_GT(gain["mean"].get<double>(), gain["uniform"].get<double>());
  const std::string html = read_file(folder / "check.html");
  EXPECT_NE(html.find("95 % intervals over 3 images"), std::string::npos);
  EXPECT_NE(html.find("rough"), std::string::npos);
  EXPECT_NE(html.find("Image by image, each row by itself"), std::string::npos);
  EXPECT_EQ(html.find("certainty"), std::string::npos);
  EXPECT_NE(html.find("00_circle.png: "), std::string::npos);  // the explained class
  // Every row is compared, and masks beside the images are looked at.
  for (const json& row : j["axioms"])
    EXPECT_EQ(row["uniform"].is_null(), row["mean"].is_null()) << row["metric"];
  EXPECT_NE(named("pointing_game"), j["axioms"].end());
}

TEST(Check, DoesNotCompareTheControlWithItself) {
  const json j =
      json_of(heatproof("check " + shapes("shapes.onnx").string() + " " + shapes("images").string() +
                        " --recipe uniform --limit 1 --json --metric pixel_flipping"));
  EXPECT_TRUE(j["axioms"][0]["uniform"].is_null());
  EXPECT_EQ(j["axioms"][0]["mean"].get<double>(), 0);  // an order is as likely as its reverse
}

TEST(Evaluate, GivesIntervalsReasonsAndAQuietMean) {
  const std::string start =
      "evaluate " + shapes("shapes.onnx").string() + " " + shapes("images").string() + " ";
  const std::string text = heatproof(start + "--recipe lrp_epsilon_plus --metric positivity").out;
  EXPECT_NE(text.find(" ["), std::string::npos);
  const Outcome quiet = heatproof(start + "--recipe lrp_epsilon_plus --metric positivity --quiet");
  EXPECT_EQ(std::ranges::count(quiet.out, '\n'), 1);
  EXPECT_GT(std::stod(quiet.out), 0);
}

TEST(Check, SaysThatSumsOfADerivativeAreNoRelevance) {
  const std::string text =
      heatproof("check " + shapes("shapes.onnx").string() + " " + shapes("images").string() +
                " --recipe gradient_x_input --limit 2 --metric positivity")
          .out;
  EXPECT_NE(text.find("sums of the derivative"), std::string::npos);
  EXPECT_NE(text.find("rough"), std::string::npos);
}

TEST(Check, TextSaysWhatEachVariantMeasures) {
  const json j =
      json_of(heatproof(kCheck + "--limit 1 --json --metric completeness:to=score --metric completeness"));
  EXPECT_EQ(j["axioms"][0]["about"].get<std::string>().find("baseline"), std::string::npos);
  EXPECT_NE(j["axioms"][1]["about"].get<std::string>().find("baseline"), std::string::npos);
}

TEST(Check, PrintsIntervalsOfSeveralImagesOnly) {
  EXPECT_NE(heatproof(kCheck + "--limit 2 --metric positivity").out.find("[95 % interval]"),
            std::string::npos);
  EXPECT_EQ(heatproof(kCheck + "--limit 1 --metric positivity").out.find("[95 % interval]"),
            std::string::npos);
}

TEST(Check, TakesMasks) {
  const json j = json_of(heatproof(kCheck + "--limit 2 --json --metric relevance_rank_accuracy --masks " +
                                   shapes("masks").string()));
  EXPECT_GT(j["axioms"][0]["mean"].get<double>(), 0.3);
  // The same lie beside the images.
  const json found = json_of(heatproof(kCheck + "--limit 2 --json --metric relevance_rank_accuracy"));
  EXPECT_EQ(found["axioms"][0]["mean"], j["axioms"][0]["mean"]);
}

TEST(Check, RefusesWhatItCannotMeasure) {
  expect_refused(kCheck + "--frames --limit 1", "at least two");
  expect_refused(kCheck + "--limit -1", "--limit");
  expect_refused(kCheck + "--seed -4", "seed");
  for (const char* metric : {"pixel_flipping:patch=1000", "infidelity:patch_size=65",
                             "selectivity:patch_size=65", "region_perturbation:patch_size=100"})
    expect_refused(kCheck + "--limit 1 --metric " + metric, "is larger than the input of 64x64 pixels");
}

}  // namespace heatproof
