// Text.
#pragma once

#include <string>
#include <string_view>

namespace heatproof {

/// Whether `text` is of the form `pattern`, in which * stands for anything and ? for one character. What the
/// last * stands for grows where the rest does not fit, so that it takes at most |pattern| x |text| steps.
inline bool matches_glob(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t p = 0, t = 0, star = kNone, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

/// Text of at most `most` bytes and an ellipsis: a line must not become as long as what a user or a file
/// wrote. Cut between the characters of UTF-8.
inline std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return std::string(text.substr(0, most)) + "...";
}

/// The text, or its beginning and its end where it is longer than `most` bytes: names and lists of a file may
/// be megabytes long, and messages are lines. No character of UTF-8 is cut apart.
inline std::string abbreviated(std::string_view text, std::size_t most = 60) {
  if (text.size() <= most) return std::string(text);
  const auto inside = [&](std::size_t at) {  // of a character
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  constexpr std::string_view kGap = "...";
  constexpr std::size_t kLongest = 4;  // bytes of a character; more are no UTF-8, and cut anywhere
  const std::size_t kept = most > kGap.size() ? most - kGap.size() : 0;
  std::size_t head = kept - kept / 2;
  std::size_t tail = text.size() - kept / 2;
  for (std::size_t i = 0; i < kLongest && head > 0 && inside(head); ++i) --head;
  for (std::size_t i = 0; i < kLongest && inside(tail); ++i) ++tail;
  return std::string(text.substr(0, head)).append(kGap).append(text.substr(tail));
}

}  // namespace heatproof
