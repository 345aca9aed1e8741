#include "base/spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::size_t kShown = 100;  // bytes of what was written, in errors
/// Far above what anybody writes; each is copied for each combination.
constexpr std::size_t kMostParameters = 256;
constexpr std::size_t kMostCombinations = 2000;  // all pairs of recipes are compared

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

template <typename T>
std::optional<T> parse_number(const std::string& text) {
  T value{};
  if (text.starts_with("+-")) return std::nullopt;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

ParameterValue parse_value(const std::string& owner, const Parameter& p, const std::string& text) {
  const auto fail = [&](const std::string& what) -> UsageError {
    return UsageError(fmt::format("{}: {}={} {}", owner, p.name, abbreviated(text, kShown), what));
  };
  const auto check_range = [&](double value) {
    if (!std::isfinite(value)) throw fail("must be a finite number");
    if ((p.least && value < *p.least) || (p.most && value > *p.most)) {
      const std::string low = p.least ? fmt::format("{}", *p.least) : "-inf";
      const std::string high = p.most ? fmt::format("{}", *p.most) : "inf";
      throw fail(fmt::format("is out of range; it must be in [{}, {}]", low, high));
    }
  };
  if (std::holds_alternative<double>(p.otherwise)) {
    const auto value = parse_number<double>(text);
    if (!value) throw fail("is not a number");
    check_range(*value);
    return *value;
  }
  if (std::holds_alternative<std::int64_t>(p.otherwise)) {
    const auto value = parse_number<std::int64_t>(text);
    if (!value) throw fail("is not a whole number");
    check_range(static_cast<double>(*value));
    return *value;
  }
  if (std::holds_alternative<bool>(p.otherwise)) {
    if (text == "true" || text == "1" || text == "yes") return true;
    if (text == "false" || text == "0" || text == "no") return false;
    throw fail("must be true or false");
  }
  if (!p.words.empty() && std::ranges::find(p.words, text) == p.words.end()) {
    throw fail(fmt::format("is unknown; choose one of {}", fmt::join(p.words, ", ")));
  }
  return text;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<Spec> expand_grid(std::string_view written) {
  const std::string text = abbreviated(std::string(written), kShown);  // for errors
  const std::size_t colon = written.find(':');
  const std::string name(written.substr(0, colon));
  if (!is_word(name)) throw UsageError(fmt::format("'{}' is not of the form name:key=value,key=value", text));
  std::vector<Spec> grid{{name, {}}};
  if (colon == std::string_view::npos) return grid;
  const std::vector<std::string> parts = split(written.substr(colon + 1), ',');
  if (parts.size() > kMostParameters)
    throw UsageError(
        fmt::format("'{}' has {} parameters; no method or metric has as many", text, parts.size()));
  for (const std::string& part : parts) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || !is_word(part.substr(0, equals)) || equals + 1 == part.size()) {
      throw UsageError(
          fmt::format("'{}': '{}' is not of the form key=value", text, abbreviated(part, kShown)));
    }
    const std::string key = part.substr(0, equals);
    const std::vector<std::string> values = split(part.substr(equals + 1), '/');
    if (grid.size() * values.size() > kMostCombinations)
      throw UsageError(
          fmt::format("'{}' has more than {} combinations; give fewer values", text, kMostCombinations));
    std::vector<Spec> larger;
    for (const Spec& spec : grid) {
      if (std::ranges::any_of(spec.parameters, [&](const auto& p) { return p.first == key; })) {
        throw UsageError(fmt::format("'{}': {} is given twice", text, abbreviated(key, kShown)));
      }
      for (const std::string& value : values) {
        if (value.empty())
          throw UsageError(
              fmt::format("'{}': an alternative of {} is empty", text, abbreviated(key, kShown)));
        larger.push_back(spec);
        larger.back().parameters.emplace_back(key, value);
      }
    }
    grid = std::move(larger);
  }
  return grid;
}

Spec parse_spec(std::string_view text) {
  std::vector<Spec> grid = expand_grid(text);
  if (grid.size() != 1)
    throw UsageError(fmt::format("'{}' is a grid of {}; one is wanted here",
                                 abbreviated(std::string(text), kShown), grid.size()));
  return grid[0];
}

Parameters::Parameters(const Spec& spec, std::span<const Parameter> table) {
  for (const Parameter& p : table) values_[p.name] = p.otherwise;
  for (const auto& [key, text] : spec.parameters) {
    const auto it = std::ranges::find(table, key, &Parameter::name);
    if (it == table.end()) {
      std::vector<std::string> known;
      for (const Parameter& p : table) known.push_back(p.name);
      const std::string near = nearest(key, known);
      throw UsageError(fmt::format("{} has no parameter '{}'{}; it has: {}", spec.name,
                                   abbreviated(key, kShown),
                                   near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                                   known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }
    values_[key] = parse_value(spec.name, *it, text);
    given_.insert(key);
  }
}

const ParameterValue& Parameters::at(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) throw Error(fmt::format("parameter '{}' was not declared", name));
  return it->second;
}

std::string to_string(const ParameterValue& value) {
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

std::string canonical(std::string_view name, const Parameters& parameters, std::span<const Parameter> table) {
  std::string text(name);
  char separator = ':';
  for (const Parameter& p : table) {
    const ParameterValue& value = parameters.at(p.name);
    if (value == p.otherwise) continue;
    text += fmt::format("{}{}={}", separator, p.name, to_string(value));
    separator = ',';
  }
  return text;
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  if (word.size() > kShown) return best;  // the distance takes as many steps as both words have letters
  std::size_t distance = word.size() / 2 + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t d = edit_distance(word, candidate);
    if (d < distance) {
      distance = d;
      best = candidate;
    }
  }
  return best;
}

}  // namespace heatproof
