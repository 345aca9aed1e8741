#include "demo/demo.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof::demo {

using namespace heatproof::testing;

namespace {
const std::filesystem::path kAssets = std::filesystem::path(HEATPROOF_SOURCE_DIR) / "assets";
}

TEST(Demo, EveryClaimIsMeasuredAndHolds) {
  const Options options{kAssets, 0};
  for (const Demo* demo : demos()) {
    SCOPED_TRACE(demo->name);
    const Result r = demo->run(options);
    EXPECT_TRUE(r.holds) << r.outcome;
    EXPECT_FALSE(r.numbers.empty());
    const std::string html = r.page.render();
    EXPECT_NE(html.find("What it shows"), std::string::npos);
  }
}

TEST(Demo, DepthDoesNotHangOnTheSeed) {
  const Result r = kDepthDemo.run({kAssets, 2});
  EXPECT_TRUE(r.holds) << r.outcome;
  EXPECT_GT(r.numbers["gradient_growth"].get<double>(), 100);
  ASSERT_EQ(r.numbers["families"].size(), 3U);
  EXPECT_EQ(r.numbers["families"][2]["family"], "trained");
  for (const auto& family : r.numbers["families"]) {
    EXPECT_NEAR(family["zplus_growth"].get<double>(), 1, 1e-3) << family["family"];
    EXPECT_EQ(family["magnitude"][0].size(), r.numbers["depths"].size());
    EXPECT_EQ(family["linear_regions"].size(), r.numbers["depths"].size());
  }
  // Where z⁺ is smoother by an interval, the page does not say that they are alike.
  const auto& deep = r.numbers["families"][0]["zplus_smoother_by"].back();
  const bool alike = deep["low"].get<double>() <= 0 && deep["high"].get<double>() >= 0;
  EXPECT_EQ(alike, r.outcome.find("cannot be told apart") != std::string::npos) << r.outcome;
  EXPECT_NE(r.outcome.find("fifty layers deep"), std::string::npos);
}

TEST(Demo, PagesGivePairedIntervalsAndReasons) {
  const std::string flipping = kPixelFlippingDemo.run({kAssets, 0}).page.render();
  EXPECT_NE(flipping.find("paired by image"), std::string::npos);
  const Result blindspot = kBlindspotDemo.run({kAssets, 0});
  EXPECT_NE(blindspot.page.render().find("is not exactly positive"), std::string::npos);
  for (const auto& recipe : blindspot.numbers["recipes"])
    EXPECT_TRUE(recipe["recipe"] == "uniform" ||
                recipe["relevance_gain_interval"]["low"] < recipe["relevance_gain_interval"]["high"]);
  EXPECT_NE(kContinuityDemo.run({kAssets, 0}).outcome.find("200 %"), std::string::npos);
  const Result conservation = kConservationDemo.run({kAssets, 0});
  EXPECT_NE(conservation.page.render().find("<td>yes</td>"), std::string::npos);
  EXPECT_EQ(conservation.outcome.find("explodes"), std::string::npos);
}

TEST(Demo, SelectionSaysWhereTheBestLiesAtTheEdge) {
  const Result r = kSelectionDemo.run({kAssets, 0});
  EXPECT_EQ(r.numbers["at_the_edge"].get<bool>(), r.outcome.find("That is an edge") != std::string::npos);
  EXPECT_EQ(r.numbers["largest_magnitude"].size(), r.numbers["gammas"].size());
  // Both ends are rules of which there is another name: z⁺ and LRP-0.
  EXPECT_NEAR(r.numbers["relevance_gain"].front().get<double>(),
              r.numbers["relevance_gain_mirrored"].front().get<double>(), 1e-3);
  EXPECT_NEAR(r.numbers["relevance_gain"].back().get<double>(),
              r.numbers["relevance_gain_mirrored"].back().get<double>(), 1e-3);
}

TEST(Demo, UnknownNamesAreErrors) { EXPECT_THROW(find_demo("depht"), UsageError); }

TEST(Figure, HoldsWithinItsTolerance) {
  EXPECT_TRUE((Figure{"a", 1.05, 1, 0.1}.holds()));
  EXPECT_FALSE((Figure{"a", 1.2, 1, 0.1}.holds()));
  EXPECT_FALSE((Figure{"a", NAN, 1, 0.1}.holds()));
}

}  // namespace heatproof::demo
