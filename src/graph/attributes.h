// Attributes of a node: a small ordered map of names to values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "heatproof/error.h"

namespace heatproof {

using Attribute =
    std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;

/// Ordered by name, so that equal attributes print and compare equal.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Attribute>> items) : items_(items) {}

  bool has(std::string_view name) const { return items_.find(name) != items_.end(); }
  void set(std::string name, Attribute value) { items_.insert_or_assign(std::move(name), std::move(value)); }
  void erase(std::string_view name) {
    if (auto it = items_.find(name); it != items_.end()) items_.erase(it);
  }

  std::int64_t integer(std::string_view name, std::int64_t otherwise) const { return get(name, otherwise); }
  double number(std::string_view name, double otherwise) const;
  std::string text(std::string_view name, std::string otherwise) const {
    return get(name, std::move(otherwise));
  }
  std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> otherwise = {}) const {
    return get(name, std::move(otherwise));
  }

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  bool operator==(const Attributes&) const = default;

 private:
  template <typename T>
  T get(std::string_view name, T otherwise) const {
    auto it = items_.find(name);
    if (it == items_.end()) return otherwise;
    if (const T* value = std::get_if<T>(&it->second)) return *value;
    throw Error("attribute '" + std::string(name) + "' has the wrong type");
  }

  std::map<std::string, Attribute, std::less<>> items_;
};

/// "strides=[2,2] group=1"
std::string to_string(const Attributes& attributes);

}  // namespace heatproof
