// Recipes of a selection are measured side by side, and explained once for scores and report.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

std::string select(const std::filesystem::path& out, const std::string& flags) {
  return "select " + shapes("shapes.onnx").string() + " " + shapes("images").string() +
         " --metric region_perturbation:patch_size=8,regions_evaluation=6 --json --out " + out.string() +
         flags;
}

std::map<std::string, double> scores(const std::filesystem::path& out, const std::string& flags) {
  const Outcome o = heatproof(select(out, flags));
  EXPECT_EQ(o.code, 0) << o.err;
  std::map<std::string, double> found;
  const json selection = json::parse(o.out);
  for (const json& r : selection["ranking"]) found[r["recipe"]] = r["score"];
  return found;
}

std::size_t pictures(const std::filesystem::path& folder) {
  const std::string html = read_file(folder / "report.html");
  std::size_t n = 0;
  for (std::size_t at = html.find("data:image"); at != std::string::npos;
       at = html.find("data:image", at + 1))
    ++n;
  return n;
}

}  // namespace

TEST(Select, GivesARecipeTheScoreThatItHasAlone) {
  const TemporaryFolder folder;
  const std::vector<std::string> recipes{"gradient", "lrp_epsilon_plus", "gradient_x_input",
                                         "integrated_gradients:steps=4"};
  std::string all;
  for (const std::string& r : recipes) all += " --recipe " + r;
  const auto together = scores(folder / "all", all);
  for (const std::string& r : recipes) {
    for (const auto& [recipe, score] : scores(folder / r, " --recipe " + r))
      EXPECT_NEAR(score, together.at(recipe), 1e-5) << recipe;
  }
}

TEST(Select, ShowsTheSameWhenEverythingIsKnown) {
  const TemporaryFolder folder;
  const std::string flags = " --recipe gradient --recipe lrp_epsilon_plus";
  const auto first = scores(folder.path(), flags);
  const std::size_t shown = pictures(folder.path());
  EXPECT_GT(shown, 0U);
  EXPECT_EQ(scores(folder.path(), flags), first);  // nothing is explained for scores any more
  EXPECT_EQ(pictures(folder.path()), shown);
}

}  // namespace heatproof
