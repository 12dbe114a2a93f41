/* Pickles of plain values and NumPy arrays (dicts, lists, texts, numbers), as programs leave results: FrankMocap's. They are
 * read as data: a name that is not on the list refuses the file, nothing is called (io/pickle.h). */
#ifndef IO_PICKLED_H
#define IO_PICKLED_H

#include "core/tensor.h"
#include "io/file.h"
#include "io/pickle.h"

typedef struct Pickled {
  const char *path;
  Bytes file;
  Pickle pickle;
  size_t budget; /* bytes that values may still take: one place may be meant many times */
} Pickled;

/* 0 with a message, and nothing to free, for what is no such pickle. */
int pickled_read(const char *path, Pickled *out);
void pickled_free(Pickled *p);

/* Whether a value is a NumPy array; then its tensor (float16, float32, float64, uint8, int32 or int64), NULL with a
 * message where it is of another dtype, or damaged. */
int pickled_is_array(const Pickled *p, const PickleValue *v);
Tensor *pickled_array(Pickled *p, const PickleValue *v);
/* Takes from the budget, or refuses. */
int pickled_spend(Pickled *p, size_t bytes);

#endif
