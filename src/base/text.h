// Text.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace heatproof {

/// `text` as a terminal may show it, in one line: characters that control (new lines, escapes, directions of
/// writing), that cannot be seen, and bytes that are no UTF-8 become \xNN or \u{NNNN}; all else stays.
/// Names come from files, and may have been chosen to hide what is said of them.
std::string printable(std::string_view text);

/// The same of a JSON document, which stays one of the same values: escapes are those of JSON.
std::string printable_json(std::string_view json);

/// The text, or its beginning and its end where it is longer than `most` bytes: names and lists of a file may
/// be megabytes long, and messages are lines. No character of UTF-8 is cut apart; zero bytes, which would end
/// a message, become '?'.
std::string abbreviated(std::string_view text, std::size_t most = 60);

/// The length of the character of UTF-8 that `text` starts with; 0 where it starts with none.
std::size_t utf8_length(std::string_view text);

/// Whether `text` is of the form `pattern`, in which * stands for anything and ? for one character. What the
/// last * stands for grows where the rest does not fit, so that it takes at most |pattern| x |text| steps.
inline bool matches_glob(std::string_view pattern, std::string_view text) {
  constexpr std::size_t nowhere = std::string_view::npos;
  std::size_t p = 0, t = 0, star = nowhere, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != nowhere) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == nowhere;
}

}  // namespace heatproof
