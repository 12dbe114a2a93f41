/* NVTX for tests: writes ranges to the file that COHESIV_CUDA_RANGES names, indented by their depth. */
#include <stdio.h>
#include <stdlib.h>

static int depth;

static int nvtxRangePushA(const char *name) {
  const char *path = getenv("COHESIV_CUDA_RANGES");
  FILE *f = path ? fopen(path, "a") : NULL;
  if (f) fprintf(f, "%*s%s\n", 2 * depth, "", name), fclose(f);
  return depth++;
}

static int nvtxRangePop(void) { return --depth; }
