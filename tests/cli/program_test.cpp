// The command line's contract, on the network and images that heatproof ships.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

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
const std::string kMasks = shapes("masks").string();

std::string first_image() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kImages))
    files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files.at(0);
}

/// A selection that takes seconds.
std::string quick_select(const std::filesystem::path& out) {
  return "select " + kModel + " " + kImages +
         " --recipe lrp_epsilon_plus --recipe gradient --recipe random --metric "
         "pixel_flipping:patch=16,steps=4 --out " +
         out.string();
}

int lines_of(const std::string& text) { return static_cast<int>(std::ranges::count(text, '\n')); }

}  // namespace

TEST(Program, RunWritesTheOutputAndNamesTheClasses) {
  const TemporaryFolder folder;
  const Outcome o =
      heatproof("run " + kModel + " " + kImages + " --json --output " + (folder / "y.npy").string());
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_EQ(j["targets"].size(), 32U);
  EXPECT_EQ(j["scores"].size(), 32U);
  EXPECT_EQ(read_npy(folder / "y.npy").shape()[0], 32);
}

TEST(Program, RunTakesInputsByName) {
  const TemporaryFolder folder;
  write_file(folder / "x.npy", format_npy(read_npz(golden("mlp.npz")).at("input")));
  const Outcome o =
      heatproof("run " + golden("mlp.onnx").string() + " --input input=" + (folder / "x.npy").string() +
                " --output-dir " + (folder / "out").string());
  ASSERT_EQ(o.code, 0) << o.err;
  expect_close(read_npy(folder / "out/logits.npy"), read_npz(golden("mlp.npz")).at("output"), 1e-4, 1e-5);
}

TEST(Program, ExplainWritesRelevanceAndPictures) {
  const TemporaryFolder folder;
  const Outcome o =
      heatproof("explain " + kModel + " " + first_image() + " --recipe lrp_epsilon_plus --json --raw " +
                (folder / "a.npy").string() + " --out " + (folder / "maps").string());
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_EQ(j["targets"].size(), 1U);
  EXPECT_EQ(j["files"].size(), 2U);
  for (const std::string file : j["files"]) EXPECT_TRUE(read_file(file).starts_with("\x89PNG")) << file;
  EXPECT_EQ(read_npy(folder / "a.npy").shape(), (Shape{1, 3, 64, 64}));
}

TEST(Program, ExplainTakesTargetsByIndexLabelAndFile) {
  const TemporaryFolder folder;
  const auto target = [&](const std::string& t) {
    const Outcome o =
        heatproof("explain " + kModel + " " + first_image() + " --recipe gradient --json --target " + t);
    EXPECT_EQ(o.code, 0) << o.err;
    return json::parse(o.out)["targets"][0].get<int>();
  };
  EXPECT_EQ(target("3"), 3);
  std::ifstream labels(shapes("labels.txt"));
  std::string second;
  std::getline(labels, second);
  std::getline(labels, second);
  EXPECT_EQ(target(second), 1);
  write_file(folder / "t.npy", format_npy(integers({1}, {2})));
  EXPECT_EQ(target((folder / "t.npy").string()), 2);
}

TEST(Program, EvaluateGivesScoresForRecipesAndForeignAttributions) {
  const TemporaryFolder folder;
  const std::string raw = (folder / "a.npy").string();
  ASSERT_EQ(
      heatproof("explain " + kModel + " " + kImages + " --recipe lrp_epsilon_plus --raw " + raw + " --quiet")
          .code,
      0);
  const std::string metric = " --metric relevance_rank_accuracy --masks " + kMasks + " --json";
  const Outcome own = heatproof("evaluate " + kModel + " " + kImages + " --recipe lrp_epsilon_plus" + metric);
  const Outcome foreign = heatproof("evaluate " + kModel + " " + kImages + " --attributions " + raw + metric);
  ASSERT_EQ(own.code, 0) << own.err;
  ASSERT_EQ(foreign.code, 0) << foreign.err;
  const json j = json::parse(own.out);
  EXPECT_EQ(j["metric"], "relevance_rank_accuracy");
  EXPECT_EQ(j["scores"], json::parse(foreign.out)["scores"]);
  EXPECT_GT(j["mean"].get<double>(), 0.3);
  EXPECT_TRUE(j["curves"].is_null());
  const Outcome flip =
      heatproof("evaluate " + kModel + " " + kImages +
                " --recipe lrp_epsilon_plus --metric pixel_flipping:patch=16,steps=4 --json");
  EXPECT_EQ(json::parse(flip.out)["curves"].size(), 32U);
}

