#include "base/draft.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/files.h"
#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

namespace {

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

void put(const std::filesystem::path& path) { std::ofstream(path) << "half"; }

}  // namespace

TEST(Draft, NothingIsLeftOfAFileThatIsNotFinished) {
  const TemporaryFolder folder;
  for (const bool named : {false, true}) {
    {
      const Draft draft(folder / "a.txt", named);
      EXPECT_EQ(names_in(folder.path()).size(), draft.path().empty() ? 0U : 1U);
    }
    EXPECT_EQ(names_in(folder.path()).size(), 0U);
  }
}

TEST(Draft, TakesThePlaceOfItsTarget) {
  const TemporaryFolder folder;
  for (const bool named : {false, true}) {
    write_file(folder / "a.txt", "old");
    Draft draft(folder / "a.txt", named);
    ASSERT_EQ(::write(draft.descriptor(), "new", 3), 3);
    EXPECT_EQ(read_file(folder / "a.txt"), "old");
    draft.commit();
    EXPECT_EQ(read_file(folder / "a.txt"), "new");
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"a.txt"});
  }
}

TEST(Draft, WhatEarlierVersionsLeftIsRemovedWhereTheirProcessIsGone) {
  const TemporaryFolder folder;
  const std::string alive = "report.html." + std::to_string(::getpid()) + ".tmp";
  for (const std::string& name : {std::string("report.html.99999999.tmp"), alive, std::string("notes.1.tmp"),
                                  std::string("report.html.99999999x.tmp")})
    put(folder / name);
  write_file(folder / "a.txt", "new");
  EXPECT_EQ(names_in(folder.path()),
            (std::vector<std::string>{"a.txt", "notes.1.tmp", alive, "report.html.99999999x.tmp"}));
}

TEST(Draft, WhatDeadRunsLeftIsRemovedAndWhatOthersHoldOrOwnStays) {
  const TemporaryFolder folder;
  put(folder / ".heatproof-123-0.tmp");
  put(folder / ".heatproof-124-0.tmp");
  put(folder / "a.txt.123.tmp");  // somebody's
  std::filesystem::create_directory(folder / ".heatproof-125-0.tmp");
  ASSERT_EQ(::mkfifo((folder / ".heatproof-126-0.tmp").c_str(), 0600), 0);
  std::filesystem::create_symlink("a.txt.123.tmp", folder / ".heatproof-127-0.tmp");
  const int held = ::open((folder / ".heatproof-124-0.tmp").c_str(), O_RDONLY);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  write_file(folder / "b.txt", "b");
  ::close(held);
  EXPECT_EQ(names_in(folder.path()),
            (std::vector<std::string>{".heatproof-124-0.tmp", ".heatproof-125-0.tmp", ".heatproof-126-0.tmp",
                                      ".heatproof-127-0.tmp", "a.txt.123.tmp", "b.txt"}));
}

TEST(Draft, NamesMayBeAsLongAsTheFileSystemTakes) {
  const TemporaryFolder folder;
  const std::string name(255, 'x');
  write_file(folder / name, "x");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{name});
  EXPECT_THROW(write_file(folder / (name + "x"), "x"), Error);
}

}  // namespace heatproof
