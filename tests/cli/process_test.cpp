// What surrounds the program: descriptors, signals, disks, files of other runs, names that were chosen to
// mislead.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/text.h"
#include "data/npy.h"
#include "store/results.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

const std::string kProgram = HEATPROOF_PROGRAM;
const std::string kModel = shapes("shapes.onnx").string();
const std::string kImages = shapes("images").string();

std::string image() { return shapes("images/00_circle.png").string(); }

std::string quick_select(const std::filesystem::path& out) {
  return "select " + kModel + " " + kImages +
         " --recipe gradient --metric pixel_flipping:patch=16,steps=4 --quiet --out " + out.string();
}

/// How a line of the shell ends, in which $H is the program, and what it prints.
Outcome shell(const std::string& line) {
  const TemporaryFolder folder;
  ::setenv("H", kProgram.c_str(), 1);
  const std::string all =
      "{ " + line + "\n} >" + (folder / "out").string() + " 2>" + (folder / "err").string();
  const int status = ::system(all.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(folder / "out"),
          read_file(folder / "err")};
}

/// One line that a terminal can show.
void expect_line(const std::string& err) {
  EXPECT_EQ(std::ranges::count(err, '\n'), 1) << err;
  EXPECT_TRUE(err.starts_with("heatproof: ") && err.ends_with("\n") && err.size() <= 500) << err;
  EXPECT_EQ(printable(err.substr(0, err.size() - 1)), err.substr(0, err.size() - 1));
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

/// Starts the program in the background.
pid_t start(const std::string& arguments, const std::string& err = "/dev/null") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", ("exec " + kProgram + " " + arguments + " >/dev/null 2>" + err).c_str(),
            nullptr);
    ::_exit(127);
  }
  return child;
}

/// Whether a process has opened a file of this name.
bool holds(pid_t child, const std::string& name) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(child) + "/fd", error))
    if (std::filesystem::read_symlink(entry.path(), error).filename() == name) return true;
  return false;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST(Process, ErrorsNeedNoStderrAndNoStdout) {
  for (const char* streams : {"2>/dev/full", ">/dev/full", "2>&-", ">&-", "<&-", "<&- >&- 2>&-"})
    EXPECT_EQ(shell(std::string("$H inspect /nope ") + streams).code, 3) << streams;
}

TEST(Process, WhatCannotBePrintedIsAnError) {
  for (const std::string what :
       {"list recipes", "list recipes --json", "--help", "--version", "run --help"}) {
    for (const char* streams : {">/dev/full", ">&-"}) {
      const Outcome o = shell("$H " + what + " " + streams);
      EXPECT_EQ(o.code, 1) << what << streams;
      expect_line(o.err);
    }
  }
}

TEST(Process, AReaderThatLeavesIsNoError) {
  for (const std::string& what :
       std::vector<std::string>{"list recipes", "list recipes --json", "inspect " + kModel}) {
    const Outcome o = shell("{ $H " + what + "; echo $? >&2; } | true");
    EXPECT_EQ(o.err, "0\n") << what;
  }
  const TemporaryFolder folder;  // what was asked for besides is there
  const Outcome o = shell("$H explain " + kModel + " " + image() + " --recipe gradient --raw " +
                          (folder / "a.npy").string() + " --json | true");
  EXPECT_EQ(o.err, "");
  EXPECT_EQ(read_npy(folder / "a.npy").shape()[0], 1);
}

TEST(Process, AFileMayNotTakeThePlaceOfAStreamThatWasClosed) {
  const TemporaryFolder folder;
  const std::string out = (folder / "a.npy").string();
  shell("$H explain " + kModel + " " + image() + " --recipe gradient --raw " + out + " <&- >&- 2>&-");
  EXPECT_EQ(read_npy(out).shape()[0], 1);
}

