// How much memory there is.
#pragma once

#include <cstddef>
#include <string>

namespace heatproof {

/// Bytes that the system says can be taken without swapping (Linux: MemAvailable); 0 where it does not say.
std::size_t free_memory();
/// The same with what can be swapped: programs that take more cannot run.
std::size_t memory_that_can_be_had();
/// What is said of programs that need more memory than is free; empty where they fit, or nobody knows.
std::string memory_warning(std::size_t bytes, std::size_t free);

}  // namespace heatproof
