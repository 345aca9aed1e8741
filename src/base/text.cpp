#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace heatproof {

namespace {

struct Range {
  char32_t first, last;
};

/// Controls, what cannot be seen, and what changes the direction of all that follows (Unicode's Cc, Cf, Zl,
/// Zp, and fillers). Joiners within emoji are escaped, too: they tell apart names that look the same.
constexpr Range kUnseen[] = {{0x00, 0x1f},       {0x7f, 0x9f},      {0xad, 0xad},     {0x34f, 0x34f},
                             {0x61c, 0x61c},     {0x115f, 0x1160},  {0x17b4, 0x17b5}, {0x180b, 0x180f},
                             {0x200b, 0x200f},   {0x2028, 0x202e},  {0x2060, 0x206f}, {0x3164, 0x3164},
                             {0xfeff, 0xfeff},   {0xffa0, 0xffa0},  {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3},
                             {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

char32_t decoded(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0);
  char32_t point = byte(0) & (0x7fU >> character.size());
  for (std::size_t i = 1; i < character.size(); ++i) point = point << 6 | (byte(i) & 0x3fU);
  return point;
}

bool is_unseen(char32_t point) {
  return std::ranges::any_of(kUnseen, [&](const Range& r) { return r.first <= point && point <= r.last; });
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80) return 0;
  if (length < 3) return length;
  const char32_t point = decoded(text.substr(0, length));
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return point < (length == 3 ? 0x800U : 0x10000U) || surrogate || point > 0x10ffff ? 0 : length;
}

std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const std::string_view character = json.substr(0, std::max<std::size_t>(1, utf8_length(json)));
    char32_t point = decoded(character);
    json.remove_prefix(character.size());
    if (point < 0x7f || !is_unseen(point)) {
      out += character;
      continue;
    }
    if (point > 0xffff) {  // two of UTF-16
      fmt::format_to(std::back_inserter(out), "\\u{:04x}",
                     static_cast<std::uint32_t>(0xd7c0 + (point >> 10)));
      point = 0xdc00 | (point & 0x3ff);
    }
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(point));
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, length));
    const char32_t point = length > 0 ? decoded(character) : 0;
    if (length == 0 || (length == 1 && is_unseen(point)))
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(character[0]));
    else if (is_unseen(point))
      fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", static_cast<std::uint32_t>(point));
    else
      out += character;
    text.remove_prefix(character.size());
  }
  return out;
}

std::string abbreviated(std::string_view text, std::size_t most) {
  const auto whole = [](std::string words) {
    std::ranges::replace(words, '\0', '?');
    return words;
  };
  if (text.size() <= most) return whole(std::string(text));
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
  return whole(std::string(text.substr(0, head)).append(kGap).append(text.substr(tail)));
}

}  // namespace heatproof
