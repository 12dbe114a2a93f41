/* Grouped convolutions with few channels to a group: one vector holds LANES / C whole groups of C channels,
 * for inputs and outputs alike. `spread` gives every lane channel k of its own group. For files compiled per
 * instruction set. */
#ifndef BACKEND_CONV_GROUPED_H
#define BACKEND_CONV_GROUPED_H

#include "backend/conv_kernel.h"

#define LANE(l, c, k) ((l) / (c) * (c) + (k))
#define LANES4(l, c, k) LANE(l, c, k), LANE(l + 1, c, k), LANE(l + 2, c, k), LANE(l + 3, c, k)
#if LANES == 16
#define GROUP_LANES(x, c, k)                                                                                 \
  __builtin_shufflevector(x, x, LANES4(0, c, k), LANES4(4, c, k), LANES4(8, c, k), LANES4(12, c, k))
#elif LANES == 8
#define GROUP_LANES(x, c, k) __builtin_shufflevector(x, x, LANES4(0, c, k), LANES4(4, c, k))
#else
#define GROUP_LANES(x, c, k) __builtin_shufflevector(x, x, LANES4(0, c, k))
#endif

/* c (1, 2, 4, 8 or 16, at most LANES) and k < c are constants after inlining. */
INLINE vf group_lane(const float *at, const int c, const int k) {
  if (c == LANES) return vset(at[k]);
  vf x = vload(at);
  if (c == 1) return x;
  if (c == 2) return k == 0 ? GROUP_LANES(x, 2, 0) : GROUP_LANES(x, 2, 1);
#if LANES > 4
  if (c == 4)
    return k == 0   ? GROUP_LANES(x, 4, 0)
           : k == 1 ? GROUP_LANES(x, 4, 1)
           : k == 2 ? GROUP_LANES(x, 4, 2)
                    : GROUP_LANES(x, 4, 3);
#endif
#if LANES > 8
  switch (k) {
  case 0: return GROUP_LANES(x, 8, 0);
  case 1: return GROUP_LANES(x, 8, 1);
  case 2: return GROUP_LANES(x, 8, 2);
  case 3: return GROUP_LANES(x, 8, 3);
  case 4: return GROUP_LANES(x, 8, 4);
  case 5: return GROUP_LANES(x, 8, 5);
  case 6: return GROUP_LANES(x, 8, 6);
  default: return GROUP_LANES(x, 8, 7);
  }
#else
  return x;
#endif
}

/* Defines chunk_of(c): the chunk function that calls the file's block(c, job, chunk) with c a constant. */
#define GROUPED_CHUNK(c)                                                                                     \
  static int chunk_##c(void *job, long chunk) { return block(c, job, chunk); }
#define GROUPED_CHUNKS                                                                                       \
  GROUPED_CHUNK(1)                                                                                           \
  GROUPED_CHUNK(2)                                                                                           \
  GROUPED_CHUNK(4)                                                                                           \
  GROUPED_CHUNK(8)                                                                                           \
  GROUPED_CHUNK(16)                                                                                          \
  static Chunk chunk_of(long c) {                                                                            \
    return c == 1 ? chunk_1 : c == 2 ? chunk_2 : c == 4 ? chunk_4 : c == 8 ? chunk_8 : chunk_16;             \
  }

#endif
