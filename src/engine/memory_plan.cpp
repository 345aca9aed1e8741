#include "engine/memory_plan.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <set>

namespace heatproof {

namespace {

constexpr std::int64_t kAlignment = 64;
// Each buffer is compared with all that were placed before it, which is a second for so many: explanations of
// the largest networks have some ten thousand.
constexpr std::size_t kMostFitted = 30'000;

struct Lifetime {
  int first = -1;
  int last = -1;
  void include(int time) {
    first = first < 0 ? time : std::min(first, time);
    last = std::max(last, time);
  }
};

/// Memory that nobody uses, between what is used; behind all there is more.
class Gaps {
 public:
  std::int64_t take(std::int64_t bytes) {
    const auto fits = by_size_.lower_bound({bytes, 0});
    if (fits == by_size_.end()) {
      const std::int64_t offset = end_;
      end_ += bytes;
      return offset;
    }
    const auto [size, offset] = *fits;
    remove(offset, size);
    if (size > bytes) add(offset + bytes, size - bytes);
    return offset;
  }

  void give(std::int64_t offset, std::int64_t bytes) {
    const auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.begin()) {
      const auto [before, size] = *std::prev(next);
      if (before + size == offset) remove(before, size), offset = before, bytes += size;
    }
    if (const auto after = by_offset_.find(offset + bytes); after != by_offset_.end()) {
      const std::int64_t size = after->second;
      remove(offset + bytes, size);
      bytes += size;
    }
    add(offset, bytes);
  }

 private:
  void add(std::int64_t offset, std::int64_t bytes) {
    by_offset_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }
  void remove(std::int64_t offset, std::int64_t bytes) {
    by_offset_.erase(offset);
    by_size_.erase({bytes, offset});
  }

  std::map<std::int64_t, std::int64_t> by_offset_;
  std::set<std::pair<std::int64_t, std::int64_t>> by_size_;
  std::int64_t end_ = 0;
};

class Planner {
 public:
  Planner(const std::vector<Buffer>& buffers, const std::vector<Step>& steps)
      : buffers_(buffers), steps_(steps) {
    root_.resize(buffers.size());
    std::iota(root_.begin(), root_.end(), 0);
    lifetimes_.resize(buffers.size());
  }

  void measure(const std::vector<BufferId>& inputs, const std::vector<BufferId>& outputs) {
    const int end = static_cast<int>(steps_.size()) + 1;
    for (BufferId id : inputs) life(id).include(0);
    for (int time = 1; time < end; ++time) {
      const Step& step = steps_[static_cast<std::size_t>(time - 1)];
      for (BufferId id : step.reads) life(id).include(time);
      for (BufferId id : step.writes) life(id).include(time);
    }
    for (BufferId id : outputs) life(id).include(end);
  }

  /// Lets a step overwrite an operand that nobody reads afterwards.
  void share() {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      if (step.replaced_by < 0) continue;
      const int time = static_cast<int>(i) + 1;
      for (BufferId from : step.replaceable) {
        const BufferId old = root(from);
        if (elsewhere(from) || life(old).last != time || old == root(step.replaced_by)) {
          continue;
        }
        if (bytes(old) != bytes(step.replaced_by) || life(step.replaced_by).first != time) continue;
        if (std::ranges::count(step.reads, from) > 1) continue;
        life(old).last = life(step.replaced_by).last;
        root_[static_cast<std::size_t>(step.replaced_by)] = old;
        break;
      }
    }
  }

  MemoryPlan place() {
    std::vector<BufferId> order;
    for (BufferId id = 0; id < static_cast<BufferId>(buffers_.size()); ++id) {
      if (root(id) == id && life(id).first >= 0 && !elsewhere(id)) order.push_back(id);
    }
    MemoryPlan plan;
    plan.offsets.assign(buffers_.size(), -1);
    order.size() <= kMostFitted ? fit(std::move(order), plan) : take_turns(std::move(order), plan);
    for (BufferId id = 0; id < static_cast<BufferId>(buffers_.size()); ++id) {
      plan.offsets[static_cast<std::size_t>(id)] = plan.offsets[static_cast<std::size_t>(root(id))];
    }
    return plan;
  }

 private:
  BufferId root(BufferId id) const {
    while (root_[static_cast<std::size_t>(id)] != id) id = root_[static_cast<std::size_t>(id)];
    return id;
  }
  /// Constants and states have memory of their own.
  bool elsewhere(BufferId id) const {
    const Buffer& buffer = buffers_[static_cast<std::size_t>(id)];
    return buffer.constant != nullptr || buffer.state >= 0;
  }
  Lifetime& life(BufferId id) { return lifetimes_[static_cast<std::size_t>(id)]; }
  std::int64_t bytes(BufferId id) const {
    const auto size = static_cast<std::int64_t>(buffers_[static_cast<std::size_t>(id)].bytes);
    return std::max<std::int64_t>((size + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  }

  /// First fit in the order of decreasing size.
  void fit(std::vector<BufferId> order, MemoryPlan& plan) {
    std::ranges::stable_sort(order, [&](BufferId a, BufferId b) { return bytes(a) > bytes(b); });
    struct Placed {
      std::int64_t begin, end;
      Lifetime life;
    };
    std::vector<Placed> placed;  // by where they begin
    for (BufferId id : order) {
      const Lifetime mine = life(id);
      std::int64_t offset = 0;
      for (const Placed& other : placed) {
        if (other.life.first > mine.last || mine.first > other.life.last) continue;
        if (offset + bytes(id) <= other.begin) break;
        offset = std::max(offset, other.end);
      }
      put(id, offset, plan);
      const auto behind = std::ranges::upper_bound(placed, offset, {}, &Placed::begin);
      placed.insert(behind, {offset, offset + bytes(id), mine});
    }
  }

  /// Step by step: each buffer takes the smallest gap that is large enough when it is first needed, and gives
  /// it back after its last use.
  void take_turns(std::vector<BufferId> order, MemoryPlan& plan) {
    std::ranges::stable_sort(order, {}, [&](BufferId id) { return life(id).first; });
    Gaps gaps;
    using Alive = std::pair<int, BufferId>;  // by their ends
    std::priority_queue<Alive, std::vector<Alive>, std::greater<>> alive;
    for (BufferId id : order) {
      while (!alive.empty() && alive.top().first < life(id).first) {
        const BufferId done = alive.top().second;
        gaps.give(plan.offsets[static_cast<std::size_t>(done)], bytes(done));
        alive.pop();
      }
      put(id, gaps.take(bytes(id)), plan);
      alive.emplace(life(id).last, id);
    }
  }

  void put(BufferId id, std::int64_t offset, MemoryPlan& plan) const {
    plan.offsets[static_cast<std::size_t>(id)] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, static_cast<std::size_t>(offset + bytes(id)));
  }

  const std::vector<Buffer>& buffers_;
  const std::vector<Step>& steps_;
  std::vector<BufferId> root_;
  std::vector<Lifetime> lifetimes_;
};

}  // namespace

MemoryPlan plan_memory(const std::vector<Buffer>& buffers, const std::vector<Step>& steps,
                       const std::vector<BufferId>& inputs, const std::vector<BufferId>& outputs) {
  Planner planner(buffers, steps);
  planner.measure(inputs, outputs);
  planner.share();
  return planner.place();
}

}  // namespace heatproof
