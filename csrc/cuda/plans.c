/* Plans in memory, by the problem. That there is none is kept, too: cuDNN is asked once. Where a problem is measured, or a
 * choice was read from elsewhere, the plan is that; otherwise cuDNN's first suggestion. */
#include "cuda/plans.h"

#include "core/error.h"
#include "cuda/cudnn.h"
#include "cuda/measure.h"
#include "cuda/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* KEPT: plans of a device; beyond them all are made anew. APART: the offer of a problem whose steps one by one were
 * measured to be as fast as the whole. */
enum { BUCKETS = 256, KEPT = 2048, NUMBERS = 25, APART = -1 };

typedef struct Kept Kept;
struct Kept {
  Kept *next;
  long key[NUMBERS];
  Plan *plan; /* NULL: there is none */
  bool measured;
  long offer, engine;
  double seconds, usual;
};

/* What is to be taken for a problem, on whatever device; the last one of a key counts. */
typedef struct Wanted Wanted;
struct Wanted {
  Wanted *next;
  long key[NUMBERS];
  long offer, engine;
  double seconds, usual;
  char *text;
};

typedef struct Plans Plans;
struct Plans {
  Plans *next;
  const Device *device;
  void *handle; /* NULL: without cuDNN */
  Kept *bucket[BUCKETS];
  int count;
};

static void key_of(const Problem *p, long *key) {
  const ConvShape *s = &p->shape;
  const long numbers[NUMBERS] = {p->pass,     p->dtype,      p->tf32,       p->compile, p->add,
                                 p->scale,    p->shift,      p->residual,   p->act,     s->n,
                                 s->h,        s->w,          s->ci,         s->co,      s->kh,
                                 s->kw,       s->groups,     s->ho,         s->wo,      s->stride_h,
                                 s->stride_w, s->dilation_h, s->dilation_w, s->top,     s->left};
  memcpy(key, numbers, sizeof numbers);
}

static unsigned bucket_of(const long *key) {
  unsigned long h = 0;
  for (int i = 0; i < NUMBERS; i++) h = (h ^ (unsigned long)key[i]) * 0x9E3779B97F4A7C15ul;
  return (unsigned)(h >> 32) % BUCKETS;
}

/* Engines that were compiled at run time are gone with their plan, which a recording may still run: such plans go when
 * no recording is left. */
typedef struct Retired Retired;
struct Retired {
  Retired *next;
  Plan *plan;
};

static void drop(Plan *plan) {
  static Retired *retired;
  Retired *r = plan && cuda_recordings() ? malloc(sizeof *r) : NULL;
  if (r) {
    *r = (Retired){retired, plan};
    retired = r;
    return;
  }
  plan_free(plan);
  while (retired && !cuda_recordings()) {
    Retired *next = retired->next;
    plan_free(retired->plan);
    free(retired);
    retired = next;
  }
}

static void forget(Plans *plans) {
  for (int b = 0; b < BUCKETS; b++) {
    for (Kept *k = plans->bucket[b], *next; k; k = next) {
      next = k->next;
      drop(k->plan);
      free(k);
    }
    plans->bucket[b] = NULL;
  }
  plans->count = 0;
}

static Plans *all;
static Wanted *wanted[BUCKETS];

/* Of the device, begun at its first use. NULL with a message. */
static Plans *plans_of(Device *d) {
  for (Plans *p = all; p; p = p->next)
    if (p->device == d) return p;
  Plans *p = calloc(1, sizeof *p);
  if (!p) return fail_memory("out of memory: plans of cuDNN"), NULL;
  *p = (Plans){.next = all, .device = d, .handle = cudnn_handle(cuda_stream(d))};
  return all = p;
}

static Wanted *wanted_for(const long *key) {
  for (Wanted *w = wanted[bucket_of(key)]; w; w = w->next)
    if (memcmp(w->key, key, sizeof w->key) == 0) return w;
  return NULL;
}

