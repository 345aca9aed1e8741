// MODEL.toml and label files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/files.h"
#include "base/text.h"
#include "base/toml_file.h"
#include "data/preprocessing.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

class Table {
 public:
  Table(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {
    static const std::vector<std::string> known{"resize", "size", "channels", "range",
                                                "mean",   "std",  "labels"};
    for (const auto& [key, value] : table_) {
      const std::string name(key.str());
      if (std::ranges::count(known, name) == 0) {
        throw InputError(fmt::format("{}:{}: unknown key '{}' in [input]; known are {}", file_,
                                     value.source().begin.line, abbreviated(name, 100),
                                     fmt::join(known, ", ")));
      }
    }
  }

  std::vector<double> numbers(const char* key) const {
    std::vector<double> values;
    const auto* node = table_.get(key);
    if (node == nullptr) return values;
    if (const auto one = node->value<double>()) return {*one};
    if (const auto* array = node->as_array()) {
      for (const auto& item : *array) {
        const auto v = item.value<double>();
        if (!v) fail(key, "must hold numbers only");
        values.push_back(*v);
      }
      return values;
    }
    fail(key, "must be a number or an array of numbers");
  }

  /// Whole numbers of pixels.
  std::vector<std::int64_t> pixels(const char* key) const {
    std::vector<std::int64_t> values;
    for (const double v : numbers(key)) {
      if (!(v >= 1 && v <= 1e9) || v != std::floor(v)) fail(key, "must be whole numbers of pixels");
      values.push_back(static_cast<std::int64_t>(v));
    }
    if (values.size() > 2) fail(key, "must be one number, or height and width");
    return values;
  }

  std::optional<std::string> text(const char* key) const {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    const auto v = node->value<std::string>();
    if (!v) fail(key, "must be text");
    return v;
  }

 private:
  [[noreturn]] void fail(const char* key, const char* what) const {
    throw InputError(fmt::format("{}: [input] {} {}", file_, key, what));
  }

  const toml::table& table_;
  std::string file_;
};

/// Labels of ImageNet's classes with all their synonyms have about a hundred bytes each.
constexpr std::size_t kMostLabels = std::size_t{64} << 20;
constexpr std::size_t kMostLabel = 4096;
constexpr std::size_t kMostClass = 1'000'000;

std::string text_of(const std::filesystem::path& path) {
  std::string text = read_file(path, kMostLabels);
  if (text.find('\0') != std::string::npos)
    throw InputError(fmt::format("{}: is no text; one label per line is expected", path.string()));
  return text;
}

}  // namespace

Preprocessing read_model_config(const std::filesystem::path& path) {
  const toml::table root = read_toml(path);
  Preprocessing p;
  const auto* input = root.get_as<toml::table>("input");
  if (input == nullptr) return p;
  const Table table(*input, path.string());
  if (const auto v = table.pixels("resize"); !v.empty()) p.resize = v[0];
  if (const auto v = table.pixels("size"); !v.empty()) p.height = v[0], p.width = v.back();
  if (const auto v = table.text("channels")) p.channels = *v;
  if (const auto v = table.numbers("range"); !v.empty()) p.range = v[0];
  p.mean = table.numbers("mean");
  p.std = table.numbers("std");
  p.stated = input->contains("range") || input->contains("mean") || input->contains("std");
  if (const auto v = table.text("labels")) p.labels = path.parent_path() / *v;
  try {
    check(p);
  } catch (const UsageError& e) {
    throw InputError(fmt::format("{}: {}", path.string(), e.what()));
  }
  return p;
}

Labels Labels::read(const std::filesystem::path& path) {
  Labels labels;
  std::istringstream in(text_of(path));
  for (std::string line; std::getline(in, line);) {
    line = trim(line);
    if (line.size() > kMostLabel)
      throw InputError(
          fmt::format("{}: a line of {} bytes; one label per line is expected", path.string(), line.size()));
    if (line.empty()) continue;
    const std::size_t comma = line.find(',');
    const bool numbered = comma != std::string::npos && comma > 0 &&
                          std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(comma),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!numbered) {
      labels.names_.push_back(line);
      continue;
    }
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + comma, index);
    if (error != std::errc() || index > kMostClass)
      throw InputError(fmt::format("{}: class {} is too large; at most {} are read", path.string(),
                                   abbreviated(line.substr(0, comma), 30), kMostClass));
    if (labels.names_.size() <= index) labels.names_.resize(index + 1);
    labels.names_[index] = trim(line.substr(comma + 1));
  }
  if (labels.empty())
    throw InputError(fmt::format("{}: no labels; one label per line is expected", path.string()));
  return labels;
}

std::string Labels::name(std::int64_t index) const {
  if (index < 0 || index >= static_cast<std::int64_t>(names_.size())) return fmt::format("class {}", index);
  const std::string& full = names_[static_cast<std::size_t>(index)];
  return full.empty() ? fmt::format("class {}", index) : full.substr(0, full.find(','));
}

std::int64_t Labels::find(const std::string& text) const {
  const std::string wanted = lower(trim(text));
  std::vector<std::int64_t> partial;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    std::istringstream synonyms(lower(names_[i]));
    for (std::string word; std::getline(synonyms, word, ',');) {
      if (trim(word) == wanted) return static_cast<std::int64_t>(i);
    }
    if (lower(names_[i]).find(wanted) != std::string::npos) partial.push_back(static_cast<std::int64_t>(i));
  }
  if (partial.size() == 1) return partial[0];
  std::vector<std::string> names;
  for (std::int64_t i : partial) {
    if (names.size() < 5) names.push_back(fmt::format("{} ({})", i, abbreviated(name(i), 50)));
  }
  throw UsageError(
      partial.empty()
          ? fmt::format("no class is labelled '{}'; give an index or another label", abbreviated(text, 100))
          : fmt::format("'{}' fits {} labels: {}; give the index", abbreviated(text, 100), partial.size(),
                        fmt::join(names, ", ")));
}

}  // namespace heatproof
