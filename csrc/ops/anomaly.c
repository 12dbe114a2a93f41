/* See anomaly.h. */
#include "ops/anomaly.h"

#include "core/device.h"
#include "core/error.h"

bool detecting_anomaly;

static long nan_in(const void *data, Dtype dtype, long n) {
  for (long i = 0; i < n; i++)
    if (dtype == F64 ? ((const double *)data)[i] != ((const double *)data)[i]
                     : ((const float *)data)[i] != ((const float *)data)[i])
      return i;
  return n;
}

/* The first element of t that is NaN, counted from 0; its size when there is none, -1 with a message. */
static long first_nan(Tensor *t) {
  if (!(dtype_is_real(t->dtype) || dtype_is_half(t->dtype)) || !t->storage) return t->size;
  Tensor *here = tensor_to(t, device_cpu());
  Tensor *wide = here && here->dtype != F32 && here->dtype != F64 ? tensor_cast(here, F32) : here;
  long at = wide ? nan_in(tensor_data(wide), wide->dtype, t->size) : -1;
  if (wide != here) tensor_release(wide);
  tensor_release(here);
  return at;
}

int anomaly_in_outputs(const OpInfo *info, const Call *c) {
  for (int i = 0; i < c->nout; i++) {
    long at = first_nan(c->out[i]);
    if (at < 0) return 0;
    if (at == c->out[i]->size) continue;
    for (int k = 0; k < c->nin; k++) {
      if (!c->in[k]) continue;
      long from = first_nan(c->in[k]);
      if (from < 0) return 0;
      if (from < c->in[k]->size)
        return call_fail(c, "%s: expected numbers, found NaN, which no op before made, in element %ld of %s",
                         info->in_name[info->variadic ? 0 : k], from + 1, tensor_text(c->in[k]));
    }
    return call_fail(c, "forward: expected numbers, made NaN in element %ld of %s", at + 1,
                     tensor_text(c->out[i]));
  }
  return 1;
}

int anomaly_in_gradients(const Call *c, const Node *n) {
  for (int i = 0; i < n->nin; i++) {
    Tensor *g = n->in[i] ? n->in[i]->grad : NULL;
    long at = g ? first_nan(g) : 0;
    if (at < 0) return 0;
    if (g && at < g->size)
      return call_fail(
          c, "backward: expected numbers, made NaN in element %ld of the gradient of argument %d, %s", at + 1,
          i + 1, tensor_text(g));
  }
  return 1;
}
