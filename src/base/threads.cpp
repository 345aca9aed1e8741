#include "base/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace heatproof {

#ifdef _OPENMP

void set_threads(int count) { omp_set_num_threads(count > 0 ? count : omp_get_num_procs()); }

int threads() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

#else

void set_threads(int) {}

int threads() { return 1; }

#endif

}  // namespace heatproof
