/* The self-test: random shapes, weighted towards those that have a method of their own, with borders that do
 * not fit. */
#include "backend/conv_check.h"

#include "backend/conv.h"
#include "core/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ConvShape draw(Random *r) {
  static const long kernels[] = {1, 1, 3, 3, 3, 3, 2, 5, 7}, few[] = {1, 2, 4, 8, 16, 32};
  ConvShape s = {.n = random_below(r, 4), .h = 1 + random_below(r, 28), .w = 1 + random_below(r, 28)};
  s.kh = s.kw = kernels[random_below(r, 9)];
  if (random_below(r, 6) == 0) s.kw = 1 + random_below(r, 5);
  s.stride = random_below(r, 3) ? 1 : 1 + random_below(r, 3);
  s.pad = random_below(r, 4) ? s.kh / 2 : random_below(r, 3);
  s.groups = random_below(r, 2) ? 1 : 1L << random_below(r, 6);
  long c = few[random_below(r, 6)], o = c;
  if (s.groups == 1 && random_below(r, 3))
    c = 16 * (1 + random_below(r, 6)), o = 16 * (1 + random_below(r, 6));
  else if (random_below(r, 2))
    c = 1 + random_below(r, 30), o = 1 + random_below(r, 30);
  s.ci = c * s.groups, s.co = o * s.groups;
  if (s.h + 2 * s.pad < s.kh) s.h = s.kh;
  if (s.w + 2 * s.pad < s.kw) s.w = s.kw;
  s.ho = (s.h + 2 * s.pad - s.kh) / s.stride + 1;
  s.wo = (s.w + 2 * s.pad - s.kw) / s.stride + 1;
  return s;
}

static Tensor *noise(Random *r, long size, double deviation) {
  Tensor *t = tensor_new(F32, 1, &size);
  float *x = t ? tensor_write(t) : NULL;
  for (long i = 0; x && i < size; i++) x[i] = (float)(deviation * random_normal(r));
  return t;
}

static double difference(const Tensor *fast, const Tensor *plain, uint64_t *hash) {
  const float *a = tensor_data(fast), *b = tensor_data(plain);
  double largest = 1e-30, worst = 0;
  for (long i = 0; i < fast->size; i++) {
    uint32_t bits;
    memcpy(&bits, a + i, sizeof bits);
    *hash = (*hash ^ bits) * 1099511628211u; /* FNV-1a, by words */
    double d = fabs((double)a[i] - (double)b[i]);
    largest = fmax(largest, fabs((double)b[i]));
    worst = isfinite(a[i]) ? fmax(worst, d) : HUGE_VAL;
  }
  return worst / largest;
}

enum { X, DY, W, SCALE, SHIFT, RESIDUAL, Y, Y0, DX, DX0, DW, DW0, ALL };

static int compare(const ConvShape *s, Tensor **t, const Epilogue *e, bool add, bool reuse,
                   ConvCheck *result) {
  const float *x = tensor_data(t[X]), *dy = tensor_data(t[DY]), *w = tensor_data(t[W]);
  float *y = tensor_write(t[Y]), *y0 = tensor_write(t[Y0]), *dx = tensor_write(t[DX]),
        *dx0 = tensor_write(t[DX0]);
  float *dw = tensor_write(t[DW]), *dw0 = tensor_write(t[DW0]);
  memcpy(dx0, dx, tensor_bytes(t[DX]));
  memcpy(dw0, dw, tensor_bytes(t[DW]));
  for (int again = 0; again <= reuse; again++)
    if (!conv_forward(s, x, t[W], e, y, reuse)) return 0;
  if (!conv_reference_forward(s, x, w, e, y0) || !conv_backward_data(s, dy, t[W], dx, add) ||
      !conv_reference_backward_data(s, dy, w, dx0, add) || !conv_backward_weight(s, x, dy, dw, add) ||
      !conv_reference_backward_weight(s, x, dy, dw0, add))
    return 0;
  result->hash = 14695981039346656037u;
  result->forward = difference(t[Y], t[Y0], &result->hash);
  result->data = difference(t[DX], t[DX0], &result->hash);
  result->weight = difference(t[DW], t[DW0], &result->hash);
  return 1;
}

int conv_check(uint64_t seed, ConvCheck *result) {
  Random r;
  random_start(&r, seed, 0);
  ConvShape s = draw(&r);
  long in = s.n * s.h * s.w * s.ci, out = s.n * s.ho * s.wo * s.co,
       weights = s.co * s.kh * s.kw * (s.ci / s.groups);
  long sizes[ALL] = {in, out, weights, s.co, s.co, out, out, out, in, in, weights, weights};
  double deviation = 1 / sqrt((double)weights / (double)s.co);
  Tensor *t[ALL];
  int ok = 1;
  for (int i = 0; i < ALL; i++) ok &= (t[i] = noise(&r, sizes[i], i == W ? deviation : 1)) != NULL;
  long has = random_below(&r, 8);
  bool add = random_below(&r, 2), reuse = random_below(&r, 2);
  if (ok) {
    Epilogue e = {.scale = has & 1 ? tensor_data(t[SCALE]) : NULL,
                  .shift = has & 2 ? tensor_data(t[SHIFT]) : NULL,
                  .residual = has & 4 ? tensor_data(t[RESIDUAL]) : NULL,
                  .act = (Activation)random_below(&r, 3)};
    snprintf(result->shape, sizeof result->shape,
             "x %ldx%ldx%ldx%ld, weight %ldx%ldx%ldx%ld, stride %ld, padding %ld", s.n, s.h, s.w, s.ci, s.co,
             s.kh, s.kw, s.ci / s.groups, s.stride, s.pad);
    ok = compare(&s, t, &e, add, reuse, result);
  }
  for (int i = 0; i < ALL; i++) tensor_release(t[i]);
  return ok;
}
