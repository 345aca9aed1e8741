// Weights that programs share: the same tensor in the same layout is packed once, as long as a program holds
// it.
#pragma once

#include <memory>

#include "engine/dnnl_api.h"

namespace heatproof {

/// What a tensor of weights, described by `from`, was packed to under `to`; nullptr where nothing is held.
/// Safe to call from several threads.
std::shared_ptr<void> find_packed(const std::shared_ptr<void>& weights, const dnnl::memory::desc& from,
                                  const dnnl::memory::desc& to);
/// Remembers it as long as both live.
void remember_packed(const std::shared_ptr<void>& weights, const dnnl::memory::desc& from,
                     const dnnl::memory::desc& to, const std::shared_ptr<void>& packed);

}  // namespace heatproof
