/* PyTorch's .pth and .pt files, in three steps: pth_zip.c or pth_old.c finds the pickle and where the numbers
 * lie, pth_tree.c the tensors that the pickle tells of, pth.c reads their numbers.
 *
 *   since 1.6, a zip file            before: five pickles and what they refer to, in a row
 *     TOP/data.pkl ── pickle ─┐        magic, version, system │ pickle │ list of keys │ size, numbers │ …
 *     TOP/data/3 ── numbers   │                                   │                     (by key)  │
 *     TOP/byteorder           └──> PthTensor { name, shape, strides } ──> storage "3" <───────────┘
 *
 * A storage is shared by any number of tensors. */
#ifndef IO_PTH_H
#define IO_PTH_H

#include "core/tensor.h"
#include "io/array.h"
#include "io/pickle.h"

/* ---- what a pickle tells (pth_kind.c, pth_tree.c) ---- */

/* A dtype of PyTorch's. */
typedef struct PthKind {
  const char *storage, *dtype; /* "torch.FloatStorage", "torch.float32" */
  size_t bytes;
  Dtype to; /* what the elements become here */
  enum { PTH_COPIED, PTH_SIGNED, PTH_UNSIGNED, PTH_TRUTH } how;
} PthKind;

/* A reference to a storage. */
typedef struct PthReference {
  const PthKind *kind; /* NULL where the reference alone does not tell: it is to bytes */
  const char *key;     /* within the pickle, not terminated */
  size_t key_size;
  size_t element, bytes; /* what its sizes count, what they come to */
  size_t begin, end;     /* the part that is meant, in bytes */
} PthReference;

typedef struct PthTensor {
  char *name; /* keys on the way to it, joined with dots */
  PthReference storage;
  int rank;
  long shape[RANK_MAX], stride[RANK_MAX], offset; /* in elements; checked against the storage's part */
  long size;                                      /* product of shape */
} PthTensor;

typedef struct PthTensors {
  PthTensor *list;
  long count, room;
  size_t budget; /* bytes that tensors, their names and their numbers may still take */
} PthTensors;

/* The names that a pickle of weights may hold, ending with NULL:
 * what torch.load(weights_only=True) allows. */
extern const char *const pth_allowed[];

/* Whether a value is that name, and what name it is ("something else" for other values). */
int pth_is(const PickleValue *v, const char *name);
const char *pth_name(const PickleValue *v);
/* The kind of a storage's type or, `by_dtype`, of a dtype; NULL when it is none. */
const PthKind *pth_kind(const PickleValue *v, int by_dtype);
/* The storage that a persistent id names; else "WHO: expected …". */
int pth_reference(const char *who, const Pickle *pickle, const PickleValue *v, PthReference *out);
#define PTH_DTYPES "a dtype of float64, float32, float16, bfloat16, an integer of up to 64 bits or bool"

/* Weights and their files are of about one size: what both may come to, for a file of so many bytes. */
static inline size_t pth_budget(size_t bytes) { return ((size_t)16 << 20) + 8 * bytes; }
/* Takes from the budget, or says that the file's tensors are too much for it. */
int pth_spend(const char *path, PthTensors *tensors, size_t bytes);

/* The tensors of the weights in a pickle that pth_allowed has passed. A dict of more than weights
 * ({"state_dict": …, "epoch": 3}) is unwrapped; what is no tensor is passed over. `path` is for messages,
 * `bytes` the size of the file. */
int pth_tensors(const char *path, size_t bytes, const Pickle *pickle, PthTensors *out);
void pth_tensors_free(PthTensors *t);

/* ---- where the numbers lie (pth_zip.c, pth_old.c) ---- */

typedef struct PthStorage {
  size_t bytes;
  unsigned char *data; /* while tensors still need it */
  long uses;
} PthStorage;

/* A file of either form. */
typedef struct PthFile {
  const char *path;
  int swapped; /* big-endian numbers */
  /* The storage that a tensor refers to; NULL with "WHO: expected …" when there is none of that size. */
  PthStorage *(*find)(struct PthFile *f, const char *who, const PthReference *r);
  /* All its bytes to data. */
  int (*read)(struct PthFile *f, PthStorage *s, unsigned char *data);
} PthFile;

/* Reads the numbers of all tensors into `out`. (pth.c) */
int pth_read_tensors(PthFile *f, PthTensors *tensors, Bundle *out);

int pth_zip_read(const char *path, Bundle *out);
int pth_old_read(const char *path, Bundle *out);

#endif
