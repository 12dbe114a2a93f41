/* The two ways of collate.h, which differ in what the first dimension of a batch's tensor counts: samples, or
 * the rows of all of them. */
#include "data/collate.h"

#include "core/error.h"

#include <string.h>

/* Whether a sample's tensor goes with the first one's; rows may differ where they are concatenated. */
static int fits(const Field *f, const Tensor *first, const Tensor *t) {
  int skip = f->how == CONCAT;
  if (t->dtype == first->dtype && t->rank == first->rank && t->rank >= skip &&
      !memcmp(t->shape + skip, first->shape + skip, sizeof *t->shape * (size_t)(t->rank - skip)))
    return 1;
  return fail("loader: %s: expected %s of %s in all samples of a batch, found %s of %s", f->name,
              dtype_name[first->dtype], tensor_text(first), dtype_name[t->dtype], tensor_text(t));
}

static Tensor *joined(const Field *f, int at, Tensor *(*samples)[FIELDS_MAX], long count) {
  if (!count) return tensor_new(U8, 1, (long[]){0});
  const Tensor *first = samples[0][at];
  int skip = f->how == CONCAT;
  long shape[RANK_MAX + 1] = {0};
  if (first->rank == RANK_MAX && !skip) {
    fail("loader: %s: expected at most %d dimensions, found %s", f->name, RANK_MAX - 1, tensor_text(first));
    return NULL;
  }
  for (long i = 0; i < count; i++) {
    if (!fits(f, first, samples[i][at])) return NULL;
    shape[0] += skip ? samples[i][at]->shape[0] : 1;
  }
  memcpy(shape + 1, first->shape + skip, sizeof *shape * (size_t)(first->rank - skip));
  Tensor *out = tensor_new(first->dtype, first->rank + 1 - skip, shape);
  char *to = out ? out->storage->data : NULL;
  for (long i = 0; out && i < count; i++) {
    size_t bytes = tensor_bytes(samples[i][at]);
    if (bytes) memcpy(to, tensor_data(samples[i][at]), bytes);
    to += bytes;
  }
  return out;
}

static Tensor *index_of(int of, Tensor *(*samples)[FIELDS_MAX], long count) {
  long rows = 0, at = 0;
  for (long i = 0; i < count; i++) rows += samples[i][of]->shape[0];
  Tensor *out = tensor_new(I32, 1, &rows);
  int32_t *to = out ? out->storage->data : NULL;
  for (long i = 0; out && i < count; i++)
    for (long k = 0; k < samples[i][of]->shape[0]; k++) to[at++] = (int32_t)(i + 1);
  return out;
}

int collate(const SampleSource *s, Tensor *(*samples)[FIELDS_MAX], long count, Tensor **out) {
  for (int f = 0; f < s->count; f++) {
    const Field *field = &s->field[f];
    out[f] = field->how == INDEX ? index_of(field->of, samples, count) : joined(field, f, samples, count);
    if (!out[f]) return 0;
  }
  return 1;
}
