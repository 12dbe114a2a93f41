/* Looking up, checking and running ops. What an op means stands in its own file; nothing here knows. */
#include "ops/engine.h"

#include "core/error.h"
#include "core/graph.h"
#include "ops/args.h"
#include "ops/kernels.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OP(name) extern const Op op_##name;
#include "ops/table.h"
#undef OP

static const Op *const table[] = {
#define OP(name) &op_##name,
#include "ops/table.h"
#undef OP
};

enum { OPS = sizeof table / sizeof *table };
static OpInfo infos[OPS];
static pthread_once_t parsed = PTHREAD_ONCE_INIT;

static void parse_all(void) {
  for (int i = 0; i < OPS; i++) {
    infos[i].op = table[i];
    infos[i].number = i;
    infos[i].differentiable = op_kernel(i, DEVICE_CPU, F32)->backward != NULL;
    args_parse(&infos[i]);
  }
}

int op_count(void) { return OPS; }

const OpInfo *op_info(int i) {
  pthread_once(&parsed, parse_all);
  return &infos[i];
}

const OpInfo *op_find(const char *name) {
  for (int i = 0; i < OPS; i++)
    if (!strcmp(table[i]->name, name)) return op_info(i);
  return NULL;
}

void op_begin(const OpInfo *info, Call *c) {
  memset(c, 0, sizeof *c);
  c->nin = info->variadic ? 0 : info->nin;
  memcpy(c->arg, info->preset, sizeof info->preset);
}

/* ---- what op.h offers to ops ---- */

int call_fail(const Call *c, const char *format, ...) {
  char text[800];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return fail("%s: %s", c->op->name, text);
}

static const char *input_name(const Call *c, int i) {
  const OpInfo *info = op_find(c->op->name);
  return info->variadic ? info->in_name[0] : info->in_name[i];
}

int call_want_rank(const Call *c, int i, int rank) {
  return c->in[i]->rank == rank ||
         call_fail(c, "%s: expected %d dimensions, found %s", input_name(c, i), rank, tensor_text(c->in[i]));
}

int call_want_dtype(const Call *c, int i, Dtype dtype) {
  return c->in[i]->dtype == dtype || call_fail(c, "%s: expected %s, found %s", input_name(c, i),
                                               dtype_name[dtype], dtype_name[c->in[i]->dtype]);
}

int call_want_own(const Call *c, int i) {
  if (c->cast >> i & 1)
    return call_fail(c, "%s: expected %s like the other inputs, since it is written to", input_name(c, i),
                     dtype_name[c->in[i]->dtype]);
  for (int k = 0; k < c->nin; k++)
    if (k != i && c->in[k] == c->in[i])
      return call_fail(c, "%s: expected a tensor of its own, since it is written to, found %s again",
                       input_name(c, i), input_name(c, k));
  return 1;
}

int call_put(Call *c, int i, Tensor *t) {
  if (!t) return failed_for_memory() ? 0 : call_fail(c, "%s", error_message());
  c->out[i] = t;
  if (c->nout <= i) c->nout = i + 1;
  return 1;
}

int call_out(Call *c, int i, Dtype dtype, int rank, const long *shape) {
  return call_put(c, i, tensor_on(c->device, dtype, rank, shape));
}

Tensor *call_save_new(Call *c, int i, Dtype dtype, int rank, const long *shape) {
  return c->saved[i] = tensor_on(c->device, dtype, rank, shape);
}

int call_save(Call *c, int i, const Tensor *t) {
  c->saved[i] = tensor_view(t, 0, t->rank, t->shape);
  return c->saved[i] != NULL;
}

/* Away from home gradients are made where the call computes; backward brings them home. */
void *call_grad(Call *c, int i, bool *add) {
  const Tensor *x = c->in[i];
  Tensor *g = c->home ? tensor_on(c->device, x->dtype, x->rank, x->shape) : var_grad(x->var, x, add);
  if (c->home) *add = false;
  c->grad_in[i] = g;
  return g ? tensor_write(g) : NULL;
}

int call_grad_is(Call *c, int i, Tensor *t) {
  if (c->home) return (c->grad_in[i] = tensor_view(t, 0, c->in[i]->rank, c->in[i]->shape)) != NULL;
  return var_grad_add(c->in[i]->var, t, c->in[i]->rank, c->in[i]->shape);
}

void *call_scratch(Call *c, size_t bytes) {
  int k = 0;
  while (k < OP_SCRATCH && c->scratch[k].data) k++;
  if (k == OP_SCRATCH) return call_fail(c, "expected at most %d blocks of scratch memory", OP_SCRATCH), NULL;
  c->scratch[k].bytes = bytes;
  char *block = c->scratch[k].data = c->device->take(c->device, bytes);
  return block ? block + c->device->window : NULL;
}

void call_drop(Call *c, void *block) {
  for (int k = 0; k < OP_SCRATCH && block; k++) {
    char *own = c->scratch[k].data;
    if (!own || own + c->device->window != (char *)block) continue;
    c->device->give(c->device, own, c->scratch[k].bytes);
    c->scratch[k].data = NULL;
    return;
  }
}

int sample_input(Call *c, int i, Random *r, int rank, const long *shape) {
  Tensor *t = c->in[i] = tensor_new(F32, rank, shape);
  if (!t) return 0;
  if (c->nin <= i) c->nin = i + 1;
  for (long k = 0; k < t->size; k++) ((float *)t->storage->data)[k] = (float)random_normal(r);
  return 1;
}

void sample_arg(Call *c, int i, double n) {
  c->arg[i] = (Arg){.given = true, .n = n, .count = 1, .list = {(long)n}};
}

void sample_choice(Call *c, int i, int place) {
  sample_arg(c, i, place);
  c->arg[i].name = place + 1;
}

void sample_list(Call *c, int i, int count, const long *list) {
  sample_arg(c, i, count ? (double)list[0] : 0);
  c->arg[i].count = count;
  for (int k = 0; k < count; k++) c->arg[i].list[k] = list[k];
}
