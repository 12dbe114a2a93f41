/* Ops that put tensors together or change their frame: cat, stack, pad_crop; any dtype. And cast, to any
 * dtype. */
#include "ops/concat_sizes.h"

/* ---- cat, stack ---- */
static int concat_shape(Call *c) {
  const Tensor *first = c->in[0];
  int d = concat_axis(c), rank = first->rank + (stacking(c) ? 1 : 0);
  long shape[RANK_MAX];
  if (d < 0) return 0;
  if (rank > RANK_MAX)
    return call_fail(c, "inputs: expected at most %d dimensions, found %s", RANK_MAX - 1, tensor_text(first));
  for (int k = 0; k < rank; k++)
    shape[k] = stacking(c) ? (k < d    ? first->shape[k]
                              : k == d ? c->nin
                                       : first->shape[k - 1])
                           : first->shape[k];
  for (int i = 1; i < c->nin; i++) {
    const Tensor *t = c->in[i];
    bool same = t->rank == first->rank;
    for (int k = 0; k < t->rank && same; k++)
      same = t->shape[k] == first->shape[k] || (!stacking(c) && k == d);
    if (!same)
      return call_fail(c, "inputs: expected the shape of the first one, %s%s, found %s", tensor_text(first),
                       stacking(c) ? "" : ", but for the joined dimension", tensor_text(t));
    if (t->dtype != first->dtype)
      return call_fail(c, "inputs: expected %s like the first one, found %s", dtype_name[first->dtype],
                       dtype_name[t->dtype]);
    if (!stacking(c)) shape[d] += t->shape[d];
  }
  return call_out(c, 0, first->dtype, rank, shape);
}

/* What is copied: `outer` rows, each of them a piece of every input. Chunks are of so many bytes. */
enum { PIECE = 1 << 17 };

typedef struct Concat {
  int nin;
  size_t row, all, piece[OP_IN]; /* bytes */
  const char *from[OP_IN];
  char *to;
} Concat;

static int concat_chunk(void *arg, long chunk) {
  const Concat *j = arg;
  size_t at = (size_t)chunk * PIECE, end = at + PIECE < j->all ? at + PIECE : j->all;
  size_t o = at / j->row, skip = at % j->row;
  int i = 0;
  while (skip >= j->piece[i]) skip -= j->piece[i++];
  for (; at < end; skip = 0) {
    size_t n = j->piece[i] - skip < end - at ? j->piece[i] - skip : end - at;
    memcpy(j->to + at, j->from[i] + o * j->piece[i] + skip, n);
    at += n;
    if (++i == j->nin) i = 0, o++;
  }
  return 1;
}

static int concat_forward(Call *c) {
  int d = concat_axis(c);
  const Tensor *y = c->out[0];
  Concat j = {.nin = c->nin, .all = tensor_bytes(y), .to = tensor_write(c->out[0])};
  for (int i = 0; i < c->nin; i++) {
    j.from[i] = tensor_data(c->in[i]);
    j.piece[i] = (size_t)share(c, i, d, inner_of(y, d)) * dtype_bytes[y->dtype];
    j.row += j.piece[i];
  }
  return j.to && parallel((long)((j.all + PIECE - 1) / PIECE), concat_chunk, &j);
}

/* An input's gradient: `n` numbers of each row of dy. */
typedef struct Part {
  long n, row, all;
  const real *dy;
  real *g;
  bool add;
} Part;

static int part_chunk(void *arg, long chunk) {
  const Part *j = arg;
  long each = PIECE / (long)sizeof(real), at = chunk * each, end = least(j->all, at + each);
  for (long o = at / j->n, k = at % j->n, n; at < end; at += n, o++, k = 0) {
    n = least(j->n - k, end - at);
    const real *dy = j->dy + o * j->row + k;
    if (!j->add) memcpy(j->g + at, dy, (size_t)n * sizeof *dy);
    for (long p = 0; p < n && j->add; p++) j->g[at + p] += dy[p];
  }
  return 1;
}

static int concat_backward(Call *c) {
  int d = concat_axis(c);
  const Tensor *y = c->grad_out[0];
  if (!y) return 1;
  long outer = outer_of(y, d), inner = inner_of(y, d);
  const real *dy = tensor_data(y);
  for (int i = 0; i < c->nin; i++) {
    Part j = {.n = share(c, i, d, inner), .row = y->shape[d] * inner, .dy = dy};
    dy += j.n;
    if (!c->needs_grad[i]) continue;
    j.all = outer * j.n;
    j.g = call_grad(c, i, &j.add);
    if (!j.g || !parallel((j.all * (long)sizeof(real) + PIECE - 1) / PIECE, part_chunk, &j)) return 0;
  }
  return 1;
}

static int concat_sample(Call *c, Random *r, int variant) {
  static const int dims[] = {1, 2, -1, 3};
  if (variant > 4) return -1;
  sample_arg(c, 0, variant == 4 ? 1 : dims[variant]);
  for (int i = 0; i < (variant == 0 ? 1 : variant == 4 ? 2 : 3); i++) {
    long shape[] = {2, 3, 2};
    if (!stacking(c) && variant < 4) shape[dims[variant] < 0 ? 2 : dims[variant] - 1] = i + 1 - variant % 2;
    if (!sample_input(c, i, r, variant == 4 ? 1 : 3, shape)) return 0;
  }
  return 1;
}

