/* The engine around the op table: looking ops up and what ops ask of a call (engine.c); checking a call against
 * its argument list, choosing device and kernel, running it, and recording it on the tape (run.c). */
#ifndef OPS_ENGINE_H
#define OPS_ENGINE_H

#include "ops/op.h"

/* NONE: a number that is absent unless given; CHOICE: one of some names */
enum { KIND_NUMBER, KIND_BOOL, KIND_LIST, KIND_NONE, KIND_CHOICE };

/* What an integer parameter, or an entry of a list, may be: numbers up to there are exact as float64. */
#define INTEGER_MAX (1L << 53)

/* An op with its argument list taken apart. */
typedef struct OpInfo {
  const Op *op;
  int number;          /* its place in ops/table.h */
  bool differentiable; /* its kernels have a backward */
  bool any_dtype; /* '*' in front of args: inputs arrive as they are; otherwise integers are cast to floats */
  bool variadic;  /* "inputs...": one list of tensors */
  int nin, narg;
  char in_name[OP_IN][24], arg_name[OP_ARG][24];
  bool optional[OP_IN];
  int kind[OP_ARG];
  bool whole[OP_ARG]; /* ":int": an integer */
  const char
      *choices[OP_ARG]; /* names that are allowed, "none|relu" and what follows; NULL: none (see args.h) */
  Arg preset[OP_ARG];
} OpInfo;

int op_count(void);
const OpInfo *op_info(int i);            /* 0 .. op_count()-1 */
const OpInfo *op_find(const char *name); /* NULL without a message when there is none */

/* Ready for in[] and arg[] to be filled: all inputs absent, all parameters at their defaults. */
void op_begin(const OpInfo *info, Call *c);

/* Bit i: this call writes to in[i]. Its op is known (op_run has set it). */
unsigned op_mutates(const Call *c);

/* Runs the call. Inputs are borrowed; on success out[0 .. nout-1] are the caller's. c->needs_grad and the tape
 * follow from the inputs. 0 with a message on failure; nothing is left behind. */
int op_run(const OpInfo *info, Call *c);

/* Runs an op without outputs on n rows of operands (of info->nin each; NULL: absent) with the parameters of `like`:
 * row by row, or at once where the kernel of their device can, which reads `numbers` (on that device, written by
 * op_write_numbers) in place of the parameters; NULL: the parameters. The first failure ends it. */
int op_run_each(const OpInfo *info, const Call *like, Tensor *const *rows, int n, const Tensor *numbers);
/* What the parameters of `like` come to (Op.numbers), into OP_NUMBERS numbers of float32 on any device. */
int op_write_numbers(const OpInfo *info, const Call *like, Tensor *numbers);

/* Sees every call of this thread that succeeded, before its inputs may be released; op_watch: NULL, or who
 * does. see: 1, or 0 with a message, and the call has failed. */
typedef struct OpWatch OpWatch;
struct OpWatch {
  int (*see)(OpWatch *, const OpInfo *, const Call *);
};
extern _Thread_local OpWatch *op_watch;

/* For C code above: one output, parameters at their defaults but the first `count`, which are given. */
Tensor *op_apply(const char *name, Tensor *const *inputs, int nin, const double *args, int count);

/* The variant-th random legal case, in float64 when `wide`. On success in[] are the caller's. Returns -1 when
 * there is no such variant. */
int op_sample(const OpInfo *info, Call *c, Random *r, int variant, bool wide);

#endif
