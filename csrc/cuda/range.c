/* Ranges of NVTX, whose headers alone are needed: they look for a profiler at the first call. */
#include "cuda/cuda.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>

void cuda_range(const char *name) {
  if (name)
    nvtxRangePushA(name);
  else
    nvtxRangePop();
}

#else

void cuda_range(const char *name) { (void)name; }

#endif