TEST(Process, FilesThatMayNotGrowAreOneLineAndNothingIsLeft) {
  const TemporaryFolder folder;
  const std::string out = folder / "o";
  for (const std::string& what :
       {quick_select(out), "explain " + kModel + " " + image() + " --recipe gradient --out " + out,
        "explain " + kModel + " " + image() + " --recipe gradient --raw " + out + "/a.npy",
        "synth shapes --count 2 --out " + out,
        "check " + kModel + " " + image() + " --recipe gradient --out " + out}) {
    const Outcome o = shell("(ulimit -f 0; $H " + what + " >/dev/null) 2>&1 | cat; :");
    expect_line(o.out);
    std::error_code none;  // of the files; folders may be there
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out, none))
      EXPECT_TRUE(entry.is_directory()) << what << entry.path();
  }
  EXPECT_EQ(shell("ulimit -f 0; $H " + quick_select(out)).code, 1);
}

TEST(Process, SignalsSayHowToGoOnAndLoseNothing) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof(quick_select(folder / "whole")).code, 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const pid_t child = start(quick_select(folder / "o"), folder / "err");
    for (int wait = 0; wait < 5000 && !holds(child, "results.sqlite"); ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ::kill(child, signal);
    const int code = wait_for(child);
    if (code == 0) continue;  // it was faster
    EXPECT_EQ(code, 1);
    const std::string err = read_file(folder / "err");
    expect_line(err);
    EXPECT_NE(err.find("o/results.sqlite; run the same command again"), std::string::npos) << err;
  }
  ASSERT_EQ(heatproof(quick_select(folder / "o")).code, 0);
  EXPECT_EQ(names_in(folder / "o"), names_in(folder / "whole"));
  for (const char* file : {"results.sqlite", "report.html", "recipe.toml"})
    EXPECT_EQ(read_file(folder / "o" / file), read_file(folder / "whole" / file)) << file;
}

TEST(Process, IgnoredSignalsStayIgnored) {
  const Outcome o = shell("trap '' HUP; $H list recipes >/dev/null & wait $!; (trap '' TERM; $H inspect " +
                          kModel + " >/dev/null & kill -TERM $!; wait $!)");
  EXPECT_EQ(o.code, 0) << o.err;
}

TEST(Process, ASecondSelectionInTheSameFolderIsRefused) {
  const TemporaryFolder folder;
  Results held(folder / "o/results.sqlite");
  const Outcome o = heatproof(quick_select(folder / "o"));
  EXPECT_EQ(o.code, 1);
  expect_line(o.err);
  EXPECT_NE(o.err.find("in use"), std::string::npos) << o.err;
  EXPECT_TRUE(std::filesystem::exists(folder / "o/results.sqlite"));
}