/* What more than convolves has few plans that are not compiled first: up to seconds, which measuring takes. */
static bool is_more(const Problem *p) {
  return p->pass >= CONV_STATISTICS || p->scale || p->shift || p->residual || p->act != ACT_NONE;
}

static Problem in_full(const Problem *p) {
  Problem q = *p;
  q.compile = p->compile || is_more(p);
  return q;
}

/* Makes the plan that is wanted; where cuDNN does not take it any more, its own. */
static void first_plan(const Problem *p, void *handle, Kept *k) {
  const Wanted *w = wanted_for(k->key);
  Problem full = in_full(p);
  bool apart = w && w->offer == APART;
  if (w && w->text && !apart) k->plan = plan_read(p, handle, w->text);
  if (w && !k->plan && !apart) k->plan = plan_from(&full, handle, NULL, w->offer);
  if (k->plan || apart) {
    k->measured = true;
    k->offer = w->offer, k->engine = w->engine, k->seconds = w->seconds, k->usual = w->usual;
  } else {
    k->plan = plan_new(p, handle, NULL);
  }
}

static Kept *plan_of(Plans *plans, const Problem *p) {
  long key[NUMBERS];
  key_of(p, key);
  unsigned b = bucket_of(key);
  for (Kept *k = plans->bucket[b]; k; k = k->next)
    if (memcmp(k->key, key, sizeof key) == 0) return k;
  if (plans->count == KEPT) forget(plans);
  Kept *k = calloc(1, sizeof *k);
  if (!k) return fail_memory("out of memory: a plan of cuDNN"), NULL;
  memcpy(k->key, key, sizeof key);
  first_plan(p, plans->handle, k);
  if (!k->plan && !k->measured && failed_for_memory()) return free(k), NULL;
  k->next = plans->bucket[b];
  plans->count++;
  return plans->bucket[b] = k;
}

/* ---- measuring ---- */

static bool measuring;

/* Takes the fastest. What cannot be measured stays as it is. 0 where memory is short. */
static int measure(Call *c, Plans *plans, const Problem *p, const void *const *data, const Apart *apart) {
  Problem full = in_full(p);
  Measured m;
  plan_measure(c, &full, plans->handle, data, apart, &m);
  Kept *k = plan_of(plans, p); /* only now: others may have been measured meanwhile */
  if (!k) return plan_free(m.best), 0;
  k->measured = true;
  if (!m.best && !m.apart) return 1;
  drop(k->plan);
  k->plan = m.best;
  k->offer = m.best ? m.best->offer : APART, k->engine = m.best ? m.best->engine : 0;
  k->seconds = 1e-3 * (double)m.fastest, k->usual = 1e-3 * (double)m.usual;
  return 1;
}

/* ---- what was chosen ---- */

static void set_measure(bool on) {
  measuring = on;
  for (Plans *p = all; on && p; p = p->next) forget(p);
  for (int b = 0; on && b < BUCKETS; b++)
    for (Wanted *w = wanted[b], *next; w; w = next) {
      next = w->next;
      free(w->text);
      free(w);
      wanted[b] = next;
    }
}

static int each_choice(int (*see)(void *, const DeviceChoice *), void *to) {
  int ok = 1;
  for (Plans *p = all; p; p = p->next)
    for (int b = 0; b < BUCKETS; b++)
      for (Kept *k = p->bucket[b]; k && ok; k = k->next) {
        if (!k->measured || (!k->plan && k->offer != APART)) continue;
        char *text = k->plan ? plan_text(k->plan) : NULL;
        ok = see(to, &(DeviceChoice){k->key, NUMBERS, k->offer, k->engine, k->seconds, k->usual, text});
        free(text);
      }
  return ok;
}

