/* What an op is. One descriptor (Op) holds what an operation means: argument list, help, shape rule, and random
 * legal arguments for the generated tests. What computes it (Kernel) stands beside it, one per kind of device
 * and dtype that is computed in (ops/kernels.c).
 *
 *   Lua call ──> op_call(): parse args ──> shape() ──> forward() ──> [Node on the tape] ... backward()
 *
 * Every file in csrc/ops that computes is compiled twice, with `real` = float and = double (see ops/real.h);
 * the engine picks the kernel by the inputs' dtypes. */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "core/device.h"
#include "core/random.h"
#include "core/tensor.h"
#include "ops/numbers.h"

#pragma GCC visibility push(default) /* for the shared objects of devices */

enum { OP_IN = 10, OP_OUT = 4, OP_ARG = 12, OP_SAVED = 6, OP_SCRATCH = 6, ARG_LIST = 8 };

/* A parameter that is not a tensor: a number, boolean (0/1), a list of integers, or one of some names. */
typedef struct Arg {
  bool given; /* false: the default is in place (or, without default, nothing) */
  double n;   /* the number; of a list: its first entry */
  int count;  /* of a list: its length; of a number: 1 */
  int name;   /* of a name: its place among the choices, from 1; else 0. list[0] and n count from 0 */
  long list[ARG_LIST]; /* entries as integers (list[0] == (long)n for a number) */
} Arg;

typedef struct Op Op;
typedef struct Kernel Kernel;

typedef struct Call {
  const Op *op;
  const Kernel *kernel;
  Device *device; /* that computes it, on which all its tensors are */
  Device *home; /* without a kernel for its tensors' device, under COHESIV_FALLBACK: that device; else NULL */
  Dtype
      dtype; /* of the call's floating-point tensors: float32 or float64, on a GPU also bfloat16 or float16 */
  Dtype compute; /* of its products: the same, or bfloat16 where float32 is added up */
  int nin, nout;
  Tensor *in[OP_IN];   /* in the order of op->args; NULL: an optional one that is absent */
  unsigned cast;       /* bit i: in[i] is a converted copy of what was given */
  Arg arg[OP_ARG];     /* in the order of op->args */
  Tensor *out[OP_OUT]; /* made by shape() through call_out */
  bool training;       /* backward will be wanted: forward must fill saved */
  bool recompute;      /* set by forward: the kernel's recompute will be able to make out[0] again */
  bool nothing;        /* no output has an element: forward and backward are not called */
  struct {
    void *data;
    size_t bytes;
  } scratch[OP_SCRATCH];
  Tensor *saved[OP_SAVED];  /* owned by the call; what backward needs beside in[] */
  const float *numbers;     /* of Kernel.each: what Op.numbers says, in the device's memory; NULL: ask it */
  Tensor *grad_out[OP_OUT]; /* in backward: gradients of the outputs; NULL: none arrived (count it as zero) */
  Tensor *grad_in[OP_IN];   /* in backward: gradients of the inputs, through call_grad */
  bool needs_grad[OP_IN];   /* in backward: input i wants a gradient */
} Call;

