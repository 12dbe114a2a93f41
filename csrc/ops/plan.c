/* Recording and running plans (see plan.h). A value of the pass has a slot: an input, a constant, or what a
 * step makes. Slots are found by the tensor's number, so that recording keeps nothing alive. */
#include "ops/plan.h"

#include "core/device.h"
#include "core/error.h"
#include "core/graph.h"
#include "core/profile.h"
#include "ops/capture.h"

#include <stdlib.h>
#include <string.h>

typedef struct Slot {
  unsigned long tensor, storage; /* which ones had this value while it was recorded */
  Tensor *constant; /* its value where it is one: a view that no later write shows in; an input's shape */
  int last;         /* the step that reads it last; -1: none */
  bool output;
} Slot;

typedef struct Step {
  const OpInfo *info;
  Arg arg[OP_ARG];
  int nin, nout, in[OP_IN], out[OP_OUT]; /* slots; -1: absent */
} Step;

struct Plan {
  OpWatch watch; /* first: what op_watch points to while recording */
  Slot *slot;
  Step *step;
  int slots, slots_room, steps, steps_room, nin, nout;
  int *outputs;
  Tensor **value; /* of a run: a tensor a slot */
  long runs;
  Capture *capture; /* of a device that records; NULL: not yet, or it cannot be */
};

/* Room for one more entry of `size` bytes. */
static int grow(void *list, int *room, int count, size_t size) {
  if (count < *room) return 1;
  int more = *room ? 2 * *room : 64;
  void *bigger = realloc(*(void **)list, (size_t)more * size);
  if (!bigger) return fail_memory("out of memory: %zu bytes of a plan", (size_t)more * size);
  *(void **)list = bigger;
  *room = more;
  return 1;
}

/* A new slot for t; -1 with a message. */
static int add_slot(Plan *p, Tensor *t) {
  if (!grow(&p->slot, &p->slots_room, p->slots, sizeof *p->slot)) return -1;
  p->slot[p->slots] = (Slot){.tensor = t->id, .storage = t->storage->id, .last = -1};
  return p->slots++;
}

static int add_constant(Plan *p, Tensor *t) {
  int i = add_slot(p, t);
  return i >= 0 && (p->slot[i].constant = tensor_view(t, 0, t->rank, t->shape)) ? i : -1;
}

/* What a run's input is compared with: the shape, not the data. */
static int add_input(Plan *p, Tensor *t) {
  Tensor bare = *t;
  bare.storage = NULL;
  int i = add_slot(p, t);
  return i >= 0 && (p->slot[i].constant = tensor_view(&bare, 0, bare.rank, bare.shape)) ? i : -1;
}

static bool is_constant(const Plan *p, int slot) { return slot >= p->nin && p->slot[slot].constant; }

/* The slot of an operand: known, or a constant that is met for the first time. -1 with a message. */
static int operand(Plan *p, Tensor *t) {
  for (int i = p->slots - 1; i >= 0; i--)
    if (p->slot[i].tensor == t->id) return i;
  for (int i = 0; i < p->slots; i++)
    if (!is_constant(p, i) && p->slot[i].storage == t->storage->id)
      return fail("plan: expected values that ops have made, found a view of one that was made otherwise"),
             -1;
  return add_constant(p, t);
}

static int note(OpWatch *watch, const OpInfo *info, const Call *c) {
  Plan *p = (Plan *)watch;
  Step s = {.info = info, .nin = c->nin, .nout = c->nout};
  bool fixed = true;
  if (op_mutates(c))
    return fail("plan: expected operations that make values, found %s, which writes to its inputs",
                c->op->name);
  memcpy(s.arg, c->arg, sizeof s.arg);
  for (int i = 0; i < c->nin; i++) {
    if ((s.in[i] = c->in[i] ? operand(p, c->in[i]) : -1) < 0 && c->in[i]) return 0;
    fixed = fixed && (!c->in[i] || is_constant(p, s.in[i]));
  }
  for (int i = 0; i < c->nout; i++)
    if ((s.out[i] = fixed ? add_constant(p, c->out[i]) : add_slot(p, c->out[i])) < 0) return 0;
  if (fixed) return 1;
  if (!grow(&p->step, &p->steps_room, p->steps, sizeof *p->step)) return 0;
  for (int i = 0; i < c->nin; i++)
    if (s.in[i] >= 0) p->slot[s.in[i]].last = p->steps;
  p->step[p->steps++] = s;
  return 1;
}

Plan *plan_begin(Tensor *const *inputs, int nin) {
  if (op_watch) return fail("plan: expected no other plan to be recorded, found one"), NULL;
  Plan *p = calloc(1, sizeof *p);
  if (!p) return fail_memory("out of memory: a plan"), NULL;
  for (p->nin = 0; p->nin < nin; p->nin++)
    if (add_input(p, inputs[p->nin]) < 0) return plan_free(p), NULL;
  p->watch.see = note;
  op_watch = &p->watch;
  return p;
}

void plan_cancel(Plan *p) {
  if (op_watch == &p->watch) op_watch = NULL;
}