TEST(Program, CheckReportsAxiomsAndTheLedger) {
  const Outcome o =
      heatproof("check " + kModel + " " + first_image() + " --recipe lrp_zplus:bias=ignore --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_EQ(j["axioms"][0]["metric"], "conservation");
  EXPECT_NEAR(j["axioms"][0]["mean"].get<double>(), 1, 0.1);
  EXPECT_GT(j["ledger"].size(), 5U);
}

TEST(Program, SelectWritesReportRecipeAndResults) {
  const TemporaryFolder folder;
  const Outcome o = heatproof(quick_select(folder.path()) + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  const json j = json::parse(o.out);
  EXPECT_EQ(j["best"], "lrp_epsilon_plus");
  EXPECT_EQ(j["ranking"].size(), 3U);
  EXPECT_TRUE(j["ranking"][0]["in_best_set"]);
  EXPECT_LT(j["ranking"][0]["low"].get<double>(), j["ranking"][0]["high"].get<double>());
  // The recipe is usable, and the page can be drawn again with the same bytes.
  EXPECT_EQ(
      heatproof("explain " + kModel + " " + first_image() + " --recipe " + (folder / "recipe.toml").string())
          .code,
      0);
  EXPECT_EQ(
      heatproof("report " + (folder / "results.sqlite").string() + " --out " + (folder / "again").string())
          .code,
      0);
  EXPECT_EQ(read_file(folder / "again/report.html"), read_file(folder / "report.html"));
  EXPECT_EQ(read_file(folder / "again/recipe.toml"), read_file(folder / "recipe.toml"));
}

TEST(Program, AKilledSelectionResumesAndEndsWithTheSameBytes) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof(quick_select(folder / "whole")).code, 0);
  const std::string command = quick_select(folder / "killed") + " --quiet";
  for (const int milliseconds : {300, 600}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::setpgid(0, 0);
      const std::string line = "exec " + std::string(HEATPROOF_PROGRAM) + " " + command;
      ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
  }
  ASSERT_EQ(heatproof(command).code, 0);
  for (const char* file : {"results.sqlite", "report.html", "recipe.toml"})
    EXPECT_EQ(read_file(folder / "killed" / file), read_file(folder / "whole" / file)) << file;
}

TEST(Program, PartsOfASelectionMergeToTheWhole) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof(quick_select(folder / "whole")).code, 0);
  for (const char* part : {"1", "2"})
    ASSERT_EQ(heatproof(quick_select(folder / part) + " --shard " + part + "/2 --quiet").code, 0);
  ASSERT_EQ(heatproof("merge " + (folder / "1/results.sqlite").string() + " " +
                      (folder / "2/results.sqlite").string() + " --output " +
                      (folder / "joined/results.sqlite").string())
                .code,
            0);
  ASSERT_EQ(heatproof(quick_select(folder / "joined")).code, 0);
  EXPECT_EQ(read_file(folder / "joined/results.sqlite"), read_file(folder / "whole/results.sqlite"));
}

TEST(Program, SpacesComeFromToml) {
  const TemporaryFolder folder;
  write_file(folder / "space.toml",
             "recipes = [\"deep_taylor:gamma=0/0.5\"]\nobjective = "
             "\"pixel_flipping:patch=32,steps=2\"\ndiagnostics = []\n");
  const Outcome o =
      heatproof("select " + kModel + " " + kImages + " --space " + (folder / "space.toml").string() +
                " --json --out " + (folder / "out").string());
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(json::parse(o.out)["ranking"].size(), 4U);  // and the controls
  write_file(folder / "space.toml", "recipies = []\n");
  const Outcome wrong =
      heatproof("select " + kModel + " " + kImages + " --space " + (folder / "space.toml").string());
  EXPECT_EQ(wrong.code, 3);
  EXPECT_NE(wrong.err.find("recipies"), std::string::npos) << wrong.err;
}

