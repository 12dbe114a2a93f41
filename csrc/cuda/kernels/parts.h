/* Sums that blocks compute in parts: many small results of long sums keep all of a GPU busy, and the last block of a tile
 * adds its parts up (last.h), in groups where there are many, so that none of them has long to read. C++. */
#ifndef CUDA_KERNELS_PARTS_H
#define CUDA_KERNELS_PARTS_H

#include "cuda/kernels/conv.h"
#include "cuda/kernels/last.h"

enum { PARTS_GROUP = 16 };

static __host__ __device__ inline unsigned part_groups(unsigned parts) {
  return (parts + PARTS_GROUP - 1) / PARTS_GROUP;
}

/* What a kernel whose tiles are computed in parts has beside its results. */
struct Parts {
  unsigned tiles, parts; /* block: tile blockIdx.x % tiles, part blockIdx.x / tiles */
  float *sums;           /* part, tile, a thread's row of four, thread */
  unsigned *counters;    /* tile, group and one for all */
};

/* What tiles of rows of four for every thread want. */
static inline ConvRoom parts_room(long parts, long tiles, int rows) {
  if (parts < 2) return {0, 0};
  return {(size_t)(parts * tiles * rows * 4 * THREADS), tiles * (part_groups((unsigned)parts) + 1)};
}

/* The block's number as if it were new, so that what follows from it is computed again where it is read next instead of
 * being kept in registers meanwhile. */
static __device__ inline unsigned block_anew() {
  unsigned b = blockIdx.x;
  asm volatile("" : "+r"(b));
  return b;
}

template <int ROWS> struct PartSums {
  const Parts &p;
  float (&v)[ROWS][4];
  unsigned tile;

  __device__ float *at(unsigned part, int row) const {
    return p.sums + (((size_t)part * p.tiles + tile) * ROWS + row) * 4 * THREADS + threadIdx.x * 4;
  }
  __device__ void put(unsigned part) const {
#pragma unroll
    for (int i = 0; i < ROWS; i++) *(float4 *)at(part, i) = make_float4(v[i][0], v[i][1], v[i][2], v[i][3]);
  }
  __device__ void add_up(unsigned first, unsigned count, unsigned apart) const {
#pragma unroll
    for (int i = 0; i < ROWS; i++) v[i][0] = v[i][1] = v[i][2] = v[i][3] = 0;
    for (unsigned k = 0; k < count; k++)
#pragma unroll
      for (int i = 0; i < ROWS; i++) {
        float4 more = *(const float4 *)at(first + k * apart, i);
        v[i][0] += more.x, v[i][1] += more.y, v[i][2] += more.z, v[i][3] += more.w;
      }
  }
};

/* A part's sums become the whole tile's in its last block; false: another block is that. All threads call it. */
template <int ROWS> static __device__ inline bool whole_sums(const Parts &p, float (&v)[ROWS][4]) {
  if (p.parts < 2) return true;
  unsigned b = block_anew(), tile = b % p.tiles, part = b / p.tiles, groups = part_groups(p.parts);
  unsigned group = part / PARTS_GROUP, first = group * PARTS_GROUP,
           count = min((unsigned)PARTS_GROUP, p.parts - first);
  unsigned *counter = p.counters + tile * (groups + 1);
  PartSums<ROWS> sums = {p, v, tile};
  sums.put(part);
  if (!is_last(counter + group, count)) return false;
  sums.add_up(first, count, 1);
  if (groups == 1) return true;
  sums.put(first); /* in its first part's place */
  if (!is_last(counter + groups, groups)) return false;
  sums.add_up(0, groups, PARTS_GROUP);
  return true;
}

#endif
