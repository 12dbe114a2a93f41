/* Running a call: on which device, with which kernel, on what; then the tape. Nothing here reads a tensor's
 * data: devices do. */
#include "ops/run.h"

#include "core/error.h"
#include "core/graph.h"
#include "core/pool.h"
#include "core/profile.h"
#include "ops/account.h"
#include "ops/anomaly.h"
#include "ops/engine.h"
#include "ops/kernels.h"
#include "ops/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks ---- */

static const char *name_of(const OpInfo *info, int i) { return info->in_name[info->variadic ? 0 : i]; }

static int check_inputs(const OpInfo *info, Call *c) {
  if (info->variadic) return c->nin > 0 || call_fail(c, "%s: expected at least one tensor", info->in_name[0]);
  for (int i = 0; i < info->nin; i++)
    if (!c->in[i] && !info->optional[i])
      return call_fail(c, "%s: expected a tensor, found none", info->in_name[i]);
  return 1;
}

unsigned op_mutates(const Call *c) { return !c->op->mutating || c->op->mutating(c) ? c->op->mutates : 0; }

/* What is written to is a tensor of its own, which no graph says how to make. */
static int check_mutated(const OpInfo *info, const Call *c) {
  unsigned mutates = op_mutates(c);
  for (int i = 0; i < c->nin; i++) {
    if (!(mutates >> i & 1) || !c->in[i]) continue;
    if (!call_want_own(c, i)) return 0;
    if (c->in[i]->var && c->in[i]->var->node)
      return call_fail(c, "%s: expected no result of a graph, since it is written to, found one (detach it)",
                       name_of(info, i));
  }
  return 1;
}

/* Whether backward will be wanted: an input requires a gradient that can get one. */
static bool wants_gradient(const OpInfo *info, const Call *c) {
  for (int i = 0; i < c->nin; i++)
    if (c->in[i] && c->in[i]->var && !(c->op->no_grad >> i & 1))
      return info->differentiable && graph_enabled();
  return false;
}

/* An op without outputs works on its inputs: that is something. */
static bool makes_nothing(const Call *c) {
  for (int i = 0; i < c->nout; i++)
    if (c->out[i]->size) return false;
  return c->nout > 0;
}

/* ---- operands ---- */

/* t, which becomes made[i]'s, stands for input i from here on. */
static int replace(Call *c, Tensor **made, int i, Tensor *t) {
  if (!t) return 0;
  tensor_release(made[i]);
  c->in[i] = made[i] = t;
  return 1;
}

/* The one device of the inputs; a number beside them (a scalar on the CPU) is brought there. */
static int find_device(const OpInfo *info, Call *c, Tensor **made) {
  int first = -1;
  c->device = device_cpu();
  for (int i = 0; i < c->nin && first < 0; i++)
    if (c->in[i] && c->in[i]->device != c->device) first = i;
  if (first < 0) return 1;
  Device *d = c->device = c->in[first]->device;
  for (int i = 0; i < c->nin; i++) {
    const Tensor *t = c->in[i];
    if (!t || t->device == d) continue;
    bool number = t->device->kind == DEVICE_CPU && !t->rank && !t->var && !(c->op->mutates >> i & 1);
    if (!number)
      return call_fail(c, "%s: expected a tensor on %s like %s, found one on %s", name_of(info, i), d->name,
                       name_of(info, first), t->device->name);
    if (!replace(c, made, i, tensor_to(t, d))) return 0;
  }
  return 1;
}

static bool may_fall_back(void) {
  const char *s = getenv("COHESIV_FALLBACK");
  return s && !strcmp(s, "cpu");
}

/* The CPU computes it in place of a device that cannot: copies of the inputs, which keep their Vars. */
static int fall_back(Call *c, Tensor **made) {
  c->home = c->device;
  c->device = device_cpu();
  for (int i = 0; i < c->nin; i++) {
    Tensor *t = c->in[i], *copy = t ? tensor_to(t, c->device) : NULL;
    if (!t) continue;
    if (copy && t->var) copy->var = var_retain(t->var);
    if (!replace(c, made, i, copy)) return 0;
  }
  return 1;
}

