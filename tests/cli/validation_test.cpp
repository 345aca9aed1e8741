// The command line of validation: check, synth, demo, and what select says of its measures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

const std::string kModel = shapes("shapes.onnx").string();
const std::string kImages = shapes("images").string();
const std::string kImage = shapes("images/00_circle.png").string();
const std::string kMetric = " --metric pixel_flipping:patch=16,steps=4 ";

json json_of(const Outcome& o) {
  EXPECT_EQ(o.code, 0) << o.err;
  return json::parse(o.out);
}

/// Rewrites of `check` by name: mean dissimilarity; NaN where there was nothing to rewrite.
std::map<std::string, double> rewrites_of(const json& check) {
  std::map<std::string, double> rewrites;
  for (const json& axiom : check["axioms"]) {
    const std::string metric = axiom["metric"];
    if (!metric.starts_with("implementation_invariance")) continue;
    const std::size_t at = metric.find("rewrite=");
    rewrites[at == metric.npos ? "split" : metric.substr(at + 8)] =
        axiom["mean"].is_null() ? NAN : axiom["mean"].get<double>();
  }
  return rewrites;
}

}  // namespace

TEST(Check, WritesAPageWithEverything) {
  const TemporaryFolder folder;
  const json j = json_of(heatproof("check " + kModel + " " + kImage +
                                   " --recipe lrp_epsilon_plus --json --out " + folder.path().string()));
  EXPECT_TRUE(j["ledger"][0].contains("created_by_stabilizers"));
  const std::string html = read_file(folder / "check.html");
  for (const char* part : {"The axioms", "Along a path: translation", "Relevance, layer by layer",
                           "Implementation invariance", "uniform", "created by stabilizers"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
}

TEST(Check, GradientsAreInvariantLrpIsNot) {
  const auto gradient =
      rewrites_of(json_of(heatproof("check " + kModel + " " + kImage + " --recipe gradient_x_input --json")));
  const auto lrp =
      rewrites_of(json_of(heatproof("check " + kModel + " " + kImage + " --recipe lrp_epsilon_plus --json")));
  EXPECT_EQ(gradient.size(), 9U);
  for (const auto& [name, change] : gradient) EXPECT_LT(change, 1e-3) << name;
  EXPECT_GT(lrp.at("matrix_product"), 1e-3);
  for (const char* name : {"permute", "zero_taps", "max_difference", "max_halves"})
    EXPECT_LT(lrp.at(name), 1e-3) << name;
}

TEST(Check, SaysHowMuchOfTheNetworkWasRewritten) {
  const TemporaryFolder folder;
  const std::string command =
      "check " + kModel + " " + kImage + " --recipe gradient --metric implementation_invariance" +
      " --metric implementation_invariance:rewrite=matrix_product --out " + folder.path().string();
  const json j = json_of(heatproof(command + " --json"));
  const json& split = j["axioms"][0];
  EXPECT_EQ(split["metric"], "implementation_invariance:rewrite=split");
  EXPECT_EQ(split["rewritten"]["of"], "hidden layers");
  EXPECT_GT(split["rewritten"]["places"], 0);
  EXPECT_EQ(split["rewritten"]["places"], split["rewritten"]["candidates"]);
  const json& product = j["axioms"][1]["rewritten"];
  EXPECT_EQ(product["places"].get<int>() + 1, product["candidates"].get<int>());  // not what sees the input
  const std::string text = "hidden layers";
  EXPECT_NE(heatproof(command).out.find(text), std::string::npos);
  EXPECT_NE(read_file(folder / "check.html").find(text), std::string::npos);
}

TEST(Check, TakesTheFramesOfAVideo) {
  const TemporaryFolder folder;
  const json j = json_of(heatproof("check " + kModel + " " + kImages +
                                   " --frames --recipe gradient --metric positivity " + "--json --out " +
                                   folder.path().string()));
  EXPECT_EQ(j["frame_changes"].size(), 31U);
  EXPECT_NE(read_file(folder / "check.html").find("frame 32"), std::string::npos);
}

TEST(Check, OfTheRealSqueezeNet) {
  const auto data = shared_data("models");
  if (data.empty()) GTEST_SKIP() << "the real networks are not here";
  const std::string base = shared_data("").string();
  const std::string photo =
      " --resize 256 --size 224 --channels bgr --range 255 --mean 103.94,116.78,123.68 ";
  const auto measure = [&](const std::string& recipe) {
    std::map<std::string, std::pair<double, json>> axioms;
    const json check = json_of(heatproof("check " + (data / "squeezenet_fp16.onnx").string() + " " + base +
                                         "/images/ladybug1.jpg --json --recipe " + recipe + photo));
    for (const json& a : check["axioms"])
      axioms[a["metric"]] = {a["mean"].is_null() ? NAN : a["mean"].get<double>(), a["uniform"]};
    return axioms;
  };
  const auto lrp = measure("lrp_zplus:bias=ignore");
  EXPECT_NEAR(lrp.at("conservation").first, 1, 1e-3);
  EXPECT_EQ(lrp.at("sensitivity_b:features=64").first, 0);
  // The blind spot: `uniform` conserves, and only removing pixels exposes it.
  EXPECT_NEAR(lrp.at("conservation").second.get<double>(), 1, 1e-3);
  EXPECT_GT(lrp.at("pixel_flipping").first, 3 * lrp.at("pixel_flipping").second.get<double>());
  EXPECT_LT(lrp.at("implementation_invariance:rewrite=max_halves").first, 1e-3);
  const auto gradient = measure("gradient_x_input");
  for (const auto& [name, value] : gradient) {
    if (!name.starts_with("implementation_invariance")) continue;
    EXPECT_LT(value.first, 1e-3) << name;
  }
}

TEST(Synth, IsTheSameForASeed) {
  const TemporaryFolder folder;
  const auto draw = [&](const std::string& name, int seed, const std::string& to) {
    const Outcome o = heatproof("synth " + name + " --count 6 --size 32 --seed " + std::to_string(seed) +
                                " --out " + (folder / to).string() + " --quiet");
    ASSERT_EQ(o.code, 0) << o.err;
  };
  for (const std::string name : {"shapes", "watermark", "patches"}) {
    draw(name, 1, name + "a");
    draw(name, 1, name + "b");
    draw(name, 2, name + "c");
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / (name + "a"))) {
      if (!entry.is_regular_file()) continue;
      const auto relative = std::filesystem::relative(entry.path(), folder / (name + "a"));
      EXPECT_EQ(read_file(entry.path()), read_file(folder / (name + "b") / relative)) << relative;
      ++files;
    }
    EXPECT_GE(files, 13U);
    const auto first = *std::filesystem::directory_iterator(folder / (name + "a") / "images");
    EXPECT_NE(read_file(first.path()), read_file(folder / (name + "c") / "images" / first.path().filename()));
  }
}

