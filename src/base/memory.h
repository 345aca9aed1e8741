// How much memory there is.
#pragma once

#include <cstddef>

namespace heatproof {

/// Bytes that the system says can be taken without swapping (Linux: MemAvailable); 0 where it does not say.
std::size_t free_memory();

}  // namespace heatproof
