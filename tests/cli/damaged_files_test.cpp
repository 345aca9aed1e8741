// What commands say of images that cannot be read: the same, everywhere.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

const std::string kModel = shapes("shapes.onnx").string();

/// A folder with three of the shipped images, one that is odd, and one that is none.
class DamagedFiles : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::string photos = (folder / "photos").string();

  DamagedFiles() {
    std::filesystem::create_directories(photos);
    int n = 0;
    for (const char* name : {"00_circle.png", "01_square.png", "02_triangle.png"})
      std::filesystem::copy_file(shapes("images") / name, folder / fmt::format("photos/{}.png", n++));
    write_file(folder / "photos/damaged.png", read_file(folder / "photos/0.png").substr(0, 100));
  }
};

}  // namespace

TEST_F(DamagedFiles, AreNamedByEveryCommand) {
  const std::string recipe = " --recipe gradient";
  for (const std::string& command :
       {"run " + kModel + " " + photos, "explain " + kModel + " " + photos + recipe,
        "evaluate " + kModel + " " + photos + recipe + " --metric sparseness",
        "check " + kModel + " " + photos + recipe + " --metric completeness --out " +
            (folder / "check").string(),
        "select " + kModel + " " + photos + recipe + " --metric sparseness --out " +
            (folder / "select").string()}) {
    const Outcome o = heatproof(command + " --json");
    ASSERT_EQ(o.code, 0) << command << o.err;
    const json j = json::parse(o.out);
    ASSERT_EQ(j["skipped"].size(), 1U) << command;
    EXPECT_EQ(j["skipped"][0]["name"], "damaged.png") << command;
    EXPECT_NE(o.err.find("1 of 4 images was left out: damaged.png ("), std::string::npos) << command << o.err;
  }
  for (const char* page : {"check/check.html", "select/report.html"})
    EXPECT_NE(read_file(folder / page).find("damaged.png"), std::string::npos) << page;
}

TEST_F(DamagedFiles, OnlyTheFirstFewAreListedInALine) {
  for (int i = 0; i < 50; ++i)
    write_file(folder / fmt::format("photos/x{}{}.png", i, std::string(200, 'y')), "z");
  const Outcome o = heatproof("run " + kModel + " " + photos + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_NE(o.err.find("51 of 54 images were left out"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("and 48 more"), std::string::npos) << o.err;
  EXPECT_LT(o.err.size(), 500U);
  EXPECT_EQ(json::parse(o.out)["skipped"].size(), 51U);
}

TEST_F(DamagedFiles, ATargetsFileOfOtherClassesIsRefused) {
  Tensor targets = Tensor::zeros(DType::i64, {3});
  targets.data<std::int64_t>()[1] = 1000;
  write_file(folder / "t.npy", format_npy(targets));
  const Outcome o = heatproof("explain " + kModel + " " + photos + " --recipe gradient --target " +
                              (folder / "t.npy").string());
  EXPECT_EQ(o.code, 3);
  EXPECT_NE(o.err.find("class 1000"), std::string::npos) << o.err;
}

}  // namespace heatproof
