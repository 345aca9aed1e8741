#include "base/text.h"

#include <gtest/gtest.h>

namespace heatproof {

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

TEST(Text, LongTextsAreCutInTheMiddleBetweenCharacters) {
  EXPECT_EQ(shortened("short", 20), "short");
  EXPECT_EQ(shortened("0123456789abcdefghij", 17), "01234 [...] fghij");
  for (std::size_t most = 8; most < 60; ++most) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += i % 2 == 0 ? "猫" : "é";
    const std::string cut = shortened(text, most);
    EXPECT_LE(cut.size(), most);
    EXPECT_EQ(printable(cut), cut) << most;
  }
}

}  // namespace heatproof
