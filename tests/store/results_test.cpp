#include "store/results.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "base/random.h"
#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

CellKey key(int i) { return {"model", "input" + std::to_string(i), i, "lrp_zplus", "sparseness", 7}; }

}  // namespace

TEST(Results, KeepsCellsWithCurvesAndNaN) {
  const TemporaryFolder folder;
  {
    Results r(folder / "r.sqlite");
    r.put(key(1), {0.1, {{"morf", {1, 2.5}}, {"lerf", {}}}});
    r.put(key(2), {NAN, {}});
    r.set("fact", std::string("a\0b", 3));
  }
  const Results r(folder / "r.sqlite");
  EXPECT_EQ(r.cells(), 2);
  EXPECT_EQ(r.find(key(1))->score, 0.1);
  EXPECT_EQ(r.find(key(1))->curves.at("morf"), (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(std::isnan(r.find(key(2))->score));
  EXPECT_FALSE(r.find(key(3)));
  EXPECT_EQ(*r.get("fact"), std::string("a\0b", 3));
}

TEST(Results, FinishedFilesHaveTheSameBytesHoweverTheyCameAbout) {
  const TemporaryFolder folder;
  const auto fill = [&](const char* name, bool backwards, bool twice) {
    Results r(folder / name);
    for (int n = 0; n < (twice ? 2 : 1); ++n) {
      for (int i = 0; i < 50; ++i) r.put(key(backwards ? 49 - i : i), {i + 0.0, {}});
    }
    for (int i = 0; i < 50; ++i) r.put(key(i), {std::sqrt(i), {{"c", {1.0 * i}}}});
    r.set("a", "1");
    r.finish();
    return read_file(folder / name);
  };
  const std::string first = fill("a.sqlite", false, false);
  EXPECT_EQ(first, fill("b.sqlite", true, false));
  EXPECT_EQ(first, fill("c.sqlite", true, true));
}

TEST(Results, MergesPartsAndRefusesContradictions) {
  const TemporaryFolder folder;
  Results a(folder / "a.sqlite");
  Results b(folder / "b.sqlite");
  a.put(key(1), {1, {}});
  b.put(key(2), {2, {}});
  a.merge(b);
  EXPECT_EQ(a.cells(), 2);
  b.put(key(1), {5, {}});
  EXPECT_THROW(a.merge(b), Error);
}

TEST(Results, NaNAgreesWithNaNAlone) {
  const auto merged = [&](double known, double other) {
    const TemporaryFolder own;
    Results a(own / "a.sqlite");
    Results b(own / "b.sqlite");
    a.put(key(1), {known, {}});
    b.put(key(1), {other, {}});
    a.merge(b);
    return a.find(key(1))->score;
  };
  EXPECT_TRUE(std::isnan(merged(NAN, NAN)));
  EXPECT_EQ(merged(INFINITY, INFINITY), INFINITY);
  EXPECT_THROW(merged(NAN, 1), Error);
  EXPECT_THROW(merged(1, NAN), Error);
  EXPECT_THROW(merged(1, INFINITY), Error);
}

TEST(Results, FilesThatAreNoneOfOursAreRefused) {
  const TemporaryFolder folder;
  write_file(folder / "text.sqlite", "this is a text, not a database, and long enough to be taken for one");
  EXPECT_THROW(Results(folder / "text.sqlite"), InputError);
  {
    Results r(folder / "r.sqlite");
    for (int i = 0; i < 200; ++i) r.put(key(i), {1, {{"c", std::vector<double>(40, 1)}}});
    r.finish();
  }
  const std::string bytes = read_file(folder / "r.sqlite");
  RandomStream random(1);
  for (int trial = 0; trial < 60; ++trial) {
    std::string damaged = bytes;
    for (int k = 0; k < 30; ++k) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    write_file(folder / "d.sqlite", damaged);
    try {
      const Results r(folder / "d.sqlite");
      for (int i = 0; i < 200; ++i) r.find(key(i));
    } catch (const Error&) {
    }
  }
}

}  // namespace heatproof
