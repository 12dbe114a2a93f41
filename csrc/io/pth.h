/* PyTorch's .pth and .pt files, in two steps: pth_tree.c finds the tensors that the pickle tells of, pth.c
 * reads their numbers out of the zip file.
 *
 *   x.pth (zip): TOP/data.pkl ── pickle ──> PthTensor { name, dtype, shape, strides } ──> storage "3"
 *                TOP/data/3   ── raw numbers, shared by any number of tensors <──────────────┘
 *                TOP/byteorder ── "little" or "big" */
#ifndef IO_PTH_H
#define IO_PTH_H

#include "core/tensor.h"
#include "io/file.h"
#include "io/pickle.h"

/* A dtype of PyTorch's. */
typedef struct PthKind {
  const char *storage, *dtype; /* "torch.FloatStorage", "torch.float32" */
  size_t bytes;
  Dtype to; /* what the elements become here */
  enum { PTH_COPIED, PTH_SIGNED, PTH_UNSIGNED, PTH_TRUTH } how;
} PthKind;

typedef struct PthTensor {
  char *name; /* keys on the way to it, joined with dots */
  const PthKind *kind;
  const char *key; /* of its storage, within the pickle, not terminated */
  size_t key_size;
  size_t storage_bytes; /* what the pickle says of the storage */
  int rank;
  long shape[RANK_MAX], stride[RANK_MAX], offset; /* in elements; checked against storage_bytes */
  long size;                                      /* product of shape */
} PthTensor;

typedef struct PthTensors {
  PthTensor *list;
  long count, room;
} PthTensors;

/* The names that a pickle of weights may hold, ending with NULL: what torch.load(weights_only=True) allows.
 */
extern const char *const pth_allowed[];

/* The tensors of the weights in a pickle that pth_allowed has passed. A dict of more than weights
 * ({"state_dict": …, "epoch": 3}) is unwrapped; what is no tensor is passed over. `path` is for messages. */
int pth_tensors(const char *path, const Pickle *pickle, PthTensors *out);
void pth_tensors_free(PthTensors *t);

#endif
