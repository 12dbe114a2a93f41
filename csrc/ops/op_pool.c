/* max_pool2d and global_pool (the mean over all pixels), of images N,H,W,C. */
#include "ops/op_kit.h"

#include "ops/bodies_pool.h"

enum { KERNEL_SIZE, STRIDE, PADDING, CEIL, KERNEL_MAX = 15, PIXELS = 256 };

/* Windows along one side. Rounded up, a last window may hang over the border, but must begin inside. */
static long pooled(const Call *c, long size) {
  long stride = c->arg[STRIDE].list[0], padding = c->arg[PADDING].list[0];
  long room = size + 2 * padding - c->arg[KERNEL_SIZE].list[0];
  if (!c->arg[CEIL].list[0]) return room / stride + 1;
  long n = (room + stride - 1) / stride + 1;
  return (n - 1) * stride >= size + padding ? n - 1 : n;
}

static int max_pool_shape(Call *c) {
  const Tensor *x = c->in[0];
  long k = c->arg[KERNEL_SIZE].list[0], s = c->arg[STRIDE].list[0], p = c->arg[PADDING].list[0];
  if (!want_real(c, 0) || !call_want_rank(c, 0, 4)) return 0;
  if (k < 1 || k > KERNEL_MAX) return call_fail(c, "kernel: expected 1 .. %d, found %ld", KERNEL_MAX, k);
  if (s < 1) return call_fail(c, "stride: expected at least 1, found %ld", s);
  if (p < 0 || p > k / 2)
    return call_fail(c, "padding: expected 0 .. %ld (half the kernel), found %ld", k / 2, p);
  if (x->shape[1] + 2 * p < k || x->shape[2] + 2 * p < k)
    return call_fail(c, "input: expected an image that holds the kernel, found %s", tensor_text(x));
  return call_out(c, 0, c->dtype, 4,
                  SHAPE(x->shape[0], pooled(c, x->shape[1]), pooled(c, x->shape[2]), x->shape[3]));
}

static int max_pool_run(Call *c) {
  const long *x = c->in[0]->shape, *y = c->out[0]->shape;
  Tensor *kept = call_save_new(c, 0, U8, 4, y);
  uint8_t *place = kept ? tensor_write(kept) : NULL;
  real *to = output(c, 0);
  return place && to &&
         HOT_EACH(max_pool_forward, y[0] * y[1] * y[2], PIXELS, .x = input(c, 0), .y = to, .place = place,
                  .h = x[1], .w = x[2], .c = x[3], .ho = y[1], .wo = y[2],
                  .kernel = c->arg[KERNEL_SIZE].list[0], .stride = c->arg[STRIDE].list[0],
                  .padding = c->arg[PADDING].list[0]);
}

static int max_pool_back(Call *c) {
  const long *x = c->in[0]->shape, *y = c->saved[0]->shape;
  bool add;
  if (!c->grad_out[0]) return 1;
  real *dx = call_grad(c, 0, &add);
  return dx && HOT_EACH(max_pool_backward, x[0] * x[1] * x[2], PIXELS, .dy = grad_out(c, 0),
                        .place = tensor_data(c->saved[0]), .dx = dx, .add = add, .h = x[1], .w = x[2],
                        .c = x[3], .ho = y[1], .wo = y[2], .kernel = c->arg[KERNEL_SIZE].list[0],
                        .stride = c->arg[STRIDE].list[0], .padding = c->arg[PADDING].list[0]);
}

/* A shuffled ladder: no ties, however the windows lie. */
static int max_pool_sample(Call *c, Random *r, int variant) {
  static const long samples[][8] = {{2, 7, 6, 3, 3, 2, 1, 0},  {1, 4, 4, 5, 2, 2, 0, 0},
                                    {1, 1, 1, 2, 3, 2, 1, 0},  {0, 4, 4, 1, 3, 2, 1, 0},
                                    {1, 5, 3, 17, 3, 1, 1, 0}, {1, 6, 7, 1, 5, 3, 2, 0},
                                    {1, 8, 7, 3, 3, 2, 0, 1},  {1, 6, 5, 2, 2, 3, 1, 1}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  for (int k = 0; k < 4; k++) sample_arg(c, k, (double)s[4 + k]);
  if (!sample_input(c, 0, r, 4, s)) return 0;
  real *x = tensor_write(c->in[0]);
  for (long k = 0; x && k < c->in[0]->size; k++) {
    long other = random_below(r, k + 1);
    x[k] = x[other];
    x[other] = (real)(0.01 * (double)k - 1);
  }
  return x != NULL;
}

/* ---- global_pool ---- */
static int global_pool_shape(Call *c) {
  const Tensor *x = c->in[0];
  if (!want_real(c, 0) || !call_want_rank(c, 0, 4)) return 0;
  if (x->shape[1] * x->shape[2] == 0)
    return call_fail(c, "input: expected at least one pixel, found %s", tensor_text(x));
  return call_out(c, 0, c->dtype, 4, SHAPE(x->shape[0], 1, 1, x->shape[3]));
}

static int global_pool_forward(Call *c) {
  const long *x = c->in[0]->shape;
  real *y = output(c, 0);
  long pixels = x[1] * x[2];
  return y && REALNAME(sum_middle)(c, input(c, 0), x[0], pixels, x[3], 1 / (double)pixels, y, false);
}

static int global_pool_back(Call *c) {
  const long *x = c->in[0]->shape;
  long pixels = x[1] * x[2];
  bool add;
  if (!c->grad_out[0]) return 1;
  real *dx = call_grad(c, 0, &add);
  return dx && HOT_EACH(global_pool_backward, x[0] * pixels, PIXELS, .dy = grad_out(c, 0), .dx = dx,
                        .scale = 1 / (real)pixels, .add = add, .pixels = pixels, .c = x[3]);
}

static int global_pool_sample(Call *c, Random *r, int variant) {
  switch (variant) {
  case 0: return sample_input(c, 0, r, 4, SHAPE(2, 3, 5, 7));
  case 1: return sample_input(c, 0, r, 4, SHAPE(1, 1, 1, 1));
  case 2: return sample_input(c, 0, r, 4, SHAPE(0, 2, 2, 3));
  case 3: return sample_input(c, 0, r, 4, SHAPE(3, 8, 8, 16));
  default: return -1;
  }
}

DESCRIPTOR op_max_pool2d = {.name = "max_pool2d",
                            .args = "input kernel:int=3 stride:int=2 padding:int=1 ceil=false",
                            .doc = "largest number of every kernel x kernel window of images "
                                   "N,H,W,C; ceil: a last window may hang over the border",
                            .shape = max_pool_shape,
                            .sample = max_pool_sample,
                            .shape_only = 1};
const Kernel REALNAME(cpu_max_pool2d) = {.forward = max_pool_run, .backward = max_pool_back};
DESCRIPTOR op_global_pool = {.name = "global_pool",
                             .args = "input",
                             .doc = "mean over all pixels: N,H,W,C to N,1,1,C",
                             .shape = global_pool_shape,
                             .sample = global_pool_sample,
                             .shape_only = 1};
const Kernel REALNAME(cpu_global_pool) = {.forward = global_pool_forward, .backward = global_pool_back};