/* The dtype that the float inputs share: float64 if any is; on a GPU that of the first half among those which need not
 * stay float32. */
static Dtype shared_dtype(const Call *c) {
  Dtype dtype = F32;
  unsigned apart = c->op->weights | c->op->full;
  for (int i = 0; i < c->nin; i++) {
    const Tensor *t = c->in[i];
    if (t && t->dtype == F64) return F64;
    if (t && dtype_is_half(t->dtype) && c->device->kind == DEVICE_CUDA && dtype == F32 && !(apart >> i & 1))
      dtype = t->dtype;
  }
  return dtype;
}

/* What the call computes in, and with which kernel. Weights in bfloat16 ask for products in it. */
static int choose_kernel(const OpInfo *info, Call *c, Tensor **made) {
  c->compute = c->dtype = shared_dtype(c);
  for (int i = 0; c->op->weights && i < c->nin && c->dtype == F32; i++)
    if (c->op->weights >> i & 1 && c->in[i] && c->in[i]->dtype == BF16) c->compute = BF16;
  c->kernel = op_kernel(info->number, c->device->kind, c->compute);
  if (c->kernel) return 1;
  if (c->device->kind != DEVICE_CPU && !dtype_is_half(c->dtype) && may_fall_back())
    return (c->kernel = op_kernel(info->number, DEVICE_CPU, c->compute)) && fall_back(c, made);
  return call_fail(c, "expected a kernel for %s on %s, found none (COHESIV_FALLBACK=cpu computes it there)",
                   dtype_name[c->compute], c->device->name);
}

/* Whether in[i] are weights in a dtype that the op takes beside the call's: those that are trained are float32. */
static bool fits_weight(const Call *c, int i) {
  const Tensor *t = c->in[i];
  if (!(c->op->weights >> i & 1)) return false;
  if (dtype_is_half(c->dtype)) return t->dtype == F32 || (t->dtype == c->dtype && !t->var);
  return t->dtype == BF16 && c->compute == BF16;
}

/* Rounding that gradients come back through. */
static Tensor *rounded(Tensor *t, Dtype dtype) {
  double flags[DTYPES] = {0};
  flags[dtype] = 1;
  return op_apply("cast", &t, 1, flags, DTYPES);
}

/* Inputs of arithmetic in the call's dtype; casts are owned by `made`. Beside halves, what has a gradient is
 * converted, too: parameters are float32 then. */
static int unify(const OpInfo *info, Call *c, Tensor **made) {
  bool half = dtype_is_half(c->dtype);
  for (int i = 0; i < c->nin; i++) {
    Tensor *t = c->in[i];
    if (!t || fits_weight(c, i)) continue;
    Dtype dtype = half && c->op->weights >> i & 1 ? F32 : call_dtype(c, i);
    bool graded = t->var && !(c->op->no_grad >> i & 1);
    if (t->dtype == dtype) continue;
    if (graded && !half)
      return call_fail(c, "%s: expected %s like the other inputs, found %s (convert with :to)",
                       name_of(info, i), dtype_name[dtype], dtype_name[t->dtype]);
    if (!replace(c, made, i, graded ? rounded(t, dtype) : tensor_cast(t, dtype))) return 0;
    c->cast |= 1u << i;
  }
  return 1;
}

/* ---- computing ---- */

int call_compute(Call *c, int (*f)(Call *)) {
  Device *d = c->device;
  device_begin(c->op->name);
  if (d->enter) d->enter(d);
  int ok = f(c);
  if (d->leave) d->leave(d);
  device_end();
  for (int k = 0; k < OP_SCRATCH; k++) call_drop(c, c->scratch[k].data);
  return ok;
}

/* A refusal of values, on a device that nobody waits for: it says so later, and what comes out is no number.
 * There is nothing for backward to do then. */
