// heatproof select: directions, differences, and what is left behind.
#include <gtest/gtest.h>

#include <filesystem>
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

std::string select(const std::filesystem::path& out, const std::string& flags) {
  return "select " + shapes("shapes.onnx").string() + " " + shapes("images").string() +
         " --recipe lrp_epsilon_plus --recipe gradient " + flags + " --out " + out.string();
}

}  // namespace

TEST(Select, ShowsTheMetricsOwnValueWhereLowerIsBetter) {
  const TemporaryFolder folder;
  const std::string flags = "--metric pixel_flipping:order=morf,patch=16,steps=4,score=probability";
  const Outcome o = heatproof(select(folder.path(), flags + " --json"));
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_EQ(j["objective"]["ideal"], "lower is better");
  const json& ranking = j["ranking"];
  for (std::size_t k = 0; k < ranking.size(); ++k) {
    const json& r = ranking[k];
    EXPECT_GT(r["score"].get<double>(), 0) << r["recipe"];  // an area under a probability
    EXPECT_LE(r["low"].get<double>(), r["high"].get<double>());
    if (k == 0) {
      EXPECT_TRUE(r["shortfall"].is_null());
      continue;
    }
    EXPECT_GE(r["score"].get<double>(), ranking[k - 1]["score"].get<double>());
    EXPECT_NEAR(r["shortfall"]["mean"].get<double>(),
                r["score"].get<double>() - ranking[0]["score"].get<double>(), 1e-9);
    EXPECT_LE(r["shortfall"]["low"].get<double>(), r["shortfall"]["mean"].get<double>());
    EXPECT_EQ(r["shortfall"]["n"], j["images"]);
  }
  const Outcome text = heatproof(select(folder.path(), flags));
  EXPECT_NE(text.out.find("(lower is better)"), std::string::npos) << text.out;
}

TEST(Select, ClaimsAreOfEveryControlAndConfirmed) {
  const TemporaryFolder folder;
  const std::string flags = "--recipe random --recipe uniform --recipe edges --metric pixel_flipping:patch=8";
  const Outcome o = heatproof(select(folder.path(), flags + " --json"));
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  ASSERT_EQ(j["over_controls"].size(), 3U);
  bool every = true;
  for (const json& c : j["over_controls"]) {
    every &= c["beaten"].get<bool>();
    EXPECT_EQ(c["beaten"].get<bool>(), c["low"].get<double>() > 0);
    for (const json& r : j["ranking"]) {
      if (r["recipe"] == c["control"]) {
        EXPECT_EQ(c["beaten"], !r["in_best_set"].get<bool>());
      }
    }
  }
  EXPECT_EQ(j["beats_controls"], every);
  ASSERT_EQ(j["confirmation"]["over_controls"].size(), 3U);
  for (const json& c : j["confirmation"]["over_controls"]) every &= c["beaten"].get<bool>();
  EXPECT_EQ(j["confirmed"], every);
  const std::string toml = read_file(folder / "recipe.toml");
  EXPECT_NE(toml.find(every ? "confirmed = true" : "confirmed = false"), std::string::npos) << toml;
  for (const json& r : j["ranking"]) {
    if (r["shortfall"].is_null()) continue;
    EXPECT_EQ(r["in_best_set"].get<bool>(), r["shortfall"]["low"].get<double>() <= 0) << r;
  }
}

TEST(Select, DoesNotRecommendWhatNoImagesConfirm) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "few");
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shapes("images"))) {
    if (count++ < 10) std::filesystem::copy(entry.path(), folder / "few" / entry.path().filename());
  }
  const Outcome o =
      heatproof("select " + shapes("shapes.onnx").string() + " " + (folder / "few").string() +
                " --recipe lrp_epsilon_plus --recipe gradient --metric pixel_flipping:patch=8 " + "--out " +
                (folder / "out").string());
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.out.find("Use "), std::string::npos) << o.out;
  EXPECT_NE(o.out.find("no images were held back"), std::string::npos) << o.out;
  const std::string toml = read_file(folder / "out/recipe.toml");
  EXPECT_EQ(toml.find("Use it"), std::string::npos) << toml;
  EXPECT_NE(toml.find("confirmed = false"), std::string::npos) << toml;
}

TEST(Select, SaysThatTheNumberOfImagesWasNotFixedBeforehand) {
  const TemporaryFolder folder;
  const std::string flags = "--metric pixel_flipping:patch=16,steps=4";
  const Outcome cut = heatproof(select(folder.path(), flags + " --budget 0.001"));
  ASSERT_EQ(cut.code, 0) << cut.err;
  EXPECT_NE(cut.out.find("fixed beforehand"), std::string::npos) << cut.out;
  EXPECT_NE(read_file(folder / "report.html").find("The time of --budget was up after 8 images"),
            std::string::npos);
  const Outcome more = heatproof(select(folder.path(), flags + " --json"));
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_NE(json::parse(more.out)["caveat"].get<std::string>().find("A result of 8 images was seen"),
            std::string::npos);
  const Outcome fresh = heatproof(select(folder / "fresh", flags + " --json"));
  EXPECT_TRUE(json::parse(fresh.out)["caveat"].is_null());
}