TEST(Synth, ImagesDoNotHangOnHowManyAreDrawn) {
  const TemporaryFolder folder;
  for (const char* count : {"3", "5"})
    ASSERT_EQ(heatproof(std::string("synth shapes --quiet --count ") + count + " --out " +
                        (folder / count).string())
                  .code,
              0);
  EXPECT_EQ(read_file(folder / "3/images/02_triangle.png"), read_file(folder / "5/images/02_triangle.png"));
}

TEST(Synth, MasksAreMeasuredWith) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof("synth shapes --quiet --count 8 --seed 3 --out " + folder.path().string()).code, 0);
  const json j = json_of(heatproof("evaluate " + kModel + " " + (folder / "images").string() + " --masks " +
                                   (folder / "masks").string() +
                                   " --recipe lrp_epsilon_plus --metric relevance_rank_accuracy --json"));
  EXPECT_GT(j["mean"].get<double>(), 0.4);
}

TEST(Evaluate, TakesMasksWithAChannelAndHeatmaps) {
  const TemporaryFolder folder;
  write_file(folder / "m.npy", format_npy(Tensor::filled({1, 1, 64, 64}, 1)));
  write_file(folder / "a.npy", format_npy(random_tensor({1, 64, 64}, 1, 0, 1)));
  const std::string start =
      "evaluate " + kModel + " " + kImage + " --attributions " + (folder / "a.npy").string();
  EXPECT_NEAR(json_of(heatproof(start + " --masks " + (folder / "m.npy").string() +
                                " --metric relevance_mass_accuracy --json"))["mean"]
                  .get<double>(),
              1, 1e-6);
  write_file(folder / "m.npy", format_npy(Tensor::filled({1, 32, 32}, 1)));
  EXPECT_EQ(heatproof(start + " --masks " + (folder / "m.npy").string() + " --metric auc").code, 3);
}

