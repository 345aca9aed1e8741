// Places buffers in one arena by their lifetimes.
#pragma once

#include <vector>

#include "engine/lowering.h"

namespace heatproof {

struct MemoryPlan {
  std::vector<std::int64_t> offsets;  // per buffer, in bytes; -1 for constants, states and what nobody uses
  std::size_t arena_bytes = 0;
};

/// First fit in the order of decreasing size; step by step where there are too many buffers. `inputs` live
/// from the start, `outputs` to the end.
MemoryPlan plan_memory(const std::vector<Buffer>& buffers, const std::vector<Step>& steps,
                       const std::vector<BufferId>& inputs, const std::vector<BufferId>& outputs);

}  // namespace heatproof