TEST(Select, LeavesNothingBehindWhenItIsRefused) {
  const TemporaryFolder folder;
  const Outcome o =
      heatproof(select(folder / "out", "--metric pixel_flipping --masks " + (folder / "none.npy").string()));
  EXPECT_EQ(o.code, 3) << o.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST(Select, NamesRecipesWithoutAScore) {
  const TemporaryFolder folder;
  // The relevance of `uniform` is constant, so that it correlates with nothing.
  const Outcome o =
      heatproof(select(folder.path(), "--json --metric faithfulness_correlation:nr_runs=8,subset_size=64"));
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("faithfulness_correlation"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("of uniform is no number on 24 of 24 images"), std::string::npos) << o.err;
  const json j = json::parse(o.out);
  EXPECT_NE(j["best"], "uniform");
  EXPECT_EQ(j["ranking"].back()["recipe"], "uniform");
  EXPECT_TRUE(j["ranking"].back()["score"].is_null());
  // What could not be compared was not beaten.
  EXPECT_FALSE(j["beats_controls"].get<bool>());
  EXPECT_FALSE(j["confirmed"].get<bool>());
  const Outcome text =
      heatproof(select(folder.path(), "--metric faithfulness_correlation:nr_runs=8,subset_size=64"));
  EXPECT_EQ(text.out.find("Use "), std::string::npos) << text.out;
}

TEST(Select, ChoosesNothingWhereNoRecipeHasAScore) {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", format_npy(random_tensor({3, 32}, 1, 0, 1)));
  // A network without maxima has none to rewrite.
  const Outcome o =
      heatproof("select " HEATPROOF_SOURCE_DIR "/assets/depth/depth2.onnx " + (folder / "x.npy").string() +
                " --recipe gradient --metric implementation_invariance:rewrite=max_halves --out " +
                (folder / "out").string());
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.err.find("nothing can be selected"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("is no number on 3 of 3 images (first: row"), std::string::npos) << o.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "out/recipe.toml"));
}

TEST(Select, MeasuresTheSameInLittleMemory) {
  const TemporaryFolder folder;
  const std::string flags =
      "--recipe lrp_gamma:gamma=0.1/0.5/1 --metric pixel_flipping:patch=16,steps=4 --json ";
  const Outcome plenty = heatproof(select(folder / "a", flags));
  const Outcome little = heatproof(select(folder / "b", flags + "--memory 1M"));
  ASSERT_EQ(plenty.code, 0) << plenty.err;
  ASSERT_EQ(little.code, 0) << little.err;
  const json a = json::parse(plenty.out)["ranking"];
  const json b = json::parse(little.out)["ranking"];
  ASSERT_EQ(a.size(), b.size());
  std::map<std::string, double> scores;
  for (const json& r : a) scores[r["recipe"]] = r["score"];
  for (const json& r : b) EXPECT_NEAR(r["score"].get<double>(), scores.at(r["recipe"]), 1e-4) << r["recipe"];
}

TEST(Select, GoesOnWhereItWasStoppedAndReadsOnlyWhatItNeeds) {
  const TemporaryFolder folder;
  std::filesystem::copy(shapes("images"), folder / "images");
  const std::string command = "select " + shapes("shapes.onnx").string() + " " +
                              (folder / "images").string() + " --recipe lrp_epsilon_plus --recipe gradient " +
                              "--metric pixel_flipping:patch=16,steps=4 --seed 3 --out ";
  ASSERT_EQ(heatproof(command + (folder / "a").string()).code, 0);
  ASSERT_EQ(heatproof(command + (folder / "b").string() + " --budget 0.001").code, 0);  // one group of eight
  ASSERT_EQ(heatproof(command + (folder / "b").string()).code, 0);
  // What is stored is no longer measured, and has the same bytes.
  EXPECT_EQ(read_file(folder / "a/results.sqlite"), read_file(folder / "b/results.sqlite"));
  EXPECT_EQ(read_file(folder / "a/report.html").size(), read_file(folder / "b/report.html").size());
}

TEST(Report, NamesAFileThatIsNoResult) {
  const TemporaryFolder folder;
  for (const char* content : {"hello", ""}) {
    write_file(folder / "afile", content);
    const Outcome o = heatproof("report " + (folder / "afile").string());
    EXPECT_EQ(o.code, 3);
    EXPECT_NE(o.err.find("afile: not a results file"), std::string::npos) << o.err;
    EXPECT_EQ(read_file(folder / "afile"), content);  // and leaves it alone
  }
}

}  // namespace heatproof
