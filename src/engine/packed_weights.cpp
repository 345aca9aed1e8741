#include "engine/packed_weights.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace heatproof {

namespace {

struct Entry {
  std::weak_ptr<void> weights, packed;
  dnnl::memory::desc from, to;

  // An address may be taken by other weights once its own are gone.
  bool alive() const { return !weights.expired() && !packed.expired(); }
};

std::mutex mutex;
std::unordered_map<const void*, std::vector<Entry>> entries;

}  // namespace

std::shared_ptr<void> find_packed(const std::shared_ptr<void>& weights, const dnnl::memory::desc& from,
                                  const dnnl::memory::desc& to) {
  const std::lock_guard lock(mutex);
  const auto found = entries.find(weights.get());
  if (found == entries.end()) return nullptr;
  for (const Entry& e : found->second) {
    if (!e.alive() || e.from != from || e.to != to) continue;
    if (auto packed = e.packed.lock()) return packed;
  }
  return nullptr;
}

void remember_packed(const std::shared_ptr<void>& weights, const dnnl::memory::desc& from,
                     const dnnl::memory::desc& to, const std::shared_ptr<void>& packed) {
  const std::lock_guard lock(mutex);
  for (auto known = entries.begin(); known != entries.end();) {
    std::erase_if(known->second, [](const Entry& e) { return !e.alive(); });
    known = known->second.empty() ? entries.erase(known) : std::next(known);
  }
  entries[weights.get()].push_back({weights, packed, from, to});
}

}  // namespace heatproof