/* A plan that is there for the problem is made anew at its next use. */
static void drop_plan(const long *key) {
  for (Plans *p = all; p; p = p->next)
    for (Kept **k = &p->bucket[bucket_of(key)]; *k; k = &(*k)->next)
      if (memcmp((*k)->key, key, sizeof(*k)->key) == 0) {
        Kept *old = *k;
        *k = old->next;
        drop(old->plan);
        free(old);
        p->count--;
        break;
      }
}

static int choose(const DeviceChoice *d) {
  if (d->keys != NUMBERS) return fail("plans: expected %d numbers of a problem, found %d", NUMBERS, d->keys);
  char *text = d->text ? strdup(d->text) : NULL;
  Wanted *w = wanted_for(d->key);
  if (!w && (w = calloc(1, sizeof *w))) {
    unsigned b = bucket_of(d->key);
    memcpy(w->key, d->key, sizeof w->key);
    w->next = wanted[b];
    wanted[b] = w;
  }
  if (!w || (d->text && !text)) return free(text), fail_memory("out of memory: choices of plans");
  free(w->text);
  w->text = text;
  w->offer = d->offer, w->engine = d->engine, w->seconds = d->seconds, w->usual = d->usual;
  drop_plan(d->key);
  return 1;
}

static const char *tuning_label(void) {
  static char text[400];
  if (!cudnn_there()) return NULL;
  snprintf(text, sizeof text, "%s%s", cuda_label(0), cudnn_label());
  return text;
}

const DeviceTuning cuda_tuning = {
    .measure = set_measure, .each = each_choice, .choose = choose, .label = tuning_label};

/* ---- use ---- */

static bool aligned(const void *const *data) {
  for (int i = 0; i < PLAN_TENSORS; i++)
    if ((uintptr_t)data[i] % 16) return false;
  return true;
}

/* Norms have no plan but those that are compiled first, and an activation might hide a NaN, which measuring sees: of these
 * cuDNN is asked to measure, or for what was measured. */
static bool is_asked(const Problem *p) {
  long key[NUMBERS];
  if ((p->pass < NORM_FORWARD && p->act == ACT_NONE) || measuring) return true;
  key_of(p, key);
  return wanted_for(key);
}

/* What there is for the problem on the call's device; *k is NULL where cuDNN is not asked. 0 with a message. */
static int find(Call *c, const Problem *p, Plans **plans, Kept **k) {
  const ConvShape *s = &p->shape;
  *k = NULL;
  if (!conv_reads(s) || !is_asked(p)) return 1;
  if (!(*plans = plans_of(c->device))) return 0;
  return !(*plans)->handle || (*k = plan_of(*plans, p));
}

static bool to_measure(const Call *c, const Kept *k) {
  return measuring && !k->measured && !c->device->recording;
}

bool cuda_may_plan(Call *c, const Problem *p) {
  Plans *plans;
  Kept *k;
  return find(c, p, &plans, &k) && k && (k->plan || to_measure(c, k));
}

static int planned(Call *c, const Problem *p, const void *const *data, const Apart *apart, bool *done) {
  Plans *plans;
  Kept *k;
  *done = false;
  if (!aligned(data)) return 1;
  if (!find(c, p, &plans, &k)) return 0;
  if (k && (k->plan || apart) && to_measure(c, k) &&
      !(measure(c, plans, p, data, apart) && (k = plan_of(plans, p))))
    return 0;
  if (!k || !k->plan) return 1;
  size_t bytes = k->plan->workspace;
  void *workspace = bytes ? call_scratch(c, bytes) : NULL;
  if (bytes && !workspace) return 1; /* our own kernels want none */
  *done = plan_run(k->plan, plans->handle, data, workspace);
  cuda_launches++;
  call_drop(c, workspace);
  return *done;
}

int cuda_planned(Call *c, const Problem *p, const void *const *data, bool *done) {
  return planned(c, p, data, NULL, done);
}

int cuda_planned_beside(Call *c, const Problem *p, const void *const *data, Apart apart, bool *done) {
  return planned(c, p, data, &apart, done);
}
