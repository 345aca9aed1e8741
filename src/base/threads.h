// Threads: one setting for our own loops and oneDNN's.
#pragma once

#include <cstdint>
#include <exception>

namespace heatproof {

/// Number of threads for everything that follows; 0 means all cores this process may use.
void set_threads(int count);
int threads();

/// Calls f(begin, end) for parts of [0, n), in parallel when there is more than one part of `grain` elements.
/// The parts do not depend on anything but n, grain and the number of threads; f must not throw.
template <typename F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= 0) return;
  const std::int64_t most = (n + grain - 1) / grain;
  const std::int64_t parts = most < threads() ? most : threads();
  if (parts <= 1) {
    f(std::int64_t{0}, n);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(parts))
  for (std::int64_t part = 0; part < parts; ++part) f(n * part / parts, n * (part + 1) / parts);
}

/// Calls f(i) for every i in [0, n), in parallel; rethrows the first exception (by index).
template <typename F>
void try_parallel_for(std::int64_t n, F&& f) {
  std::exception_ptr error;
  std::int64_t at = n;
  parallel_for(n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      try {
        f(i);
      } catch (...) {
#pragma omp critical(heatproof_first_error)
        if (i < at) at = i, error = std::current_exception();
        return;
      }
    }
  });
  if (error) std::rethrow_exception(error);
}

}  // namespace heatproof
