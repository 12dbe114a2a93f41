/* A walk through a tensor's elements in another order: sizes, and the step that each dimension takes in what is
 * read. Neighbouring dimensions are merged where one step serves both. Plain C, for CUDA's compiler too. */
#ifndef OPS_WALK_H
#define OPS_WALK_H

enum { WALK_RANK = 8 };

typedef struct Walk {
  int rank;  /* at least 1 */
  long size; /* elements */
  long shape[WALK_RANK], stride[WALK_RANK];
} Walk;

static inline Walk walk(int rank, const long *shape, const long *stride) {
  Walk w = {0};
  w.size = 1;
  for (int d = 0; d < rank; d++) {
    w.size *= shape[d];
    if (shape[d] == 1) continue;
    int last = w.rank - 1;
    if (last >= 0 && w.stride[last] == stride[d] * shape[d]) {
      w.shape[last] *= shape[d];
      w.stride[last] = stride[d];
    } else {
      w.shape[w.rank] = shape[d];
      w.stride[w.rank++] = stride[d];
    }
  }
  if (w.rank == 0) w.shape[w.rank++] = 1, w.stride[0] = 1;
  return w;
}

#endif
