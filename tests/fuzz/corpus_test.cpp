// The fuzz targets on the files in corpus/: what the fuzzers found worth keeping, and what once crashed.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/files.h"
#include "base/random.h"
#include "fuzz/targets.h"
#include "support/files.h"

namespace heatproof::fuzz {

namespace {

using Target = void (*)(std::string_view);

void replay(const std::string& name, Target target) {
  std::vector<std::filesystem::path> files;
  const auto folder = std::filesystem::path(HEATPROOF_SOURCE_DIR) / "tests/fuzz/corpus" / name;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  ASSERT_FALSE(files.empty()) << folder;
  std::ranges::sort(files);
  for (const auto& file : files) EXPECT_NO_THROW(target(read_file(file))) << file;
}

}  // namespace

TEST(Corpus, Model) { replay("model", model); }
TEST(Corpus, Words) { replay("words", words); }
TEST(Corpus, Arrays) { replay("arrays", arrays); }
TEST(Corpus, Images) { replay("images", images); }
TEST(Corpus, Results) { replay("results", results); }
TEST(Corpus, Graphs) { replay("graphs", graphs); }

TEST(Corpus, RandomGraphs) {
  constexpr std::uint64_t kGraphs = 150;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    RandomStream random(seed, {"random graphs"});
    std::string bytes(64 + random.below(128), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    EXPECT_NO_THROW(graphs(bytes)) << "seed " << seed;
  }
}

}  // namespace heatproof::fuzz
