/* How reductions of outer x reduced x inner numbers are shared out. Where rows lie in one piece (inner == 1) teams have
 * them; else a block has columns side by side, `lanes` groups of W of them, and THREADS / lanes rows of threads. What is
 * long is cut into parts where the outputs alone would keep too few blocks busy. C++. */
#ifndef CUDA_KERNELS_CUT_H
#define CUDA_KERNELS_CUT_H

#include "cuda/kernels/channels.h"
#include "cuda/kernels/team.h"

enum {
  EACH = 4,            /* blocks of a multiprocessor: enough to read memory as fast as it goes */
  BLOCKS = 132 * EACH, /* of the largest GPUs */
  PART = 8 * ROW_LONG, /* the least of a row: it takes a block, however many numbers move at once */
  AT_ONCE = 8,         /* rows that a thread of columns has in a part at least */
  LINE = 16            /* parts of rows are cut between lines of 16 bytes */
};

typedef struct Cut {
  long parts, length;
} Cut;

/* A warp's width of columns, and more of them where there are fewer rows than threads would read at once. */
static inline Lanes column_lanes(long columns, long reduced, int width) {
  long units = (columns + width - 1) / width;
  unsigned lanes = lanes_of(columns, width).lanes;
  while (lanes < THREADS && lanes < units && THREADS / lanes * AT_ONCE > reduced) lanes *= 2;
  return {lanes, (unsigned)((units + lanes - 1) / lanes)};
}

/* width: of columns, how many move at once. */
static inline Cut cut(long outer, long reduced, long inner, int width) {
  bool rows = inner == 1;
  Lanes l = column_lanes(outer * inner, reduced, width);
  long blocks = rows ? outer : l.blocks, least = rows ? PART : THREADS / l.lanes * AT_ONCE;
  long wanted = blocks ? (BLOCKS + blocks - 1) / blocks : 1, most = reduced / least;
  long parts = wanted < most ? wanted : most > 1 ? most : 1, length = (reduced + parts - 1) / parts;
  if (rows && parts > 1) length = (length + LINE - 1) / LINE * LINE;
  return {length ? (reduced + length - 1) / length : 1, length};
}

#endif
