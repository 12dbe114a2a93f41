/* Conversion between dtypes: to a wider kind exactly, to a narrower float by rounding to nearest even, to
 * integers by truncation with saturation (NaN becomes 0). */
#include "core/device.h"
#include "core/pool.h"
#include "core/tensor.h"

#include <math.h>
#include <string.h>

static float from_bf16(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static uint16_t to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  if (f != f) return (uint16_t)((u >> 16) | 0x40); /* keep it a NaN */
  return (uint16_t)((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
}

static float from_f16(uint16_t h) {
  int sign = h >> 15, exponent = (h >> 10) & 31, fraction = h & 1023;
  double v = exponent == 31  ? (fraction ? NAN : INFINITY)
             : exponent == 0 ? ldexp(fraction, -24)
                             : ldexp(fraction + 1024, exponent - 25);
  return (float)(sign ? -v : v);
}

static uint16_t to_f16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
  if (f != f) return sign | 0x7E00;
  double a = fabs((double)f);
  if (a >= 65520) return sign | 0x7C00;
  int e;
  frexp(a, &e);
  if (e < -13 || a == 0)
    return sign | (uint16_t)nearbyint(ldexp(a, 24)); /* subnormal; may round up to the smallest normal */
  long m = (long)nearbyint(ldexp(a, 11 - e));        /* 1024 .. 2048 */
  return sign |
         (uint16_t)(((e + 14) << 10) + (m - 1024)); /* a carry of m runs into the exponent, as it should */
}

static uint8_t to_u8(double v) { return v != v ? 0 : v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v; }
static int32_t to_i32(double v) {
  return v != v ? 0 : v <= -2147483648.0 ? INT32_MIN : v >= 2147483647.0 ? INT32_MAX : (int32_t)v;
}
static int64_t to_i64(double v) {
  return v != v ? 0 : v <= -0x1p63 ? INT64_MIN : v >= 0x1p63 ? INT64_MAX : (int64_t)v;
}
static uint8_t i_u8(int64_t v) { return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v; }
static int32_t i_i32(int64_t v) { return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v; }
static int64_t i_i64(int64_t v) { return v; }

typedef struct Cast {
  const void *from;
  void *to;
  Dtype a, b;
  long n;
} Cast;

enum { GRAIN = 1 << 16 };

/* One loop per target type, for a source of element type T read through `get`. */
#define LOOP(S, T, expr)                                                                                     \
  {                                                                                                          \
    const S *x = (const S *)job->from;                                                                       \
    T *y = (T *)job->to;                                                                                     \
    for (long i = begin; i < end; i++) y[i] = (expr);                                                        \
  }                                                                                                          \
  break

#define TARGETS(S, real_value, u8, i32, i64)                                                                 \
  switch (job->b) {                                                                                          \
  case F32: LOOP(S, float, (float)(real_value));                                                             \
  case F64: LOOP(S, double, (double)(real_value));                                                           \
  case U8: LOOP(S, uint8_t, u8(real_value));                                                                 \
  case I32: LOOP(S, int32_t, i32(real_value));                                                               \
  case I64: LOOP(S, int64_t, i64(real_value));                                                               \
  case BF16: LOOP(S, uint16_t, to_bf16((float)(real_value)));                                                \
  case F16: LOOP(S, uint16_t, to_f16((float)(real_value)));                                                  \
  default: break;                                                                                            \
  }                                                                                                          \
  break

static int cast_chunk(void *arg, long c) {
  const Cast *job = arg;
  long begin = c * GRAIN, end = begin + GRAIN < job->n ? begin + GRAIN : job->n;
  switch (job->a) {
  case F32: TARGETS(float, x[i], to_u8, to_i32, to_i64);
  case F64: TARGETS(double, x[i], to_u8, to_i32, to_i64);
  case U8: TARGETS(uint8_t, x[i], i_u8, i_i32, i_i64);
  case I32: TARGETS(int32_t, x[i], i_u8, i_i32, i_i64);
  case I64: TARGETS(int64_t, x[i], i_u8, i_i32, i_i64);
  case BF16: TARGETS(uint16_t, from_bf16(x[i]), to_u8, to_i32, to_i64);
  case F16: TARGETS(uint16_t, from_f16(x[i]), to_u8, to_i32, to_i64);
  default: break;
  }
  return 1;
}

int host_cast(Dtype from_dtype, const void *from, Dtype to_dtype, void *to, long n) {
  Cast job = {from, to, from_dtype, to_dtype, n};
  return parallel((n + GRAIN - 1) / GRAIN, cast_chunk, &job);
}

Tensor *tensor_cast(const Tensor *t, Dtype dtype) {
  if (dtype == t->dtype) return tensor_view(t, 0, t->rank, t->shape);
  Device *d = t->device;
  Tensor *out = tensor_on(d, dtype, t->rank, t->shape);
  if (out && !d->cast(d, t->dtype, tensor_data(t), dtype, out->storage->data, t->size)) {
    tensor_release(out);
    return NULL;
  }
  return out;
}
