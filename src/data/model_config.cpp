// MODEL.toml and label files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <sstream>

#include "base/files.h"
#include "base/spec.h"
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
                                     value.source().begin.line, name, fmt::join(known, ", ")));
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

}  // namespace

Preprocessing read_model_config(const std::filesystem::path& path) {
  toml::table root;
  try {
    root = toml::parse(read_file(path), path.string());
  } catch (const toml::parse_error& e) {
    throw InputError(fmt::format("{}:{}: {}", path.string(), e.source().begin.line, e.description()));
  }
  Preprocessing p;
  const auto* input = root.get_as<toml::table>("input");
  if (input == nullptr) return p;
  const Table table(*input, path.string());
  if (const auto v = table.numbers("resize"); !v.empty()) p.resize = static_cast<std::int64_t>(v[0]);
  if (const auto v = table.numbers("size"); !v.empty()) {
    p.height = static_cast<std::int64_t>(v[0]);
    p.width = static_cast<std::int64_t>(v.back());
  }
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
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    line = trim(line);
    if (line.empty()) continue;
    const std::size_t comma = line.find(',');
    const bool numbered = comma != std::string::npos && comma > 0 &&
                          std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(comma),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!numbered) {
      labels.names_.push_back(line);
      continue;
    }
    const std::size_t index = std::stoul(line.substr(0, std::min<std::size_t>(comma, 7)));
    if (index > 1'000'000) throw InputError(fmt::format("{}: class {} is too large", path.string(), index));
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
    if (names.size() < 5) names.push_back(fmt::format("{} ({})", i, name(i)));
  }
  throw UsageError(partial.empty()
                       ? fmt::format("no class is labelled '{}'; give an index or another label", text)
                       : fmt::format("'{}' fits {} labels: {}; give the index", text, partial.size(),
                                     fmt::join(names, ", ")));
}

}  // namespace heatproof
