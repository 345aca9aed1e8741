#include "engine/states.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/threads.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// Pages of large memory that nobody touches, such as those of slots that stay empty, are never made.
std::shared_ptr<float> zeros(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  void* memory = std::calloc(size + kAlignment, 1);
  if (memory == nullptr)
    throw Error(
        fmt::format("out of memory: {} bytes for values that are kept; use a smaller --memory", size));
  const std::shared_ptr<void> owner(memory, std::free);
  std::size_t room = size + kAlignment;
  return {owner, static_cast<float*>(std::align(kAlignment, size, memory, room))};
}

std::size_t bytes_of_slot(const StatePort& port) {
  return port.bytes() / static_cast<std::size_t>(port.shape[0]);
}

}  // namespace

States::States(std::vector<StatePort> ports) : ports_(std::move(ports)) {
  for (const StatePort& port : ports_) memory_.push_back(zeros(port.bytes()));
}

float* States::memory(const StatePort& port) const {
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (ports_[i].name != port.name) continue;
    if (ports_[i].shape != port.shape || !(ports_[i].layout == port.layout))
      throw Error(fmt::format("state '{}' is kept as {} {}, the program takes it as {} {}", port.name,
                              to_string(ports_[i].shape), to_string(ports_[i].layout), to_string(port.shape),
                              to_string(port.layout)));
    return memory_[i].get();
  }
  throw Error(fmt::format("state '{}' of the program is not kept", port.name));
}

void States::copy_slot(std::int64_t from, std::int64_t to) {
  if (from == to) return;
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const std::size_t bytes = bytes_of_slot(ports_[i]);
    char* base = reinterpret_cast<char*>(memory_[i].get());
    const char* source = base + static_cast<std::size_t>(from) * bytes;
    char* target = base + static_cast<std::size_t>(to) * bytes;
    const auto pieces = static_cast<std::int64_t>((bytes + kPiece - 1) / kPiece);
    parallel_for(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
      const std::size_t first = static_cast<std::size_t>(begin) * kPiece;
      const std::size_t last = std::min(bytes, static_cast<std::size_t>(end) * kPiece);
      std::memcpy(target + first, source + first, last - first);
    });
  }
}

std::size_t slot_bytes(const std::vector<StatePort>& ports) {
  std::size_t sum = 0;
  for (const StatePort& port : ports) sum += bytes_of_slot(port);
  return sum;
}

}  // namespace heatproof
