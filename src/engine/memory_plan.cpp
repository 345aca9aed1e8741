#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace heatproof {

namespace {

constexpr std::int64_t kAlignment = 64;

struct Lifetime {
  int first = -1;
  int last = -1;
  void include(int time) {
    first = first < 0 ? time : std::min(first, time);
    last = std::max(last, time);
  }
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
    std::ranges::stable_sort(order, [&](BufferId a, BufferId b) { return bytes(a) > bytes(b); });
    MemoryPlan plan;
    plan.offsets.assign(buffers_.size(), -1);
    std::vector<BufferId> placed;
    for (BufferId id : order) {
      const std::int64_t offset = first_fit(id, placed, plan.offsets);
      plan.offsets[static_cast<std::size_t>(id)] = offset;
      plan.arena_bytes = std::max(plan.arena_bytes, static_cast<std::size_t>(offset + bytes(id)));
      placed.push_back(id);
    }
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

  std::int64_t first_fit(BufferId id, const std::vector<BufferId>& placed,
                         const std::vector<std::int64_t>& offsets) {
    std::vector<std::pair<std::int64_t, std::int64_t>>
        taken;  // [begin, end) of buffers alive at the same time
    for (BufferId other : placed) {
      if (life(other).first > life(id).last || life(id).first > life(other).last) continue;
      const std::int64_t begin = offsets[static_cast<std::size_t>(other)];
      taken.emplace_back(begin, begin + bytes(other));
    }
    std::ranges::sort(taken);
    std::int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + bytes(id) <= begin) break;
      offset = std::max(offset, end);
    }
    return offset;
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