static int defer(Call *c) {
  Device *d = c->device;
  if (d->kind == DEVICE_CPU || !failed_for_value()) return 0;
  device_defer(d, error_message());
  c->nothing = true;
  int ok = 1;
  for (int i = 0; i < c->nout && ok; i++) {
    Tensor *t = c->out[i];
    const void *nan = t->dtype == F64 ? (const void *)&(double){NAN} : (const void *)&(float){NAN};
    ok = d->fill(d, tensor_write(t), dtype_is_real(t->dtype) ? nan : NULL, dtype_bytes[t->dtype], t->size);
  }
  return ok;
}

/* What a call away from home has made and written goes where its operands are. */
static int bring_home(Call *c, Tensor *const *given) {
  for (int i = 0; i < c->nout; i++) {
    Tensor *t = tensor_to(c->out[i], c->home);
    if (!t) return 0;
    tensor_release(c->out[i]);
    c->out[i] = t;
  }
  unsigned mutates = op_mutates(c);
  for (int i = 0; i < c->nin; i++) {
    if (!c->in[i] || !(mutates >> i & 1)) continue;
    void *to = tensor_write(given[i]);
    if (!to || !device_copy(c->home, to, c->device, tensor_data(c->in[i]), tensor_bytes(given[i]))) return 0;
  }
  return 1;
}

/* Whoever watches sees the operands that were given, not what they were converted to. */
static int show(const OpInfo *info, Call *c, Tensor *const *given) {
  Tensor *used[OP_IN];
  memcpy(used, c->in, sizeof used);
  memcpy(c->in, given, sizeof used);
  int ok = op_watch->see(op_watch, info, c);
  memcpy(c->in, used, sizeof used);
  return ok;
}

_Thread_local OpWatch *op_watch;

int op_run(const OpInfo *info, Call *c) {
  long event = profiling ? profile_begin(info->op->name, EVENT_FORWARD) : -1;
  Tensor *given[OP_IN], *made[OP_IN] = {0};
  memcpy(given, c->in, sizeof given);
  c->op = info->op;
  c->nout = 0;
  c->cast = 0;
  int ok = check_inputs(info, c) && find_device(info, c, made) && choose_kernel(info, c, made) &&
           (info->any_dtype || unify(info, c, made));
  c->training = ok && wants_gradient(info, c);
  ok = ok && check_mutated(info, c) && c->op->shape(c);
  c->nothing = ok && makes_nothing(c);
  ok = ok && (c->nothing || call_compute(c, c->kernel->forward) || defer(c));
  if (ok && interrupted) ok = fail("interrupted");
  if (ok && detecting_anomaly) ok = anomaly_in_outputs(info, c);
  if (ok && c->home) ok = bring_home(c, given);
  if (ok && c->training) ok = record_call(c);
  if (ok && op_watch) ok = show(info, c, given);
  if (event >= 0) account_forward(event, c, ok);
  tensor_release_all(c->saved, OP_SAVED); /* recorded: moved to the node */
  tensor_release_all(made, OP_IN);
  if (!ok) tensor_release_all(c->out, OP_OUT);
  return ok;
}

/* ---- many calls ---- */

static void take_row(const OpInfo *info, const Call *like, Tensor *const *row, Call *c) {
  *c = *like;
  memcpy(c->in, row, (size_t)info->nin * sizeof *row);
  c->nin = info->nin;
}

/* The kernel of a device that takes all rows as they are, of float32 on that device; NULL: there is none. */
static const Kernel *kernel_for_each(const OpInfo *info, Tensor *const *rows, int n) {
  Device *d = rows[0] ? rows[0]->device : NULL;
  if (!d || d->kind == DEVICE_CPU || op_watch) return NULL;
  for (int i = 0; i < n * info->nin; i++)
    if (rows[i] && (rows[i]->device != d || rows[i]->dtype != F32)) return NULL;
  const Kernel *k = op_kernel(info->number, d->kind, F32);
  return k && k->each ? k : NULL;
}

