// Text.
#pragma once

#include <string_view>

namespace heatproof {

/// Whether `text` is of the form `pattern`, in which * stands for anything and ? for one character.
inline bool matches_glob(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return matches_glob(pattern.substr(1), text) || (!text.empty() && matches_glob(pattern, text.substr(1)));
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         matches_glob(pattern.substr(1), text.substr(1));
}

}  // namespace heatproof