TEST(Select, SaysHowReliableItsMeasuresAre) {
  const TemporaryFolder folder;
  const json j = json_of(heatproof("select " + kModel + " " + kImages +
                                   " --recipe lrp_epsilon_plus --recipe gradient --recipe random" + kMetric +
                                   "--reliability --json --out " + folder.path().string()))["reliability"];
  EXPECT_GT(j["metrics"][0]["krippendorff_alpha"].get<double>(), 0.5);
  EXPECT_GT(j["metrics"][0]["above_random"].get<double>(), 0.5);
  EXPECT_GE(j["variants"].size(), 5U);
  EXPECT_EQ(j["kendall_tau"].size(), j["metrics"].size());
  const std::string html = read_file(folder / "report.html");
  EXPECT_NE(html.find("Can the measures be trusted?"), std::string::npos);
  EXPECT_NE(html.find("imputer=mean"), std::string::npos);
}

TEST(Demo, WritesItsPage) {
  const TemporaryFolder folder;
  const json j = json_of(heatproof("demo invariance --json --out " + folder.path().string()));
  EXPECT_TRUE(j["holds"]);
  EXPECT_NE(read_file(folder / "demo-invariance.html").find("closed form"), std::string::npos);
}

TEST(Validation, MistakesEndWithOneLineAndTheirCode) {
  const TemporaryFolder folder;
  const std::string check = "check " + kModel + " " + kImage + " ";
  write_file(folder / "space.toml", "reliability = 3\n");
  const std::vector<std::pair<std::string, int>> cases = {
      {check, 2},
      {check + "--recipe gradeint", 2},
      {check + "--recipe gradient --motion sideways", 2},
      {check + "--recipe gradient --metric nonsense", 2},
      {"check " + kModel + " missing.png --recipe gradient", 3},
      {"synth nonsense", 2},
      {"synth shapes --count 0", 2},
      {"synth shapes --quiet --count 2 --out /proc/nowhere", 1},
      {"demo depht", 2},
      {"select " + kModel + " " + kImages + " --space " + (folder / "space.toml").string(), 3},
      {"evaluate " + kModel + " " + kImage + " --recipe gradient --metric focus", 2},
      {"evaluate " + kModel + " " + kImage + " --recipe gradient --metric road:every=0", 2},
      {"evaluate " + kModel + " " + kImage + " --recipe gradient --metric infidelity:perturb_baseline=purple",
       2},
  };
  for (const auto& [arguments, code] : cases) {
    SCOPED_TRACE(arguments);
    const Outcome o = heatproof(arguments);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
    EXPECT_EQ(o.out, "");
  }
}

TEST(Evaluate, RefusesEmptyMasks) {
  const TemporaryFolder folder;
  const Tensor heatmap = Tensor::filled({1, 64, 64}, 1);
  const std::string command = "evaluate " + kModel + " " + kImage + " --metric pointing_game --attributions ";
  const std::string maps = (folder / "maps.npy").string();
  const std::string masks = (folder / "masks.npy").string();
  write_file(masks, format_npy(Tensor::zeros(DType::f32, {1, 64, 64})));
  write_file(maps, format_npy(heatmap));
  const Outcome empty = heatproof(command + maps + " --masks " + masks);
  EXPECT_EQ(empty.code, 3);
  EXPECT_NE(empty.err.find("empty"), std::string::npos) << empty.err;
}

TEST(Masks, AreAskedForWhereNoneLieBesideTheImages) {
  const TemporaryFolder folder;
  const std::string image = (folder / "a.png").string();
  std::filesystem::copy_file(kImage, image);
  const std::string metric = " --metric pointing_game --recipe gradient";
  for (const std::string& command :
       {"evaluate " + kModel + " " + image + metric, "check " + kModel + " " + image + metric,
        "select " + kModel + " " + image + metric + " --out " + (folder / "out").string()}) {
    const Outcome o = heatproof(command);
    EXPECT_EQ(o.code, 2) << command;
    EXPECT_NE(o.err.find("--masks"), std::string::npos) << o.err;
  }
}

}  // namespace heatproof
