/* avg_pool2d (the mean of every window) and unfold (every window's contents
 * side by side, im2col), of images N,H,W,C. Both take windows as convolutions
 * do (see window.h). */
#include "ops/window_sizes.h"

enum { NUMBERS = 1 << 14 }; /* a chunk reads and writes about so many */

/* Pixels a chunk; shapes alone decide. */
static long grain(const Frame *f) {
  long each = f->c * f->kernel[0] * f->kernel[1];
  return each < NUMBERS ? NUMBERS / (each + 1) + 1 : 1;
}

/* ---- avg_pool2d ---- */
static int avg_pool_shape(Call *c) {
  Frame f;
  if (!c->arg[STRIDE].given) c->arg[STRIDE] = c->arg[KERNEL_SIZE];
  return frame_of(c, &f) &&
         call_out(c, 0, c->dtype, 4, SHAPE(c->in[0]->shape[0], f.count[0], f.count[1], f.c));
}

static int avg_pool_run(Call *c) {
  Frame f;
  real *y = output(c, 0);
  return y && frame_of(c, &f) &&
         HOT_EACH(avg_pool_forward, windows_of(c, &f), grain(&f), .x = input(c, 0), .y = y, .f = f);
}

static int avg_pool_back(Call *c) {
  Frame f;
  bool add;
  const real *dy = grad_out(c, 0);
  if (!dy) return 1;
  real *dx = call_grad(c, 0, &add);
  return dx && frame_of(c, &f) &&
         HOT_EACH(avg_pool_backward, inputs_of(c, &f), grain(&f), .dy = dy, .dx = dx, .add = add, .f = f);
}

/* ---- unfold ---- */
static int unfold_shape(Call *c) {
  Frame f;
  return frame_of(c, &f) &&
         call_out(c, 0, c->dtype, 3,
                  SHAPE(c->in[0]->shape[0], f.count[0] * f.count[1], f.kernel[0] * f.kernel[1] * f.c));
}

static int unfold_run(Call *c) {
  Frame f;
  real *y = output(c, 0);
  return y && frame_of(c, &f) &&
         HOT_EACH(unfold_forward, windows_of(c, &f), grain(&f), .x = input(c, 0), .y = y, .f = f);
}

static int unfold_back(Call *c) {
  Frame f;
  bool add;
  const real *dy = grad_out(c, 0);
  if (!dy) return 1;
  real *dx = call_grad(c, 0, &add);
  return dx && frame_of(c, &f) &&
         HOT_EACH(unfold_backward, inputs_of(c, &f), grain(&f), .dy = dy, .dx = dx, .add = add, .f = f);
}

/* ---- samples ---- */
static int sample(Call *c, Random *r, int variant) {
  static const struct {
    long shape[4], kernel[2], stride[2];
    int paddings; /* how many numbers; 0: same */
    long padding[4], last[2];
  } samples[] = {{{2, 6, 7, 3}, {2, 2}, {2, 2}, 1, {0}, {1, 1}},
                 {{1, 7, 5, 4}, {3, 3}, {2, 2}, 1, {1}, {1, 1}},
                 {{1, 7, 5, 4}, {3, 3}, {2, 2}, 1, {1}, {0, 2}},
                 {{1, 6, 9, 2}, {3, 5}, {1, 2}, 2, {1, 2}, {0, 1}},
                 {{1, 6, 8, 17}, {3, 2}, {2, 3}, 0, {0}, {0, 1}},
                 {{1, 5, 6, 1}, {4, 2}, {1, 1}, 4, {2, 0, 0, 1}, {0, 1}},
                 {{0, 4, 4, 2}, {2, 2}, {1, 1}, 1, {0}, {1, 1}},
                 {{1, 1, 1, 2}, {3, 3}, {1, 1}, 1, {1}, {0, 1}}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  bool mean = c->op->form == AVERAGE;
  const long *last = samples[variant].last;
  sample_list(c, KERNEL_SIZE, 2, samples[variant].kernel);
  if (variant || !mean) sample_list(c, STRIDE, 2, samples[variant].stride);
  if (samples[variant].paddings)
    sample_list(c, PADDING, samples[variant].paddings, samples[variant].padding);
  else
    sample_choice(c, PADDING, 0);
  if (mean)
    sample_arg(c, LAST, (double)last[0]);
  else if (last[1] > 1)
    sample_arg(c, LAST, 2), c->arg[PADDING].list[0] = 2;
  return sample_input(c, 0, r, 4, samples[variant].shape);
}

DESCRIPTOR op_avg_pool2d = {
    .name = "avg_pool2d",
    .form = AVERAGE,
    .args = "input kernel:list stride:list padding:same={0} "
            "count_include_pad=true",
    .doc = "mean of every window of images N,H,W,C (stride: the kernel's size); zeros count "
           "unless count_include_pad = false",
    .shape = avg_pool_shape,
    .sample = sample,
    .shape_only = 1};
const Kernel REALNAME(cpu_avg_pool2d) = {.forward = avg_pool_run, .backward = avg_pool_back};
DESCRIPTOR op_unfold = {.name = "unfold",
                        .form = UNFOLD,
                        .args = "input kernel:list stride:list={1} padding:same={0} "
                                "dilation:list={1}",
                        .doc = "every window of images N,H,W,C as a row: N, windows, kH kW C",
                        .shape = unfold_shape,
                        .sample = sample,
                        .shape_only = 1};
const Kernel REALNAME(cpu_unfold) = {.forward = unfold_run, .backward = unfold_back};