/* Steps that no output needs are dropped, from the last one backwards. */
static void prune(Plan *p) {
  bool *needed = calloc((size_t)p->slots + 1, sizeof *needed);
  if (!needed) return; /* a plan with idle steps is right, too */
  for (int i = 0; i < p->nout; i++) needed[p->outputs[i]] = true;
  int kept = p->steps;
  for (int k = p->steps - 1; k >= 0; k--) {
    Step *s = &p->step[k];
    bool wanted = false;
    for (int i = 0; i < s->nout; i++) wanted = wanted || needed[s->out[i]];
    if (!wanted) continue;
    for (int i = 0; i < s->nin; i++)
      if (s->in[i] >= 0) needed[s->in[i]] = true;
    p->step[--kept] = *s;
  }
  free(needed);
  p->steps -= kept;
  if (p->steps) memmove(p->step, p->step + kept, (size_t)p->steps * sizeof *p->step);
  for (int i = 0; i < p->slots; i++) p->slot[i].last = -1;
  for (int k = 0; k < p->steps; k++)
    for (int i = 0; i < p->step[k].nin; i++)
      if (p->step[k].in[i] >= 0) p->slot[p->step[k].in[i]].last = k;
}

int plan_end(Plan *p, Tensor *const *outputs, int nout) {
  op_watch = NULL;
  p->outputs = calloc((size_t)nout + 1, sizeof *p->outputs);
  p->value = calloc((size_t)(p->slots + nout) + 1, sizeof *p->value);
  if (!p->outputs || !p->value) return plan_cancel(p), fail_memory("out of memory: a plan");
  for (p->nout = 0; p->nout < nout; p->nout++) {
    int i = operand(p, outputs[p->nout]);
    if (i < 0) return plan_cancel(p), 0;
    p->outputs[p->nout] = i;
    p->slot[i].output = true;
  }
  prune(p);
  return 1;
}

void plan_free(Plan *p) {
  if (!p) return;
  plan_cancel(p);
  capture_free(p->capture);
  for (int i = 0; i < p->slots; i++) tensor_release(p->slot[i].constant);
  free(p->slot);
  free(p->step);
  free(p->outputs);
  free(p->value);
  free(p);
}

int plan_outputs(const Plan *p) { return p->nout; }
int plan_steps(const Plan *p) { return p->steps; }

static int check_inputs(const Plan *p, Tensor *const *inputs, int nin) {
  if (nin != p->nin) return fail("plan: expected %d inputs, found %d", p->nin, nin);
  for (int i = 0; i < nin; i++) {
    const Tensor *want = p->slot[i].constant, *got = inputs[i];
    if (got->device != want->device)
      return fail("plan: input %d: expected a tensor on %s, found one on %s", i + 1, want->device->name,
                  got->device->name);
    if (got->dtype != want->dtype || !tensor_same_shape(got, want))
      return fail("plan: input %d: expected %s %s, found %s %s", i + 1, dtype_name[want->dtype],
                  tensor_text(want), dtype_name[got->dtype], tensor_text(got));
  }
  return 1;
}

static int run_step(Plan *p, int k) {
  const Step *s = &p->step[k];
  Call c;
  op_begin(s->info, &c);
  memcpy(c.arg, s->arg, sizeof c.arg);
  c.nin = s->nin;
  for (int i = 0; i < s->nin; i++) c.in[i] = s->in[i] >= 0 ? p->value[s->in[i]] : NULL;
  if (!op_run(s->info, &c)) return 0;
  for (int i = 0; i < s->nout; i++) p->value[s->out[i]] = c.out[i];
  for (int i = 0; i < s->nin + s->nout; i++) {
    int j = i < s->nin ? s->in[i] : s->out[i - s->nin];
    if (j < 0 || p->slot[j].last > k || p->slot[j].output) continue;
    tensor_release(p->value[j]);
    p->value[j] = NULL;
  }
  return 1;
}

static int run_steps(Plan *p, Tensor *const *inputs, Tensor **outputs) {
  for (int i = 0; i < p->slots; i++) {
    Tensor *known = i < p->nin ? inputs[i] : p->slot[i].constant;
    p->value[i] = known ? tensor_retain(known) : NULL;
  }
  bool graph = graph_enable(false);
  int ok = 1;
  for (int k = 0; k < p->steps && ok; k++) ok = run_step(p, k);
  graph_enable(graph);
  for (int i = 0; i < p->nout && ok; i++) outputs[i] = tensor_retain(p->value[p->outputs[i]]);
  for (int i = 0; i < p->slots; i++) {
    tensor_release(p->value[i]);
    p->value[i] = NULL;
  }
  return ok;
}

/* The second run, when all is chosen that a first one chooses, is recorded once more where the device can. What cannot
 * be is run step by step ever after. */
static void record_run(Plan *p, Tensor *const *inputs, Tensor *const *outputs) {
  Capture *c = capture_begin(inputs, p->nin, outputs, p->nout);
  Tensor *own[OP_IN], *made[OP_IN] = {NULL};
  if (!c) return;
  for (int i = 0; i < p->nin; i++) own[i] = capture_input(c, i);
  int ok = run_steps(p, own, made) && capture_take(c, made, p->nout);
  tensor_release_all(made, p->nout);
  if (capture_end(c) && ok)
    p->capture = c;
  else
    capture_free(c);
}

int plan_run(Plan *p, Tensor *const *inputs, int nin, Tensor **outputs) {
  if (!check_inputs(p, inputs, nin)) return 0;
  bool plain = profiling || !nin || inputs[0]->device->recording || !capture_possible(inputs[0]->device);
  if (p->capture && !plain) {
    if (capture_run(p->capture, inputs, nin, outputs)) return 1;
    if (!failed_for_memory()) return 0;
    capture_free(p->capture); /* step by step less is needed at a time */
    p->capture = NULL;
  }
  if (!run_steps(p, inputs, outputs)) return 0;
  if (++p->runs == 2 && !plain) record_run(p, inputs, outputs);
  return 1;
}