TEST(Process, ReportAndMergeChangeNothingThatTheyRead) {
  const TemporaryFolder folder;
  for (const char* part : {"1", "2"})
    ASSERT_EQ(heatproof(quick_select(folder / part) + " --shard " + part + "/2").code, 0);
  ASSERT_EQ(heatproof(quick_select(folder / "whole")).code, 0);
  std::map<std::string, std::string> before;
  for (const char* part : {"1", "2", "whole"}) {
    before[part] = read_file(folder / part / "results.sqlite");
    std::filesystem::permissions(folder / part,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  }
  const std::string parts =
      (folder / "1/results.sqlite").string() + " " + (folder / "2/results.sqlite").string();
  EXPECT_EQ(heatproof("merge " + parts + " --output " + (folder / "o/results.sqlite").string()).code, 0);
  EXPECT_EQ(
      heatproof("report " + (folder / "whole/results.sqlite").string() + " --out " + (folder / "o").string())
          .code,
      0);
  for (const char* part : {"1", "2", "whole"}) {
    std::filesystem::permissions(folder / part, std::filesystem::perms::owner_all);
    EXPECT_EQ(read_file(folder / part / "results.sqlite"), before[part]);
    EXPECT_EQ(names_in(folder / part).contains("results.sqlite-journal"), false);
  }
  // A part is no report, and says what to do.
  const Outcome o =
      heatproof("report " + (folder / "1/results.sqlite").string() + " --out " + (folder / "o2").string());
  EXPECT_EQ(o.code, 3);
  EXPECT_NE(o.err.find("without --shard"), std::string::npos) << o.err;
  // The output is none of the inputs, and no part is given twice.
  EXPECT_EQ(heatproof("merge " + parts + " --output " + (folder / "1/results.sqlite").string()).code, 2);
  EXPECT_EQ(heatproof("merge " + parts + " " + (folder / "1/results.sqlite").string() + " --output " +
                      (folder / "o3").string())
                .code,
            2);
  EXPECT_EQ(read_file(folder / "1/results.sqlite"), before["1"]);
  // Merged once more, the same bytes; what cannot be joined leaves the old file.
  const std::string merged = read_file(folder / "o/results.sqlite");
  EXPECT_EQ(heatproof("merge " + parts + " --output " + (folder / "o/results.sqlite").string()).code, 0);
  EXPECT_EQ(read_file(folder / "o/results.sqlite"), merged);
  EXPECT_EQ(
      heatproof("merge " + parts + " " + kModel + " --output " + (folder / "o/results.sqlite").string()).code,
      3);
  EXPECT_EQ(read_file(folder / "o/results.sqlite"), merged);
}

TEST(Process, ResultsAreNeitherWrittenThroughLinksNorInPlaceOfDevices) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  std::filesystem::create_symlink(folder / "elsewhere.sqlite", folder / "a/results.sqlite");
  EXPECT_EQ(heatproof(quick_select(folder / "a")).code, 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "elsewhere.sqlite"));
  ASSERT_EQ(heatproof(quick_select(folder / "1") + " --shard 1/2").code, 0);
  const std::string pipe = (folder / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(heatproof("merge " + (folder / "1/results.sqlite").string() + " --output " + pipe).code, 2);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(Process, WhatIsReadIsNotReplaced) {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& name, const std::string& from) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::filesystem::copy_file(from, folder / name);
  };
  put("m.onnx", kModel);
  write_file(folder / "m.toml", "[input]\nrange = 1\nlabels = \"labels.txt\"\n");
  write_file(folder / "labels.txt", "a\nb\nc\n");
  write_file(folder / "recipe.toml", "recipe = \"gradient\"\n");
  write_file(folder / "space.toml", "recipes = [\"gradient\"]\n");
  for (const char* name : {"im/a.png", "im/b.png"}) put(name, kImages + "/00_circle.png");
  const auto at = [&](const std::string& name) { return (folder / name).string(); };
  std::filesystem::create_directory(folder / "o");
  std::filesystem::copy_file(folder / "space.toml", folder / "o/recipe.toml");
  const std::string run = "run " + at("m.onnx") + " " + at("im") + " --output ";
  const std::string explain =
      "explain " + at("m.onnx") + " " + at("im") + " --recipe " + at("recipe.toml") + " --raw ";
  for (const std::string& command :
       {run + at("m.toml"), run + at("labels.txt"), run + at("im/a.png"), run + at("m.onnx"),
        explain + at("recipe.toml"), explain + at("im/b.png"), explain + at("labels.txt"),
        "select " + at("m.onnx") + " " + at("im") + " --space " + at("o/recipe.toml") + " --out " +
            at("o")}) {
    const Outcome o = heatproof(command);
    EXPECT_EQ(o.code, 2) << command << o.err;
    EXPECT_NE(o.err.find("is read, and would be replaced"), std::string::npos) << o.err;
  }
  EXPECT_EQ(read_file(folder / "labels.txt"), "a\nb\nc\n");
  EXPECT_EQ(heatproof(explain + at("im/new.npy")).code, 0);
  EXPECT_EQ(heatproof(explain + at("im/new.npy")).code, 0);  // its own result of before
}

TEST(Process, PhotosOfBareAndLongNames) {
  const TemporaryFolder folder;
  const std::string longest(250, 'n');
  for (const std::string& name : {std::string("a"), longest})
    std::filesystem::copy_file(kImages + "/00_circle.png", folder / (name + ".png"));
  const std::string here = "cd " + folder.path().string() + " && ";
  const std::string settings = " --recipe gradient --metric conservation";
  EXPECT_EQ(shell(here + "$H check " + kModel + " a.png" + settings).code, 0);
  EXPECT_EQ(heatproof("check " + kModel + " " + folder.path().string() + settings).code, 0);
}

