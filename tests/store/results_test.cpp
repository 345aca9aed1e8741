#include "store/results.h"

#include <gtest/gtest.h>

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>

#include "base/files.h"
#include "base/random.h"
#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

/// Runs SQL on a file as any other program could.
void sql(const std::filesystem::path& path, const std::string& text) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, &error), SQLITE_OK)
      << (error ? error : "") << text;
  sqlite3_free(error);
  sqlite3_close(db);
}

/// The message of the InputError that reading gives; "" where it gives none.
std::string refusal(const std::filesystem::path& path) {
  try {
    Results::read(path);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

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

TEST(Results, ReadingKeepsEveryByteAndNeedsNoPermissionToWrite) {
  const TemporaryFolder folder;
  {
    Results r(folder / "r.sqlite");
    r.put(key(1), {0.5, {{"c", {1, 2}}}});
    r.set("a", "b");
  }
  const std::string before = read_file(folder / "r.sqlite");
  std::filesystem::permissions(folder / "r.sqlite", std::filesystem::perms::owner_read);
  std::filesystem::permissions(folder.path(),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  {
    const Results r = Results::read(folder / "r.sqlite");
    EXPECT_EQ(r.find(key(1))->score, 0.5);
    EXPECT_EQ(*r.get("a"), "b");
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  EXPECT_EQ(read_file(folder / "r.sqlite"), before);
  EXPECT_THROW(Results::read(folder / "none.sqlite"), InputError);
  EXPECT_FALSE(std::filesystem::exists(folder / "none.sqlite"));
  EXPECT_THROW(Results::read(folder.path()), InputError);
}

TEST(Results, EveryChangedByteOfACellOrAFactIsNoticed) {
  const TemporaryFolder folder;
  const auto fresh = [&] {
    std::filesystem::remove(folder / "r.sqlite");
    Results r(folder / "r.sqlite");
    r.put(key(1), {0.25, {{"c", {1, 2.5}}}});
    r.put(key(2), {NAN, {}});
    r.put(key(3), {-0.0, {}});
    r.put(key(4), {-INFINITY, {}});
    r.put(key(5), {7, {}});
    r.set("fact", "value");
    r.finish();
  };
  fresh();
  EXPECT_EQ(refusal(folder / "r.sqlite"), "");
  for (const char* change :
       {"UPDATE cells SET score=0.26 WHERE target=1", "UPDATE cells SET score=0 WHERE target=2",
        "UPDATE cells SET score=NULL WHERE target=1", "UPDATE cells SET target=9 WHERE target=1",
        "UPDATE cells SET seed=8 WHERE target=1", "UPDATE cells SET recipe='lrp_zplux' WHERE target=1",
        "UPDATE cells SET metric='sparsenesr' WHERE target=1",
        "UPDATE cells SET model='modem' WHERE target=1", "UPDATE cells SET input='input9' WHERE target=1",
        "UPDATE cells SET curves=x'' WHERE target=1", "UPDATE cells SET sha256=zeroblob(32) WHERE target=1",
        "UPDATE facts SET value=CAST('valuf' AS BLOB)", "UPDATE facts SET name='fact2'",
        "UPDATE facts SET value='value'", "UPDATE cells SET score='x' WHERE target=1",
        "UPDATE cells SET seed=1.5 WHERE target=1", "UPDATE cells SET recipe=x'00' WHERE target=1"}) {
    fresh();
    sql(folder / "r.sqlite", change);
    EXPECT_NE(refusal(folder / "r.sqlite").find("damaged"), std::string::npos) << change;
    EXPECT_THROW(Results(folder / "r.sqlite"), InputError) << change;
  }
}

TEST(Results, FlippedBytesOfAFileAreNeverTakenForScores) {
  const TemporaryFolder folder;
  {
    Results r(folder / "r.sqlite");
    for (int i = 0; i < 60; ++i) r.put(key(i), {i / 7.0, {{"c", std::vector<double>(10, i)}}});
    r.finish();
  }
  const std::string bytes = read_file(folder / "r.sqlite");
  RandomStream random(5);
  int found = 0;
  for (int trial = 0; trial < 100; ++trial) {
    std::string damaged = bytes;
    damaged[random.below(damaged.size())] ^= static_cast<char>(1U << random.below(8));
    write_file(folder / "d.sqlite", damaged);
    try {
      const Results r = Results::read(folder / "d.sqlite");
      for (int i = 0; i < 60; ++i) {
        const auto cell = r.find(key(i));
        if (!cell) continue;
        EXPECT_EQ(cell->score, i / 7.0);
        EXPECT_EQ(cell->curves.at("c"), std::vector<double>(10, i));
      }
    } catch (const InputError&) {
      ++found;
    }
  }
  EXPECT_GT(found, 20);  // others hit bytes that nothing is stored in
  for (std::size_t length = 0; length < bytes.size(); length += 997) {
    write_file(folder / "d.sqlite", bytes.substr(0, length));
    EXPECT_THROW(Results::read(folder / "d.sqlite"), InputError) << length;
  }
}

TEST(Results, OnlyTheTablesThatWeMakeAreRead) {
  const TemporaryFolder folder;
  const std::string forever =
      "(SELECT 'm' AS model, 'i' AS input, 1 AS target, 'r' AS recipe, 'm' AS metric, 0 AS seed, 1.0 AS "
      "score, x'' AS "
      "curves, x'' AS sha256 FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x "
      "FROM n))";
  for (const std::string& change :
       {"DROP TABLE cells; CREATE VIEW cells AS SELECT * FROM " + forever, std::string("DROP TABLE facts"),
        std::string("CREATE TABLE more (x)"), std::string("CREATE INDEX fast ON cells (score)"),
        std::string("CREATE TRIGGER t AFTER INSERT ON cells BEGIN DELETE FROM facts; END"),
        std::string("ALTER TABLE cells ADD COLUMN more GENERATED ALWAYS AS (score + 1)"),
        std::string("ALTER TABLE facts RENAME COLUMN value TO values2"), std::string("PRAGMA user_version=3"),
        std::string("PRAGMA application_id=7"), std::string("PRAGMA journal_mode=WAL")}) {
    std::filesystem::remove(folder / "r.sqlite");
    { Results r(folder / "r.sqlite"); }
    sql(folder / "r.sqlite", change);
    EXPECT_NE(refusal(folder / "r.sqlite"), "") << change;
    if (change.ends_with("WAL")) continue;
    EXPECT_THROW(Results(folder / "r.sqlite"), InputError) << change;
  }
}

TEST(Results, CurvesOfImpossibleLengthAreDamage) {
  const TemporaryFolder folder;
  // As an earlier version would have stored them, without check sums.
  sql(folder / "old.sqlite",
      "PRAGMA application_id=1212498260; PRAGMA user_version=1; CREATE TABLE cells (model TEXT, input TEXT, "
      "target "
      "INTEGER, recipe TEXT, metric TEXT, seed INTEGER, score REAL, curves BLOB, PRIMARY KEY (model, input, "
      "target, "
      "recipe, metric, seed)) WITHOUT ROWID; CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT "
      "ROWID; "
      "INSERT INTO cells VALUES ('model', 'input0', 0, 'lrp_zplus', 'sparseness', 7, 1.0, x'0000000000000000"
      "0000000000000020'), ('model', 'input1', 1, 'lrp_zplus', 'sparseness', 7, 1.0, x'ffffffffffffffff'), "
      "('model', "
      "'input2', 2, 'lrp_zplus', 'sparseness', 7, 1.0, x'0000000000000000"
      "0100000000000000"
      "00')");
  const Results old = Results::read(folder / "old.sqlite");
  for (int i = 0; i < 3; ++i) EXPECT_THROW(old.find(key(i)), InputError) << i;
}

TEST(Results, FilesOfTheVersionBeforeAreReadButNeitherContinuedNorMerged) {
  const TemporaryFolder folder;
  sql(folder / "old.sqlite",
      "PRAGMA application_id=1212498260; PRAGMA user_version=1; CREATE TABLE cells (model TEXT, input TEXT, "
      "target "
      "INTEGER, recipe TEXT, metric TEXT, seed INTEGER, score REAL, curves BLOB, PRIMARY KEY (model, input, "
      "target, "
      "recipe, metric, seed)) WITHOUT ROWID; CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB) WITHOUT "
      "ROWID; "
      "INSERT INTO facts VALUES ('report', x'7b7d')");
  EXPECT_EQ(*Results::read(folder / "old.sqlite").get("report"), "{}");
  EXPECT_THROW(Results(folder / "old.sqlite"), InputError);
  Results all = Results::replacing(folder / "all.sqlite");
  EXPECT_THROW(all.merge(Results::read(folder / "old.sqlite")), InputError);
}

TEST(Results, OneProcessAtATimeAndNoneOnAFileThatWasReplaced) {
  const TemporaryFolder folder;
  Results first(folder / "r.sqlite");
  first.put(key(1), {1, {}});
  EXPECT_THROW(Results(folder / "r.sqlite"), Error);
  EXPECT_THROW(Results::read(folder / "r.sqlite"), Error);
  std::filesystem::remove(folder / "r.sqlite");
  EXPECT_THROW(first.begin(), Error);
}

TEST(Results, WhatAKilledRunWasWritingIsPutInOrderByTheNextThatWritesAlone) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "r.sqlite";
  {
    Results r(file);
    for (int i = 0; i < 100; ++i) r.put(key(i), {1.0 * i, {}});
  }
  const pid_t child = ::fork();
  if (child == 0) {
    sqlite3* db = nullptr;
    sqlite3_open(file.c_str(), &db);
    sqlite3_exec(db,
                 "PRAGMA cache_size=2; BEGIN; UPDATE cells SET score=7; INSERT INTO facts VALUES ('x', "
                 "zeroblob(100000), x'')",
                 nullptr, nullptr, nullptr);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(std::filesystem::exists(folder / "r.sqlite-journal"));
  const std::string bytes = read_file(file);
  EXPECT_THROW(Results::read(file), Error);
  EXPECT_EQ(read_file(file), bytes);
  const Results r(file);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(r.find(key(i))->score, i);
  EXPECT_FALSE(r.get("x"));
}

TEST(Results, MergingOtherSeedsOrModelsIsRefused) {
  const TemporaryFolder folder;
  Results a(folder / "a.sqlite");
  a.put(key(1), {1, {}});
  CellKey other = key(2);
  other.seed = 8;
  Results b(folder / "b.sqlite");
  b.put(other, {1, {}});
  EXPECT_THROW(a.merge(b), Error);
  other = key(2);
  other.model = "another";
  Results c(folder / "c.sqlite");
  c.put(other, {1, {}});
  EXPECT_THROW(a.merge(c), Error);
  Results none(folder / "none.sqlite");
  a.merge(none);
  EXPECT_EQ(a.cells(), 1);
}

TEST(Results, WhatReplacesAFileIsThereWhenItIsFinished) {
  const TemporaryFolder folder;
  {
    Results r(folder / "r.sqlite");
    r.put(key(1), {1, {}});
    r.finish();
  }
  const std::string before = read_file(folder / "r.sqlite");
  {
    Results all = Results::replacing(folder / "r.sqlite");
    all.put(key(2), {2, {}});
    EXPECT_EQ(read_file(folder / "r.sqlite"), before);
  }
  EXPECT_EQ(read_file(folder / "r.sqlite"), before);
  Results all = Results::replacing(folder / "r.sqlite");
  all.put(key(2), {2, {}});
  all.finish();
  EXPECT_FALSE(Results::read(folder / "r.sqlite").find(key(1)));
  EXPECT_TRUE(Results::read(folder / "r.sqlite").find(key(2)));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace heatproof