struct Op {
  const char *name;
  /* "input weight bias? stride:int=1 dims:list keepdim=false": tensors first (? optional), then
   * parameters with defaults: number, true/false, {1,1} (list), none (absent unless given). "dim:int=1" takes
   * integers alone. Numbers that are sizes or places are integers. "act:none|relu=none" takes one of these
   * names, "padding:same={0}" a number, a list or that name. */
  const char *args;
  const char *doc;      /* one help line: what, shapes, source */
  int (*shape)(Call *); /* checks everything and makes the outputs; the only place that refuses */
  int (*sample)(Call *, Random *, int variant); /* fills in[] and arg with the variant-th random legal case;
                                 variants count from 0; returns -1 when there is no such variant */
  unsigned
      shape_only; /* bit i: backward needs only the shape of in[i], so the tape does not keep its data alive */
  unsigned weights; /* bit i: in[i] holds weights: in bfloat16 they make the call compute in it; beside halves
                       they may be float32, which the op rounds */
  unsigned
      full; /* bit i: in[i] stays float32 beside halves: statistics, numbers of channels, what is known */
  unsigned no_grad; /* bit i: in[i] is what is known (labels, masks, statistics): it gets no gradient, whether
                       it requires one or not */
  unsigned mutates; /* bit i: forward writes to in[i], a tensor of its own without a graph … */
  bool (*mutating)(const Call *); /* … where this says so; NULL: always */
  int form;                       /* which one of the ops that share these functions */
  /* ---- for co.profile; may be left out ---- */
  double (*flops)(const Call *c); /* floating-point operations of forward, by the shapes; backward takes as
                                     many for each of the first two inputs that wants a gradient */
  /* What the parameters come to, as Kernel.each reads it: up to OP_LEFT_OUT numbers. May be left out. */
  void (*numbers)(const Call *c, float *numbers);
};

struct Kernel {
  int (*forward)(Call *);  /* fills the outputs; not called where they have no element */
  int (*backward)(Call *); /* NULL: not differentiable; writes or adds the gradients that are wanted. Called
                              when one is, and one arrived; inputs without an element want none */
  /* May be left out: fills out[0] with the same bits once more, from what backward keeps. */
  int (*recompute)(Call *);
  /* May be left out: forward of n calls with the same parameters at once, of an op without outputs. */
  int (*each)(Call *calls, int n);
};

/* ---- for shape() ---- */
/* The dtype of in[i], but of weights; and of what is a sum beyond a few channels: losses, moments. */
static inline Dtype call_total(const Call *c) { return dtype_is_half(c->dtype) ? F32 : c->dtype; }
static inline Dtype call_dtype(const Call *c, int i) {
  return c->op->full >> i & 1 ? call_total(c) : c->dtype;
}
/* Makes output i. 0 when memory is short. */
int call_out(Call *c, int i, Dtype dtype, int rank, const long *shape);
/* Puts a tensor already made (a view, say) in output i; takes over the reference. 0 when t is NULL. */
int call_put(Call *c, int i, Tensor *t);
/* Refusals: fail("conv2d: weight: expected …, found …") with the op's name in front. Always 0. */
int call_fail(const Call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
int call_want_rank(const Call *c, int i, int rank); /* 0 with a message that names argument i */
int call_want_dtype(const Call *c, int i, Dtype dtype);
/* in[i] is the tensor that was given, and stands in no other place: the engine asks for op->mutates. */
int call_want_own(const Call *c, int i);

/* ---- for forward() and backward() ---- */
/* A tensor that backward needs, kept until then: a new one … */
Tensor *call_save_new(Call *c, int i, Dtype dtype, int rank, const long *shape);
/* … or a view of an input's or output's data (never the tensor itself). */
int call_save(Call *c, int i, const Tensor *t);
/* The gradient of input i to write to. *add says whether to add to what is there (true) or to fill it (false:
 * its contents are undefined). NULL when memory is short. Call only when c->needs_grad[i]. */
void *call_grad(Call *c, int i, bool *add);
/* Input i's gradient is exactly t (same number of elements): shared, not copied, where possible. */
int call_grad_is(Call *c, int i, Tensor *t);

/* Memory of the call's device that is the op's until it returns, or until call_drop; NULL when it is short. An
 * op has OP_SCRATCH blocks at a time. */
void *call_scratch(Call *c, size_t bytes);
void call_drop(Call *c, void *block); /* NULL is allowed */

/* ---- for sample() ---- */
/* A float32 (or, in the float64 build, float64) tensor of normal random numbers as input i. */
int sample_input(Call *c, int i, Random *r, int rank, const long *shape);
void sample_arg(Call *c, int i, double n);
void sample_choice(Call *c, int i, int place); /* of a parameter that is a name; from 0 */
void sample_list(Call *c, int i, int count, const long *list);

#pragma GCC visibility pop

#endif