TEST(Process, PartsOfOtherRunsAreNotMerged) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof(quick_select(folder / "1") + " --shard 1/2").code, 0);
  const std::vector<std::pair<std::string, std::string>> others = {
      {"--seed 1", "seed: 0 and 1"},
      {"--metric pixel_flipping:patch=32,steps=4", "metric: pixel_flipping:patch=16,steps=4 and"},
      {"--metric pixel_flipping:patch=16,steps=4,imputer=blur", "imputer"},
      {"--range 255", "images, targets and masks"},
      {"--target 1", "images, targets and masks"},
      {"--reliability", "reliability"}};
  for (const auto& [flags, what] : others) {
    std::string command = quick_select(folder / "2") + " --shard 2/2 ";
    if (flags.starts_with("--metric")) {
      const auto at = command.find("--metric");
      command.erase(at, command.find("--quiet") - at);
    }
    ASSERT_EQ(heatproof(command + flags).code, 0) << flags;
    const Outcome o =
        heatproof("merge " + (folder / "1/results.sqlite").string() + " " +
                  (folder / "2/results.sqlite").string() + " --output " + (folder / "m").string());
    EXPECT_EQ(o.code, 1) << flags;
    EXPECT_NE(o.err.find(what), std::string::npos) << flags << ": " << o.err;
    expect_line(o.err);
    EXPECT_FALSE(std::filesystem::exists(folder / "m"));
    std::filesystem::remove_all(folder / "2");
  }
}

TEST(Process, PicturesOfInputsWithSimilarNamesAreKeptApart) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "in");
  const std::string bytes = read_file(image());
  const std::string longest = std::string(251, 'x') + ".png";
  const std::string other = std::string(250, 'x') + "y.png";
  const std::vector<std::string> names = {"a b.png", "a_b.png", "c d.png",  "e.png",         "E.png",
                                          longest,   other,     "\xff.png", "\n\x1b[2J.png", "n\n.png"};
  for (const std::string& name : names) write_file(folder / "in" / name, bytes);
  const std::string command = "explain " + kModel + " '" + (folder / "in").string() +
                              "' --recipe gradient --out " + (folder / "o").string();
  const Outcome o = heatproof(command + " --json");
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(json::parse(o.out)["files"].size(), 2 * names.size());
  const std::set<std::string> files = names_in(folder / "o");
  EXPECT_EQ(files.size(), 2 * names.size());
  std::set<std::string> folded;
  for (std::string name : files) {
    EXPECT_EQ(printable(name), name);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    folded.insert(name);
  }
  EXPECT_EQ(folded.size(), files.size());
  // What was unique keeps the name that it had.
  for (const char* name : {"a_b.png", "c_d.png", "E.png"})
    EXPECT_TRUE(files.contains(name + std::string(".heatmap.png")));
  std::filesystem::remove_all(folder / "o");
  ASSERT_EQ(heatproof(command + " --quiet").code, 0);
  EXPECT_EQ(names_in(folder / "o"), files);
  const Outcome text = heatproof(command);  // a line per input
  EXPECT_EQ(std::ranges::count(text.out, '\n'), static_cast<std::ptrdiff_t>(names.size()));
  EXPECT_EQ(text.out.find('\x1b'), std::string::npos);
}

TEST(Process, InputsAreNotReplacedByResults) {
  const TemporaryFolder folder;
  write_file(folder / "a.png", read_file(image()));
  const std::string explain = "explain " + kModel + " " + folder.path().string() +
                              " --recipe gradient --out " + folder.path().string();
  ASSERT_EQ(heatproof(explain).code, 0);
  const std::string drawn = read_file(folder / "a.png.heatmap.png");
  EXPECT_EQ(heatproof(explain).code, 2);
  EXPECT_EQ(read_file(folder / "a.png.heatmap.png"), drawn);
  const std::string x = folder / "x.npy";
  ASSERT_EQ(heatproof("explain " + kModel + " " + image() + " --recipe gradient --raw " + x).code, 0);
  const std::string array = read_file(x);
  EXPECT_EQ(heatproof("explain " + kModel + " " + x + " --recipe gradient --raw " + x).code, 2);
  EXPECT_EQ(heatproof("run " + kModel + " " + x + " --output " + x).code, 2);
  EXPECT_EQ(read_file(x), array);
}