/* ---- pad_crop ---- */
static int pad_crop_shape(Call *c) {
  const Tensor *x = c->in[0];
  long shape[RANK_MAX];
  if (x->rank < 3)
    return call_fail(c, "input: expected H x W x C or N x H x W x C, found %s", tensor_text(x));
  memcpy(shape, x->shape, sizeof shape);
  for (int k = 0; k < 2; k++)
    if (c->arg[k].given && (shape[x->rank - 3 + k] = c->arg[k].list[0]) < 0)
      return call_fail(c, "height, width: expected sizes, found %ld", c->arg[k].list[0]);
  if (is_prefix(x, shape)) return call_put(c, 0, tensor_view(x, 0, x->rank, shape));
  return call_out(c, 0, x->dtype, x->rank, shape);
}

typedef struct Reframe {
  Frame a, b;
  size_t bytes;
  const void *from;
  void *to;
  bool add;
} Reframe;

static int reframe_row(void *arg, long at) {
  const Reframe *j = arg;
  long n = at / j->b.h, i = at % j->b.h;
  size_t in_row = (size_t)(j->a.w * j->a.channels) * j->bytes,
         out_row = (size_t)(j->b.w * j->b.channels) * j->bytes,
         common = i >= j->a.h        ? 0
                  : in_row < out_row ? in_row
                                     : out_row;
  char *row = (char *)j->to + (size_t)at * out_row;
  const char *source = (const char *)j->from + (size_t)(n * j->a.h + (common ? i : 0)) * in_row;
  if (j->add) {
    for (size_t k = 0; k < common / j->bytes; k++) ((real *)row)[k] += ((const real *)source)[k];
    return 1;
  }
  memcpy(row, source, common);
  memset(row + common, 0, out_row - common);
  return 1;
}

/* Copies the common part of image rows; the rest of `to` becomes 0 (or, with add, stays). */
static int reframe(const Tensor *x, const void *from, const Tensor *y, void *to, bool add) {
  Reframe j = {frame(x), frame(y), dtype_bytes[x->dtype], from, to, add};
  return parallel(j.b.images * j.b.h, reframe_row, &j);
}

static int pad_crop_forward(Call *c) {
  if (is_prefix(c->in[0], c->out[0]->shape)) return 1; /* a view */
  void *y = tensor_write(c->out[0]);
  return y && reframe(c->in[0], tensor_data(c->in[0]), c->out[0], y, false);
}

static int pad_crop_backward(Call *c) {
  bool add;
  if (!c->grad_out[0]) return 1;
  real *g = call_grad(c, 0, &add);
  return g && reframe(c->grad_out[0], grad_out(c, 0), c->in[0], g, add);
}

static int pad_crop_sample(Call *c, Random *r, int variant) {
  static const int sizes[][2] = {{4, 7}, {2, 2}, {5, 1}, {0, 3}, {3, 4}, {2, 4}};
  if (variant > 5) return -1;
  sample_arg(c, 0, sizes[variant][0]);
  if (variant) sample_arg(c, 1, sizes[variant][1]);
  return variant % 2 ? sample_input(c, 0, r, 3, SHAPE(3, 4, 2)) : sample_input(c, 0, r, 4, SHAPE(2, 3, 4, 3));
}

/* ---- cast ---- */
static int cast_shape(Call *c) {
  const Tensor *x = c->in[0];
  if (x->dtype == target(c)) return call_put(c, 0, tensor_view(x, 0, x->rank, x->shape));
  return call_out(c, 0, target(c), x->rank, x->shape);
}

static int cast_sample(Call *c, Random *r, int variant) {
  if (variant > 1) return -1;
  sample_arg(c, F64, 1);
  return sample_input(c, 0, r, 2, variant ? SHAPE(0, 2) : SHAPE(3, 4));
}

DESCRIPTOR op_cat = {.name = "cat",
                     .args = "*inputs... dim:int=1",
                     .doc = "tensors joined along a dimension",
                     .shape = concat_shape,
                     .sample = concat_sample,
                     .shape_only = 255};
const Kernel REALNAME(cpu_cat) = {.forward = concat_forward, .backward = concat_backward};
DESCRIPTOR op_stack = {.name = "stack",
                       .form = STACK,
                       .args = "*inputs... dim:int=1",
                       .doc = "tensors of one shape along a new dimension",
                       .shape = concat_shape,
                       .sample = concat_sample,
                       .shape_only = 255};
const Kernel REALNAME(cpu_stack) = {.forward = concat_forward, .backward = concat_backward};
DESCRIPTOR op_pad_crop = {.name = "pad_crop",
                          .args = "*input height:int=none width:int=none",
                          .doc =
                              "images ...,H,W,C cut, or filled up with zeros, on the right and at the bottom",
                          .shape = pad_crop_shape,
                          .sample = pad_crop_sample,
                          .shape_only = 1};
const Kernel REALNAME(cpu_pad_crop) = {.forward = pad_crop_forward, .backward = pad_crop_backward};
DESCRIPTOR op_cast = {
    .name = "cast",
    .args =
        "*input float32=false float64=false uint8=false int32=false int64=false bfloat16=false float16=false",
    .doc = "the same numbers in another dtype",
    .shape = cast_shape,
    .sample = cast_sample,
    .shape_only = 1};
const Kernel REALNAME(cpu_cast) = {.forward = cast_forward, .backward = cast_backward};
