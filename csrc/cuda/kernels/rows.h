/* How kernels share out rows of channels (channels-last images): the rows of an image are cut into parts, a block
 * takes one part of some channels. Sums come out per part, and the last block of an image adds its parts (last.h). */
#ifndef CUDA_KERNELS_ROWS_H
#define CUDA_KERNELS_ROWS_H

#include "core/dtype.h"

typedef struct Rows {
  long images, rows, channels; /* rows of an image */
  long parts, length;          /* of an image; rows of a part, the last one may have fewer */
} Rows;

/* Enough parts to keep a GPU busy, none of them so short that its threads have nothing to add. A block has up to 32 lanes
 * of channels (channels.h), of maps of `dtype` as many as move at once where they fill lanes. */
static inline Rows rows_cut(long images, long rows, long channels, Dtype dtype) {
  enum { BLOCKS = 528, NUMBERS = 1 << 13 };
  long wide = dtype == F32 ? 4 : 8, block = channels % wide ? 32 : 32 * wide;
  Rows n = {images, rows, channels, 1, rows};
  long blocks = images * ((channels + block - 1) / block),
       wanted = blocks < BLOCKS ? BLOCKS / (blocks ? blocks : 1) : 1;
  long width = channels < block ? channels : block, least = width ? (NUMBERS + width - 1) / width : 1;
  long most = (rows + least - 1) / least;
  n.parts = wanted < most ? wanted : most > 1 ? most : 1;
  n.length = (rows + n.parts - 1) / n.parts;
  n.parts = n.length ? (rows + n.length - 1) / n.length : 1;
  return n;
}

/* How many numbers `sums` sums of every channel take, for all parts: images x parts x sums x channels. */
static inline long rows_sums(const Rows *n, long sums) { return n->images * n->parts * sums * n->channels; }

/* Counters for the blocks of every image and of all images: no block has fewer channels than one lane. */
static inline long rows_counters(const Rows *n) { return (n->images + 1) * ((n->channels + 31) / 32); }

#endif
