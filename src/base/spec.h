// The one-word grammar of recipes and metrics: `name:key=value,key=value`, with `/` between alternatives of a
// grid.
//
//   std::vector<Spec> grid = expand_grid("deep_taylor:gamma=0/0.25/1,input=zbox");   // three
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace heatproof {

/// A name with parameters as they were written.
struct Spec {
  std::string name;
  std::vector<std::pair<std::string, std::string>> parameters;
};

/// Throws UsageError when the text is not of the form, or has alternatives.
Spec parse_spec(std::string_view text);
/// All combinations of the alternatives; the last parameter varies fastest.
std::vector<Spec> expand_grid(std::string_view text);

using ParameterValue = std::variant<double, std::int64_t, bool, std::string>;

/// Declares a parameter of a method or metric; documentation and errors are made from it.
struct Parameter {
  std::string name;
  ParameterValue otherwise;  // the default, which also fixes the type
  std::string about;
  std::optional<double> least = std::nullopt;
  std::optional<double> most = std::nullopt;
  std::vector<std::string> words = {};  // what a text may be; empty: anything
};

/// Values for every declared parameter.
class Parameters {
 public:
  Parameters() = default;
  /// Throws UsageError for unknown keys, wrong types and values out of range, naming `spec.name`.
  Parameters(const Spec& spec, std::span<const Parameter> table);

  double number(std::string_view name) const { return std::get<double>(at(name)); }
  std::int64_t integer(std::string_view name) const { return std::get<std::int64_t>(at(name)); }
  bool flag(std::string_view name) const { return std::get<bool>(at(name)); }
  const std::string& text(std::string_view name) const { return std::get<std::string>(at(name)); }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  const ParameterValue& at(std::string_view name) const;
  /// Whether a value was written down, be it the default's.
  bool given(std::string_view name) const { return given_.find(name) != given_.end(); }
  bool operator==(const Parameters& other) const { return values_ == other.values_; }

 private:
  std::map<std::string, ParameterValue, std::less<>> values_;
  std::set<std::string, std::less<>> given_;
};

/// `name`, or `name:key=value,...` with every parameter that differs from its default, in the table's order.
std::string canonical(std::string_view name, const Parameters& parameters, std::span<const Parameter> table);
/// Shortest text that reads back as the same value.
std::string to_string(const ParameterValue& value);

/// The candidate that is spelled most like `word`; empty when none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace heatproof
