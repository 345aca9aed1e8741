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

}  // namespace heatproof
