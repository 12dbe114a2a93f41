/* Plans in memory. That there is none for a problem is kept, too: cuDNN is asked once. */
#include "cuda/plans.h"

#include "core/error.h"
#include "cuda/cudnn.h"

#include <stdlib.h>
#include <string.h>

/* KEPT: plans of a device; beyond them all are made anew. */
enum { BUCKETS = 256, KEPT = 2048, NUMBERS = 26 };

typedef struct Kept Kept;
struct Kept {
  Kept *next;
  long key[NUMBERS];
  ConvPlan *plan; /* NULL: there is none */
};

typedef struct Plans Plans;
struct Plans {
  Plans *next;
  const Device *device;
  void *handle; /* NULL: without cuDNN */
  Kept *bucket[BUCKETS];
  int count;
};

static void key_of(const ConvProblem *p, long *key) {
  const ConvShape *s = &p->shape;
  const long numbers[NUMBERS] = {p->pass,  p->dtype, p->result,   p->tf32,     p->compile,    p->add,
                                 p->scale, p->shift, p->residual, p->act,      s->n,          s->h,
                                 s->w,     s->ci,    s->co,       s->kh,       s->kw,         s->groups,
                                 s->ho,    s->wo,    s->stride_h, s->stride_w, s->dilation_h, s->dilation_w,
                                 s->top,   s->left};
  memcpy(key, numbers, sizeof numbers);
}

static unsigned bucket_of(const long *key) {
  unsigned long h = 0;
  for (int i = 0; i < NUMBERS; i++) h = (h ^ (unsigned long)key[i]) * 0x9E3779B97F4A7C15ul;
  return (unsigned)(h >> 32) % BUCKETS;
}

static void forget(Plans *plans) {
  for (int b = 0; b < BUCKETS; b++) {
    for (Kept *k = plans->bucket[b], *next; k; k = next) {
      next = k->next;
      conv_plan_free(k->plan);
      free(k);
    }
    plans->bucket[b] = NULL;
  }
  plans->count = 0;
}

/* Of the device, begun at its first use. NULL with a message. */
static Plans *plans_of(Device *d) {
  static Plans *all;
  for (Plans *p = all; p; p = p->next)
    if (p->device == d) return p;
  Plans *p = calloc(1, sizeof *p);
  if (!p) return fail_memory("out of memory: plans of cuDNN"), NULL;
  *p = (Plans){.next = all, .device = d, .handle = cudnn_handle(cuda_stream(d))};
  return all = p;
}

static Kept *plan_of(Plans *plans, const ConvProblem *p) {
  long key[NUMBERS];
  key_of(p, key);
  unsigned b = bucket_of(key);
  for (Kept *k = plans->bucket[b]; k; k = k->next)
    if (memcmp(k->key, key, sizeof key) == 0) return k;
  if (plans->count == KEPT) forget(plans);
  Kept *k = calloc(1, sizeof *k);
  if (!k) return fail_memory("out of memory: a plan of cuDNN"), NULL;
  k->plan = conv_plan_new(p, plans->handle, NULL);
  if (!k->plan && failed_for_memory()) return free(k), NULL;
  memcpy(k->key, key, sizeof key);
  k->next = plans->bucket[b];
  plans->count++;
  return plans->bucket[b] = k;
}

static bool aligned(const void *const *data) {
  for (int i = 0; i < CONV_TENSORS; i++)
    if ((uintptr_t)data[i] % 16) return false;
  return true;
}

int cuda_planned(Call *c, const ConvProblem *p, const void *const *data, bool *done) {
  const ConvShape *s = &p->shape;
  *done = false;
  if (!conv_reads(s) || s->w_first || s->w_channels || !aligned(data)) return 1;
  Plans *plans = plans_of(c->device);
  if (!plans) return 0;
  if (!plans->handle) return 1;
  const Kept *k = plan_of(plans, p);
  if (!k) return 0;
  if (!k->plan) return 1;
  size_t bytes = k->plan->workspace;
  void *workspace = bytes ? call_scratch(c, bytes) : NULL;
  *done = (workspace || !bytes) && conv_plan_run(k->plan, plans->handle, data, workspace);
  cuda_launches++;
  call_drop(c, workspace);
  return *done;
}
