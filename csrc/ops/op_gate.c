/* se_gate: relu(x gate + residual), how a squeeze-and-excitation block ends (Hu, Shen, Sun, CVPR 2018). The
 * passes are batch norm's, with the gate in the place of the scale, image by image. */
#include "ops/op_kit.h"

#include "ops/bodies_norm.h"

enum { INPUT, GATE, RESIDUAL, ELEMENTS = 1 << 16, RELU = 1 };

typedef struct GateJob {
  long pixels, channels, block, blocks; /* an image's pixels, pixels a chunk, chunks an image */
  const real *x, *gate, *residual, *zeros;
  real *to;
  NormBack back;
  double *partial; /* chunks x 2 x channels: sums of dz (not needed) and of dz x */
} GateJob;

static GateJob job_of(const Call *c) {
  const long *x = c->in[INPUT]->shape;
  GateJob j = {.pixels = x[1] * x[2], .channels = x[3]};
  j.block = x[3] && x[3] < ELEMENTS ? ELEMENTS / x[3] : 1;
  j.blocks = (j.pixels + j.block - 1) / j.block;
  return j;
}

static int gate_shape(Call *c) {
  const Tensor *x = c->in[INPUT], *g = c->in[GATE], *r = c->in[RESIDUAL];
  if (!call_want_rank(c, INPUT, 4) || !want_real(c, INPUT) || !want_real(c, GATE) || !want_real(c, RESIDUAL))
    return 0;
  if (g->rank != 4 || memcmp(g->shape, SHAPE(x->shape[0], 1, 1, x->shape[3]), 4 * sizeof(long)))
    return call_fail(c, "gate: expected %s, found %s", shape_text(4, SHAPE(x->shape[0], 1, 1, x->shape[3])),
                     tensor_text(g));
  if (r && !tensor_same_shape(x, r))
    return call_fail(c, "residual: expected %s, found %s", tensor_text(x), tensor_text(r));
  return call_out(c, 0, REAL_DTYPE, 4, x->shape);
}

/* Where a chunk lies: its image, first element, number of pixels. */
static void place(const GateJob *j, long chunk, long *image, long *at, long *rows) {
  long first = chunk % j->blocks * j->block;
  *image = chunk / j->blocks;
  *at = (*image * j->pixels + first) * j->channels;
  *rows = least(j->block, j->pixels - first);
}

static int forward_chunk(void *arg, long chunk) {
  const GateJob *j = arg;
  long image, at, rows;
  place(j, chunk, &image, &at, &rows);
  HOT_CALL(norm_apply, rows, j->channels, j->x + at, j->gate + image * j->channels, j->zeros,
           j->residual ? j->residual + at : NULL, RELU, j->to + at);
  return 1;
}

static real *zeros_of(long n) {
  real *z = memory_take((size_t)n * sizeof *z);
  if (z) memset(z, 0, (size_t)n * sizeof *z);
  return z;
}

static int gate_forward(Call *c) {
  GateJob j = job_of(c);
  real *zeros = zeros_of(j.channels);
  j.x = input(c, INPUT);
  j.gate = input(c, GATE);
  j.residual = input(c, RESIDUAL);
  j.zeros = zeros;
  j.to = output(c, 0);
  int ok = zeros && j.to && parallel(c->in[INPUT]->shape[0] * j.blocks, forward_chunk, &j);
  memory_give(zeros, (size_t)j.channels * sizeof *zeros);
  return ok && (!c->training || call_save(c, 0, c->out[0]));
}

static int backward_chunk(void *arg, long chunk) {
  const GateJob *j = arg;
  long image, at, rows, C = j->channels;
  place(j, chunk, &image, &at, &rows);
  NormBack b = j->back;
  b.scale = j->gate + image * C;
  if (j->partial) {
    double *p = j->partial + chunk * 2 * C;
    memset(p, 0, (size_t)(2 * C) * sizeof *p);
    HOT_CALL(norm_sums, C ? at / C : 0, rows, C, &b, p, p + C);
  }
  if (b.dx || b.dr) HOT_CALL(norm_back, C ? at / C : 0, rows, C, &b);
  return 1;
}

static int gate_backward(Call *c) {
  GateJob j = job_of(c);
  long images = c->in[INPUT]->shape[0], C = j.channels;
  if (!c->gout[0]) return 1;
  NormBack *b = &j.back;
  if (c->want[INPUT] && !(b->dx = call_grad(c, INPUT, &b->dx_add))) return 0;
  if (c->want[RESIDUAL] && !(b->dr = call_grad(c, RESIDUAL, &b->dr_add))) return 0;
  size_t bytes = (size_t)(images * j.blocks * 2 * C) * sizeof(double);
  if (c->want[GATE] && !(j.partial = memory_take(bytes))) return 0;
  real *zeros = zeros_of(C);
  j.gate = input(c, GATE);
  *b = (NormBack){.x = input(c, INPUT),
                  .dy = arrived(c, 0),
                  .y = saved(c, 0),
                  .mean = zeros,
                  .slope = zeros,
                  .offset = zeros,
                  .act = RELU,
                  .dx = b->dx,
                  .dr = b->dr,
                  .dx_add = b->dx_add,
                  .dr_add = b->dr_add};
  bool add;
  int ok = zeros && parallel(images * j.blocks, backward_chunk, &j);
  real *dg = ok && c->want[GATE] ? call_grad(c, GATE, &add) : NULL;
  for (long i = 0; dg && i < images * C; i++) {
    double s = 0;
    for (long k = 0; k < j.blocks; k++) s += j.partial[((i / C * j.blocks + k) * 2 + 1) * C + i % C];
    dg[i] = (add ? dg[i] : 0) + (real)s;
  }
  if (j.partial) memory_give(j.partial, bytes);
  memory_give(zeros, (size_t)C * sizeof *zeros);
  return ok && (dg || !c->want[GATE]);
}

static int gate_sample(Call *c, Random *r, int variant) {
  static const long samples[][4] = {{2, 3, 4, 5}, {1, 1, 1, 1}, {0, 2, 2, 3}, {1, 5, 3, 16}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  return sample_input(c, INPUT, r, 4, s) && sample_input(c, GATE, r, 4, SHAPE(s[0], 1, 1, s[3])) &&
         (variant == 3 || sample_input(c, RESIDUAL, r, 4, s));
}

const Op REALNAME(op_se_gate) = {.name = "se_gate",
                                 .args = "input gate residual?",
                                 .doc = "relu(input * gate + residual): N,H,W,C with gate N,1,1,C",
                                 .shape = gate_shape,
                                 .forward = gate_forward,
                                 .backward = gate_backward,
                                 .sample = gate_sample,
                                 .lean = 4};
