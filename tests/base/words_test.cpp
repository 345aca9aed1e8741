// Words, patterns and small files that users write.
#include "base/text.h"

#include <fmt/format.h>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/spec.h"
#include "base/toml_file.h"
#include "heatproof/error.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

TEST(Text, WhatATerminalWouldObeyOrHideIsWrittenOut) {
  EXPECT_EQ(printable("conv1/weight (3×3), \"naïve\" 猫 🦔"),
            "conv1/weight (3×3), \"naïve\" 猫 🦔");
  EXPECT_EQ(printable("a\nb\tc\x1b[2Jd\x7f"), "a\\x0ab\\x09c\\x1b[2Jd\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\u0085\u009b"), "\\u{0085}\\u{009b}");                             // C1 controls
  EXPECT_EQ(printable("a\u202egnp.exe"), "a\\u{202e}gnp.exe");                            // right to left
  EXPECT_EQ(printable("\u2066x\u2069\u200f"), "\\u{2066}x\\u{2069}\\u{200f}");            // isolates
  EXPECT_EQ(printable("\u2028\u2029"), "\\u{2028}\\u{2029}");                             // line separators
  EXPECT_EQ(printable("pay\u200bpal\ufeff\u00ad"), "pay\\u{200b}pal\\u{feff}\\u{00ad}");  // of no width
  EXPECT_EQ(printable("\U000e0041"), "\\u{e0041}");                                       // tags
}

TEST(Text, BytesThatAreNoUtf8AreWrittenOut) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // longer than it needs to be
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // as well
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond the last
  EXPECT_EQ(printable("\xe7\x8c"), "\\xe7\\x8c");                    // cut off
  EXPECT_EQ(printable("\xe7\x8c\xab"), "猫");
}

TEST(Text, JsonKeepsItsValues) {
  EXPECT_EQ(printable_json("{\"\u202ea\u009b\x7f\": \"é猫\U000e0041\", \"b\": 1}\n"),
            "{\"\\u202ea\\u009b\\u007f\": \"é猫\\udb40\\udc41\", \"b\": 1}\n");
}

TEST(Text, LongTextsAreCutInTheMiddleBetweenCharacters) {
  EXPECT_EQ(abbreviated("short", 20), "short");
  EXPECT_EQ(abbreviated("0123456789abcdefghij", 13), "01234...fghij");
  for (std::size_t most = 8; most < 60; ++most) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += i % 2 == 0 ? "猫" : "é";
    const std::string cut = abbreviated(text, most);
    EXPECT_LE(cut.size(), most);
    EXPECT_EQ(printable(cut), cut) << most;
  }
}

TEST(Glob, IsThatOfShells) {
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("**", "layer"));
  EXPECT_TRUE(matches_glob("layer?.*", "layer4.conv1"));
  EXPECT_TRUE(matches_glob("*conv*", "layer4.conv1"));
  EXPECT_TRUE(matches_glob("*ab", "aabab"));
  EXPECT_TRUE(matches_glob("a*b*c", "aXbXbc"));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_FALSE(matches_glob("?", ""));
  EXPECT_FALSE(matches_glob("a*b", "ac"));
  EXPECT_FALSE(matches_glob("layer", "layer4"));
  EXPECT_FALSE(matches_glob("layer4", "layer"));
}

TEST(Glob, TakesNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(matches_glob(pattern + "b", std::string(10000, 'a')));
  EXPECT_TRUE(matches_glob(pattern, std::string(10000, 'a')));
}

