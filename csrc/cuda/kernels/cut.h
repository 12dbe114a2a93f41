/* How reductions of outer x reduced x inner numbers are cut into parts where the outputs alone would keep too few
 * blocks busy. C++. */
#ifndef CUDA_KERNELS_CUT_H
#define CUDA_KERNELS_CUT_H

#include "cuda/launch.h"

enum {
  PART = 4096,
  PARTS_MOST = 256,
  SHORT = 64,
  LINE = 16
}; /* LINE: parts of rows are cut between lines of 16 bytes */

typedef struct Cut {
  long parts, length;
} Cut;

static inline Cut cut(long outer, long reduced, long inner) {
  bool rows = inner == 1;
  long least = rows ? PART : SHORT, work = rows ? outer : (outer * inner + THREADS - 1) / THREADS;
  long parts = work >= 512 || reduced <= least ? 1 : (reduced + least - 1) / least;
  if (parts > PARTS_MOST) parts = PARTS_MOST;
  long length = (reduced + parts - 1) / parts;
  if (rows && parts > 1) length = (length + LINE - 1) / LINE * LINE;
  return (Cut){length ? (reduced + length - 1) / length : 1, length};
}

#endif