static int run_at_once(const OpInfo *info, const Call *like, Tensor *const *rows, int n,
                       const Tensor *numbers, const Kernel *kernel) {
  Call *calls = malloc((size_t)n * sizeof *calls);
  if (!calls) return fail_memory("out of memory: %d calls of %s", n, info->op->name);
  int ok = 1;
  for (int i = 0; i < n && ok; i++) {
    Call *c = &calls[i];
    take_row(info, like, rows + i * info->nin, c);
    c->op = info->op;
    c->device = rows[0]->device;
    c->kernel = kernel;
    c->dtype = c->compute = F32;
    c->numbers = numbers ? tensor_data(numbers) : NULL;
    ok = check_inputs(info, c) && check_mutated(info, c) && c->op->shape(c);
  }
  long event = profiling ? profile_begin(info->op->name, EVENT_FORWARD) : -1;
  if (ok) {
    Device *d = calls->device;
    device_begin(info->op->name);
    if (d->enter) d->enter(d);
    ok = kernel->each(calls, n);
    if (d->leave) d->leave(d);
    device_end();
    for (int k = 0; k < OP_SCRATCH; k++) call_drop(calls, calls->scratch[k].data);
  }
  if (event >= 0) account_each(event, calls, n, ok);
  free(calls);
  return ok && (!interrupted || fail("interrupted"));
}

static int numbers_fit(const OpInfo *info, const Tensor *t) {
  return (t->dtype == F32 && t->size == OP_NUMBERS) ||
         fail("%s: numbers: expected %d of float32, found %s of %s", info->op->name, OP_NUMBERS,
              tensor_text(t), dtype_name[t->dtype]);
}

int op_run_each(const OpInfo *info, const Call *like, Tensor *const *rows, int n, const Tensor *numbers) {
  if (numbers && !numbers_fit(info, numbers)) return 0;
  const Kernel *kernel = n ? kernel_for_each(info, rows, n) : NULL;
  if (kernel) return run_at_once(info, like, rows, n, numbers, kernel);
  int ok = 1;
  for (int i = 0; i < n && ok; i++) {
    Call c;
    take_row(info, like, rows + i * info->nin, &c);
    ok = op_run(info, &c);
  }
  return ok;
}

int op_write_numbers(const OpInfo *info, const Call *like, Tensor *t) {
  float numbers[OP_NUMBERS] = {[OP_FACTOR] = 1};
  if (!numbers_fit(info, t)) return 0;
  info->op->numbers(like, numbers);
  void *to = tensor_write(t);
  return to && device_copy(t->device, to, device_cpu(), numbers, sizeof numbers);
}

Tensor *op_apply(const char *name, Tensor *const *inputs, int nin, const double *args, int count) {
  const OpInfo *info = op_find(name);
  Call c;
  if (!info) return fail("%s: no such op", name), NULL;
  op_begin(info, &c);
  c.nin = nin;
  for (int i = 0; i < nin; i++) c.in[i] = inputs[i];
  for (int i = 0; i < count; i++) sample_arg(&c, i, args[i]);
  if (!op_run(info, &c)) return NULL;
  for (int i = 1; i < c.nout; i++) tensor_release(c.out[i]);
  return c.out[0];
}

int op_sample(const OpInfo *info, Call *c, Random *r, int variant, bool wide) {
  op_begin(info, c);
  c->op = info->op;
  c->dtype = F32;
  c->device = device_cpu();
  int got = c->op->sample ? c->op->sample(c, r, variant) : -1;
  for (int i = 0; i < OP_IN && got == 1 && wide; i++) {
    Tensor *t = c->in[i];
    if (!t || t->dtype != F32) continue;
    got = (c->in[i] = tensor_cast(t, F64)) != NULL;
    tensor_release(t);
  }
  if (got != 1) tensor_release_all(c->in, OP_IN);
  return got;
}
