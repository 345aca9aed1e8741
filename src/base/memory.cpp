#include "base/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

namespace heatproof {

namespace {

/// The sum of some lines of /proc/meminfo, in bytes; 0 where there are none.
std::size_t sum_of(std::initializer_list<std::string_view> wanted) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kilobytes = 0;
  std::size_t sum = 0;
  std::string unit;
  while (file >> key >> kilobytes) {
    if (std::ranges::find(wanted, key) != wanted.end()) sum += kilobytes * 1024;
    std::getline(file, unit);
  }
  return sum;
}

}  // namespace

std::size_t free_memory() { return sum_of({"MemAvailable:"}); }
std::size_t memory_that_can_be_had() {
  const std::size_t free = free_memory();
  return free > 0 ? free + sum_of({"SwapFree:"}) : 0;
}

std::string memory_warning(std::size_t bytes, std::size_t free) {
  if (free == 0 || bytes <= free) return {};
  const auto giga = [](std::size_t n) { return static_cast<double>(n) / (1024.0 * 1024 * 1024); };
  return fmt::format(
      "about {:.1f} GB of memory are needed and {:.1f} GB are free; --memory {}M takes less, by smaller "
      "batches "
      "(scores then differ by rounding)",
      giga(bytes), giga(free), std::max<std::size_t>(64, free / 2 / (1024 * 1024)));
}

}  // namespace heatproof