TEST(Process, ADamagedCellIsNamedAndNothingIsConcluded) {
  const TemporaryFolder folder;
  ASSERT_EQ(heatproof(quick_select(folder / "o")).code, 0);
  std::string bytes = read_file(folder / "o/results.sqlite");
  const auto at = bytes.find("pixel_flipping:patch=16");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 22] = '7';
  write_file(folder / "o/results.sqlite", bytes);
  for (const std::string& command :
       {quick_select(folder / "o"),
        "report " + (folder / "o/results.sqlite").string() + " --out " + (folder / "r").string(),
        "merge " + (folder / "o/results.sqlite").string() + " --output " + (folder / "m").string()}) {
    const Outcome o = heatproof(command);
    EXPECT_EQ(o.code, 3) << command;
    expect_line(o.err);
    EXPECT_NE(o.err.find("damaged"), std::string::npos) << o.err;
  }
  EXPECT_EQ(read_file(folder / "o/results.sqlite"), bytes);
}

TEST(Process, ReportsThatWereMadeUpAreRefused) {
  const TemporaryFolder folder;
  const std::string file = folder / "r.sqlite";
  std::string deep(100000, '[');
  deep += std::string(100000, ']');
  const std::vector<std::string> made_up = {"",
                                            "{}",
                                            "[]",
                                            "null",
                                            "{",
                                            "\xff",
                                            deep,
                                            "{\"model\":" + deep + "}",
                                            "{\"model\": \"m\", \"images\": -1}"};
  for (const std::string& text : made_up) {
    std::filesystem::remove(file);
    {
      Results r(file);
      r.set("report", text);
    }
    const Outcome o = heatproof("report " + file + " --out " + (folder / "o").string());
    EXPECT_EQ(o.code, 3) << text.substr(0, 50);
    expect_line(o.err);
  }
}

TEST(Process, PlacesThatCannotBeWrittenAreOneLine) {
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  std::filesystem::create_symlink("loop", folder / "loop");
  std::string deep;
  for (int i = 0; i < 50; ++i) deep += "/" + std::string(100, 'd');
  for (const std::string& out :
       {(folder / "file").string(), std::string("/dev/full"), std::string("/dev/null"),
        std::string("/proc/x"), (folder / "loop").string(), deep}) {
    for (const std::string& command :
         {quick_select(out), "explain " + kModel + " " + image() + " --recipe gradient --quiet --out " + out,
          "check " + kModel + " " + image() + " --recipe gradient --metric sparseness --quiet --out " + out,
          "synth shapes --count 1 --quiet --out " + out, "merge " + kModel + " --output " + out + "/r"}) {
      const Outcome o = heatproof(command);
      EXPECT_TRUE(o.code == 1 || (o.code == 3 && command.starts_with("merge"))) << command << o.code;
      expect_line(o.err);
    }
  }
  EXPECT_EQ(read_file(folder / "file"), "x");
}

TEST(Process, ArgumentsOfAnyLengthAreOneShortLine) {
  const std::string a(20000, 'a');
  for (const std::string& line :
       std::vector<std::string>{a, "run " + a + " x", "--" + a, "run " + a + " " + a + " " + a + " " + a,
                                "explain m i --recipe " + a, "--seed 99999999999999999999 list rules",
                                "list rules --threads 1 --threads 2", "list $(printf 'x\\033[31m\\n\\377')",
                                "select '' /nonexistent"}) {
    const Outcome o = heatproof(line);
    EXPECT_TRUE(o.code == 2 || o.code == 3) << line.substr(0, 50);
    expect_line(o.err);
  }
}

}  // namespace heatproof
