// What the program says of networks that end in sigmoids, in classes at many places, or in values.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

class Endings : public ::testing::Test {
 protected:
  Endings() : arrays_(read_npz(golden("probability/expected.npz"))) {
    write_file(folder_ / "x.npy", format_npy(arrays_.at("images")));
    write_file(folder_ / "tokens.npy", format_npy(arrays_.at("tokens")));
    write_file(folder_ / "r.npy", format_npy(arrays_.at("relevance")));
  }

  Outcome program(const std::string& command, const std::string& name, const std::string& rest = {}) const {
    const auto x = folder_ / (name == "tokens" ? "tokens.npy" : "x.npy");
    return heatproof(command + " " + golden("probability/" + name + ".onnx").string() + " " + x.string() +
                     " " + rest);
  }

  json run(const std::string& name, const std::string& rest = {}) const {
    const Outcome o = program("run", name, rest + " --json");
    EXPECT_EQ(o.code, 0) << o.err;
    return json::parse(o.out);
  }

  double expected(const std::string& name, std::size_t sample, std::int64_t output) const {
    const Tensor& p = arrays_.at(name + " probability");
    return p
        .data<float>()[sample * static_cast<std::size_t>(p.shape()[1]) + static_cast<std::size_t>(output)];
  }

  TemporaryFolder folder_;
  std::map<std::string, Tensor> arrays_;
};

}  // namespace

TEST_F(Endings, RunGivesTheNetworksOwnProbabilities) {
  for (const char* name :
       {"binary", "labels", "logarithms", "logits", "pixels", "tokens", "moved", "ensemble"}) {
    SCOPED_TRACE(name);
    const json j = run(name);
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(j["scores"][i].get<double>(), expected(name, i, j["targets"][i]), 2e-6);
    EXPECT_EQ(j["scores_are"], std::string(name) == "logits" ? "softmax of the logits" : "probability");
  }
  const json labels = run("labels");
  for (const json& top : labels["top"][1])
    EXPECT_NEAR(top["probability"].get<double>(), expected("labels", 1, top["class"]), 2e-6);
  const json two = run("two", "--output-name classes");
  EXPECT_NEAR(two["scores"][0].get<double>(), expected("two", 0, two["targets"][0]), 2e-6);
  EXPECT_EQ(run("two")["scores_are"], "value");
}

TEST_F(Endings, RunTellsClassesOfPlacesAndValues) {
  double shares = 0;
  const json pixels = run("pixels");
  for (const json& top : pixels["top"][0]) shares += top["share"].get<double>();
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_NE(program("run", "pixels").out.find("% of 36 places"), std::string::npos);
  const json value = run("value");
  EXPECT_EQ(value["scores_are"], "value");
  EXPECT_EQ(value["top"][0][0]["value"], value["scores"][0]);
  EXPECT_EQ(program("run", "value").out.find('%'), std::string::npos);
  const json maps = run("maps");
  EXPECT_TRUE(maps["top"][0][0].contains("place"));
  EXPECT_EQ(maps["top"][0][0]["index"], maps["targets"][0]);
  EXPECT_NE(program("run", "logits").out.find("softmax of the logits"), std::string::npos);
  EXPECT_EQ(program("run", "labels").out.find("softmax"), std::string::npos);
}

TEST_F(Endings, LabelsNameTheClassOfAPlace) {
  write_file(folder_ / "labels.txt", "sky\nearth\nsea\n");
  const std::string labels = " --labels " + (folder_ / "labels.txt").string();
  EXPECT_NE(
      program("explain", "pixels", "--recipe gradient --target 40" + labels).out.find("earth (output 40)"),
      std::string::npos);
  EXPECT_NE(
      program("explain", "channels_last", "--recipe gradient --target 5" + labels).out.find("sea (output 5)"),
      std::string::npos);
  EXPECT_EQ(program("explain", "pixels", "--recipe gradient --target sea" + labels).code, 2);
  EXPECT_EQ(program("explain", "labels", "--recipe gradient --target sea" + labels).code, 0);
}

TEST_F(Endings, WhatWatchesTheLogitInsteadIsSaidInOneLine) {
  const Outcome o = program("explain", "value", "--recipe rise:masks=10");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  EXPECT_NE(o.err.find("rise watches the logit instead of the probability: output 'y' of shape 1x1"),
            std::string::npos)
      << o.err;
  EXPECT_EQ(program("explain", "value", "--recipe rise:masks=10 --quiet").err, "");
  EXPECT_EQ(program("explain", "binary", "--recipe rise:masks=10").err, "");
  const std::string given = "--attributions " + (folder_ / "r.npy").string();
  EXPECT_NE(
      program("evaluate", "maps", given + " --metric insertion").err.find("insertion watches the logit"),
      std::string::npos);
  EXPECT_NE(program("evaluate", "logits", given + " --metric insertion")
                .err.find("insertion watches the softmax of the logits"),
            std::string::npos);
}

TEST_F(Endings, ProbabilitiesThatAreNotThereAreRefused) {
  const std::string given = "--attributions " + (folder_ / "r.npy").string() + " --metric ";
  for (const Outcome& o :
       {program("explain", "value",
                "--recipe gradient:output=probability --raw " + (folder_ / "a.npy").string()),
        program("explain", "value", "--recipe rise:output=probability"),
        program("evaluate", "maps", given + "insertion:score=probability"),
        program("evaluate", "value", given + "pixel_flipping:score=difference"),
        program("evaluate", "value", given + "road"),
        program("check", "maps", "--recipe gradient --metric irof:score=probability"),
        program(
            "select", "value",
            "--recipe gradient --metric insertion:score=probability --out " + (folder_ / "s").string())}) {
    EXPECT_EQ(o.code, 2) << o.err;
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.npy"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "s"));
}

TEST_F(Endings, SelectRanksNetworksWithoutProbabilities) {
  const Outcome o = program("select", "value",
                            "--recipe gradient --recipe random --metric insertion:patch=3,steps=4 --out " +
                                (folder_ / "s").string());
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("insertion watches the logit"), std::string::npos);
  EXPECT_NE(read_file(folder_ / "s/report.html").find("insertion watches the logit"), std::string::npos);
  const Outcome reliable =
      program("select", "value",
              "--recipe gradient --recipe random --metric pixel_flipping:patch=3,steps=4 "
              "--reliability --out " +
                  (folder_ / "t").string());
  EXPECT_EQ(reliable.code, 0) << reliable.err;  // without the setting score=probability
}

}  // namespace heatproof
