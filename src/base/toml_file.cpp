#include "base/toml_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr int kMostDots = 16;  // of a key; values are nested by at most 256 (toml++)

/// Where the text that starts at `begin` with a quote ends: behind its last quote, or at the end of the line.
std::size_t end_of_text(std::string_view toml, std::size_t begin) {
  const char quote = toml[begin];
  const std::string three(3, quote);
  const bool lines = toml.substr(begin).starts_with(three);
  for (std::size_t i = begin + (lines ? 3 : 1); i < toml.size(); ++i) {
    if (quote == '"' && toml[i] == '\\') {
      ++i;
    } else if (lines && toml.substr(i).starts_with(three)) {
      i += 3;
      for (int more = 0; more < 2 && i < toml.size() && toml[i] == quote; ++more) ++i;
      return i;
    } else if (!lines && (toml[i] == quote || toml[i] == '\n')) {
      return toml[i] == quote ? i + 1 : i;
    }
  }
  return toml.size();
}

void check_keys_are_flat(std::string_view toml, const std::string& file) {
  int dots = 0;
  for (std::size_t i = 0; i < toml.size();) {
    const char c = toml[i];
    if (c == '"' || c == '\'') {
      i = end_of_text(toml, i);
      continue;
    }
    if (c == '#') {
      i = std::min(toml.find('\n', i), toml.size());
      continue;
    }
    if (c == '.') ++dots;
    if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots = 0;
    if (dots > kMostDots)
      throw InputError(fmt::format(
          "{}:{}: a key has more than {} parts", file,
          1 + std::count(toml.begin(), toml.begin() + static_cast<std::ptrdiff_t>(i), '\n'), kMostDots));
    ++i;
  }
}

}  // namespace

toml::table read_toml(const std::filesystem::path& path) {
  const std::string file = path.string();
  const std::string text = read_file(path, kMostBytes);
  check_keys_are_flat(text, file);
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& e) {
    throw InputError(fmt::format("{}:{}: {}", file, e.source().begin.line,
                                 abbreviated(std::string(e.description()), 200)));
  }
}

}  // namespace heatproof
