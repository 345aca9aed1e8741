#include "cli/file_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "base/files.h"
#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof::cli {

namespace {

constexpr std::size_t kLongest = 255;  // bytes of a name, on all common file systems
constexpr std::size_t kDigits = 12;    // of the hash

std::string replaced_in(std::string_view name, std::string_view replaced) {
  std::string out;
  while (!name.empty()) {
    const std::size_t length = utf8_length(name);
    const std::string_view character = name.substr(0, std::max<std::size_t>(1, length));
    const auto byte = static_cast<unsigned char>(character[0]);
    const bool kept = length > 1 || (length == 1 && byte >= 0x20 && byte != 0x7f && byte != '/' &&
                                     replaced.find(character[0]) == std::string_view::npos);
    out += kept ? character : "_";
    name.remove_prefix(character.size());
  }
  return out;
}

/// Alike on file systems that do not tell upper from lower case.
std::string folded(std::string name) {
  std::ranges::transform(name, name.begin(),
                         [](char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

std::string marked(const std::string& name, const std::string& original, std::size_t room) {
  const std::string mark = "~" + sha256(original).substr(0, kDigits);
  std::size_t length = std::min(name.size(), kLongest - room - mark.size());
  while (length < name.size() && length > 0 && (static_cast<unsigned char>(name[length]) & 0xc0U) == 0x80)
    --length;
  return name.substr(0, length) + mark;
}

}  // namespace

std::vector<std::string> file_names(std::span<const std::string> names, std::string_view replaced,
                                    std::size_t room) {
  std::vector<std::string> files;
  for (const std::string& name : names) files.push_back(replaced_in(name, replaced));
  // Who needs no change comes first, so that it keeps its name.
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::tuple(files[i] != names[i], names[i], i); });
  std::set<std::string> taken;
  std::vector<std::size_t> others;
  for (const std::size_t i : order) {
    const bool fits = !files[i].empty() && files[i].size() + room <= kLongest;
    if (!fits || !taken.insert(folded(files[i])).second) others.push_back(i);
  }
  for (const std::size_t i : others) {
    const std::string start = files[i];
    std::string original = names[i];
    do {
      files[i] = marked(start, original, room);
      original += '\0';  // where that is a name of another input, or the same name comes twice
    } while (!taken.insert(folded(files[i])).second);
  }
  return files;
}

void must_not_replace(const std::string& flag, const std::filesystem::path& path,
                      std::span<const std::filesystem::path> inputs) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return;
  const auto refuse = [&] {
    throw UsageError(
        fmt::format("{}: {} is read, and would be replaced; choose another place", flag, path.string()));
  };
  for (const std::filesystem::path& input : inputs) {
    if (std::filesystem::equivalent(path, input, error)) refuse();
    // Arrays in a folder of pictures are not read.
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    if (path.extension() != ".npy" && std::filesystem::is_directory(input, error) &&
        std::filesystem::equivalent(folder, input, error))
      refuse();
  }
}

}  // namespace heatproof::cli