TEST(Spec, WordsThatNobodyWritesAreRefusedAtOnceAndShortly) {
  const auto refusal = [](const std::string& text) -> std::string {
    try {
      expand_grid(text);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  std::string many = "1";
  for (int i = 0; i < 60000; ++i) many += "/1";
  std::string keys = "m:k=1";
  for (int i = 0; i < 30000; ++i) keys += fmt::format(",k{}=1", i);
  for (const std::string& text :
       {"m:a=" + many + ",b=" + many, keys, std::string(1 << 20, '('), "m:" + std::string(1 << 20, 'k') + "=",
        "m:k=1,k=" + std::string(1 << 20, '1')}) {
    EXPECT_NE(refusal(text), "");
    EXPECT_LT(refusal(text).size(), 400U);
  }
  EXPECT_EQ(expand_grid("m:a=1/2,b=1/2/3").size(), 6U);
}

TEST(Spec, NumbersAreFiniteAndWhole) {
  const std::vector<Parameter> table{{"x", 0.5, "", 0.0, 10.0}, {"n", std::int64_t{3}, "", 1.0, 1e6}};
  const auto parse = [&](const std::string& key, const std::string& value) {
    return Parameters(Spec{"m", {{key, value}}}, table);
  };
  for (const std::string value :
       {"nan", "inf", "-inf", "1e999", "0x10", "1,5", "+-1", "1 ", " 1", "1e", "", "11", "١"})
    EXPECT_THROW(parse("x", value), UsageError) << value;
  for (const std::string value : {"1.5", "1e3", "99999999999999999999", "0", "-3", "0x1", "3x"})
    EXPECT_THROW(parse("n", value), UsageError) << value;
  EXPECT_EQ(parse("x", "+1e-2").number("x"), 0.01);
  try {
    parse("x", std::string(1 << 20, '9'));
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_LT(std::string(e.what()).size(), 300U);
  }
}

TEST(Spec, NothingIsNearToAVeryLongWord) {
  const std::vector<std::string> known{"gradient"};
  EXPECT_EQ(nearest("gradiant", known), "gradient");
  EXPECT_EQ(nearest(std::string(10 << 20, 'g'), known), "");
}

TEST(TomlFile, DeepNestingIsRefused) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) -> std::string {
    write_file(folder / "a.toml", text);
    try {
      read_toml(folder / "a.toml");
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  };
  const auto repeated = [](const std::string& what, int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text += what;
    return text;
  };
  const int n = 100'000;
  for (const std::string& text :
       {"a = " + repeated("[", n) + repeated("]", n), "a" + repeated(".a", n) + " = 1",
        "[a" + repeated(".a", n) + "]", "[[a" + repeated(" . \"a\"", n) + "]]",
        "a = " + repeated("{a=", n) + "1" + repeated("}", n), "x = '''a'''''\na" + repeated(".a", n) + " = 1",
        "x = \"\"\"\\\"\"\"\"\na" + repeated(".a", n) + " = 1"}) {
    const std::string what = refusal(text);
    EXPECT_NE(what, "") << text.substr(0, 20);
    EXPECT_LT(what.size(), 400U);
  }
  EXPECT_NE(refusal(repeated("# a comment\n", n)), "");  // more than a megabyte
  EXPECT_EQ(refusal("a.b.c = [" + repeated("0.5, ", 1000) + "]\nd = '" + repeated("a.", 1000) + "' # " +
                    repeated("a.", 1000) + "\n"),
            "");
}

TEST(ReadFile, NeverWaitsForAPipeThatNobodyWritesTo) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_file("/dev/zero"), InputError);
  EXPECT_THROW(read_file("/dev/null"), InputError);
  EXPECT_THROW(read_file(folder.path()), InputError);
  EXPECT_THROW(read_file(folder / "none"), InputError);
  const std::string pipe = (folder / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(FileReader{pipe}, InputError);
  std::thread writer([&] { std::ofstream(pipe) << std::string(200'000, 'x'); });
  EXPECT_EQ(read_file(pipe).size(), 200'000U);
  writer.join();
  EXPECT_THROW(read_file(pipe), InputError);
}

TEST(ReadFile, HasALimit) {
  const TemporaryFolder folder;
  write_file(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  EXPECT_THROW(read_file(folder / "a", 4), InputError);
}

}  // namespace heatproof
