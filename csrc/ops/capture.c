/* See capture.h. */
#include "ops/capture.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

struct Capture {
  Device *device;
  int nin, nout;
  bool recording;
  Tensor *in[CAPTURE_TENSORS], *out[CAPTURE_TENSORS]; /* its own */
  void *work;                                         /* NULL: not yet */
};

bool capture_possible(const Device *d) {
  const char *s = getenv("COHESIV_GRAPHS");
  return d->record && !(s && !strcmp(s, "off"));
}

static int copy_data(Tensor *to, const Tensor *from) {
  void *p = tensor_write(to);
  return p && device_copy(to->device, p, from->device, tensor_data(from), tensor_bytes(to));
}

static int check_like(const Tensor *want, const Tensor *got, const char *what, int i) {
  return (got->dtype == want->dtype && tensor_same_shape(got, want)) ||
         fail("capture: %s %d: expected %s %s, found %s %s", what, i + 1, dtype_name[want->dtype],
              tensor_text(want), dtype_name[got->dtype], tensor_text(got));
}

static int begin(Capture *c, Tensor *const *inputs, int nin, Tensor *const *like, int nout) {
  Device *d = c->device = inputs[0]->device;
  if (!capture_possible(d)) return fail("capture: expected a device that records, found %s", d->name);
  for (; c->nin < nin; c->nin++) {
    const Tensor *t = inputs[c->nin];
    Tensor *own = c->in[c->nin] = tensor_on(d, t->dtype, t->rank, t->shape);
    if (!own || !copy_data(own, t)) return 0;
  }
  for (; c->nout < nout; c->nout++) {
    const Tensor *t = like[c->nout];
    if (!(c->out[c->nout] = tensor_on(d, t->dtype, t->rank, t->shape))) return 0;
  }
  Tensor *next = tensor_on(d, U8, 0, NULL);
  if (!next) return 0;
  unsigned long first = next->storage->id;
  tensor_release(next);
  if (!d->record(d)) return 0;
  d->recording = first;
  return c->recording = true;
}

Capture *capture_begin(Tensor *const *inputs, int nin, Tensor *const *like, int nout) {
  if (nin < 1 || nin > CAPTURE_TENSORS || nout > CAPTURE_TENSORS)
    return fail("capture: expected 1 to %d inputs and outputs, found %d and %d", CAPTURE_TENSORS, nin, nout),
           NULL;
  Capture *c = calloc(1, sizeof *c);
  if (!c) return fail_memory("out of memory: a capture"), NULL;
  if (begin(c, inputs, nin, like, nout)) return c;
  capture_free(c);
  return NULL;
}

Tensor *capture_input(const Capture *c, int i) { return c->in[i]; }

int capture_take(Capture *c, Tensor *const *outputs, int nout) {
  if (nout != c->nout) return fail("capture: expected %d outputs, found %d", c->nout, nout);
  for (int i = 0; i < nout; i++)
    if (!check_like(c->out[i], outputs[i], "output", i) || !copy_data(c->out[i], outputs[i])) return 0;
  return 1;
}

int capture_end(Capture *c) {
  c->recording = false;
  c->device->recording = 0;
  return (c->work = c->device->recorded(c->device)) != NULL;
}

void capture_free(Capture *c) {
  if (!c) return;
  if (c->recording) capture_end(c);
  if (c->work) c->device->forget(c->device, c->work);
  tensor_release_all(c->in, CAPTURE_TENSORS);
  tensor_release_all(c->out, CAPTURE_TENSORS);
  free(c);
}

int capture_outputs(const Capture *c) { return c->nout; }

int capture_run(Capture *c, Tensor *const *inputs, int nin, Tensor **outputs) {
  if (nin != c->nin) return fail("capture: expected %d inputs, found %d", c->nin, nin);
  for (int i = 0; i < nin; i++)
    if (!check_like(c->in[i], inputs[i], "input", i) || !copy_data(c->in[i], inputs[i])) return 0;
  if (!c->device->replay(c->device, c->work)) return 0;
  int made = 0;
  while (made < c->nout && (outputs[made] = tensor_copy(c->out[made]))) made++;
  if (made == c->nout) return 1;
  tensor_release_all(outputs, made);
  return 0;
}
