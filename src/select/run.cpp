#include "select/run.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace heatproof {

namespace {

Run run_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  Run run;
  if (!json.is_object()) return {{"what was kept of the run", text}};
  for (const auto& [name, value] : json.items())
    if (const auto* words = value.get_ptr<const std::string*>()) run[name] = *words;
  return run;
}

}  // namespace

std::string to_text(const Run& run) {
  return nlohmann::json(run).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string difference(const std::string& a, const std::string& b) {
  if (a == b) return "";
  Run left = run_of(a);
  Run right = run_of(b);
  for (const auto& [name, value] : right) left.try_emplace(name);
  std::string first;
  std::size_t more = 0;
  for (const auto& [name, value] : left) {
    const std::string other = right[name];
    if (value == other) continue;
    if (first.empty())
      first = fmt::format("{}: {} and {}", name, value, other);
    else
      ++more;
  }
  if (first.empty()) return "what was kept of the run is damaged";
  return more == 0 ? first : fmt::format("{} (and {} more)", first, more);
}

}  // namespace heatproof
