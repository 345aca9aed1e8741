#include "demo/demo.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof::demo {

using namespace heatproof::testing;

TEST(Demo, EveryClaimIsMeasuredAndHolds) {
  const Options options{std::filesystem::path(HEATPROOF_SOURCE_DIR) / "assets", 0};
  for (const Demo* demo : demos()) {
    SCOPED_TRACE(demo->name);
    const Result r = demo->run(options);
    EXPECT_TRUE(r.holds) << r.outcome;
    EXPECT_FALSE(r.numbers.empty());
    const std::string html = r.page.render();
    EXPECT_NE(html.find("What it shows"), std::string::npos);
  }
}

TEST(Demo, GrowthWithDepthDoesNotHangOnTheSeed) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Result r = kDepthDemo.run({{}, seed});
    EXPECT_GT(r.numbers["gradient_growth"].get<double>(), 100);
    EXPECT_NEAR(r.numbers["zplus_growth"].get<double>(), 1, 1e-3);
  }
}

TEST(Demo, UnknownNamesAreErrors) { EXPECT_THROW(find_demo("depht"), UsageError); }

TEST(Figure, HoldsWithinItsTolerance) {
  EXPECT_TRUE((Figure{"a", 1.05, 1, 0.1}.holds()));
  EXPECT_FALSE((Figure{"a", 1.2, 1, 0.1}.holds()));
  EXPECT_FALSE((Figure{"a", NAN, 1, 0.1}.holds()));
}

}  // namespace heatproof::demo