TEST(Program, MistakesEndWithOneLineAndTheirCode) {
  const TemporaryFolder folder;
  write_file(folder / "broken.onnx", "nonsense");
  write_file(folder / "broken.png", "nonsense");
  const std::string explain = "explain " + kModel + " " + first_image() + " ";
  const std::vector<std::pair<std::string, int>> cases = {
      {"", 2},
      {"frobnicate", 2},
      {"run", 2},
      {"run missing.onnx " + first_image(), 3},
      {"run " + (folder / "broken.onnx").string() + " " + first_image(), 3},
      {"run " + kModel + " missing.png", 3},
      {"run " + kModel + " " + (folder / "broken.png").string(), 3},
      {"run " + kModel + " " + first_image() + " --threads many", 2},
      {explain, 2},
      {explain + "--recipe gradeint", 2},
      {explain + "--recipe deep_taylor:gamma=7", 2},
      {explain + "--recipe gradient --target 99", 2},
      {explain + "--recipe gradient --target unicorn", 2},
      {explain + "--recipe gradient --raw /proc/nowhere/a.npy", 1},
      {explain + "--recipe gradient --raw /dev/full", 1},
      {explain + "--recipe missing.toml", 3},
      {explain + "--recipe gradient --mean 1,2", 2},
      {"evaluate " + kModel + " " + kImages + " --metric sparseness", 2},
      {"evaluate " + kModel + " " + kImages + " --recipe gradient --metric sparsness", 2},
      {"evaluate " + kModel + " " + kImages + " --attributions missing.npy --metric sparseness", 3},
      {"select " + kModel, 2},
      {"select " + kModel + " " + kImages + " --budget soon", 2},
      {"select " + kModel + " " + kImages + " --shard 3/2", 2},
      {"report missing.sqlite", 3},
      {"report " + kModel, 3},
  };
  for (const auto& [arguments, code] : cases) {
    SCOPED_TRACE(arguments);
    const Outcome o = heatproof(arguments);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_EQ(lines_of(o.err), 1) << o.err;
    EXPECT_TRUE(o.err.starts_with("heatproof: ")) << o.err;
    EXPECT_EQ(o.out, "");
  }
}

TEST(Program, InspectAndBenchSpeakJson) {
  const Outcome inspect = heatproof("inspect " + kModel + " --json");
  ASSERT_EQ(inspect.code, 0) << inspect.err;
  EXPECT_EQ(json::parse(inspect.out)["unsupported"].size(), 0U);
  const Outcome bench = heatproof("bench " + kModel + " --recipe lrp_zplus --batch 2 --repeats 2 --json");
  ASSERT_EQ(bench.code, 0) << bench.err;
  for (const char* key : {"forward_ms", "explain_ms", "batch", "threads", "peak_rss_mb"})
    EXPECT_TRUE(json::parse(bench.out).contains(key)) << key;
}

TEST(Program, BenchTakesGridsAndTheForwardPassAlone) {
  const Outcome grid = heatproof(
      "bench " + kModel + " --recipe lrp_gamma:gamma=0.1/0.2 --recipe random --separate --repeats 1 --json");
  ASSERT_EQ(grid.code, 0) << grid.err;
  const json j = json::parse(grid.out);
  EXPECT_EQ(j["recipes"], (std::vector<std::string>{"lrp_gamma:gamma=0.1", "lrp_gamma:gamma=0.2", "random"}));
  EXPECT_EQ(j["separate_ms"].size(), 3U);
  const Outcome forward = heatproof("bench " + kModel + " --forward --repeats 1 --json");
  ASSERT_EQ(forward.code, 0) << forward.err;
  EXPECT_TRUE(json::parse(forward.out).contains("forward_arena_bytes"));
  EXPECT_FALSE(json::parse(forward.out).contains("explain_ms"));
  EXPECT_EQ(heatproof("bench " + kModel + " --forward --recipe gradient").code, 2);
}

}  // namespace heatproof
