/* Forward goes through the pixels of a window, backward through the windows that have a pixel in them. */
#include "cuda/kernels/pool.h"

#include "cuda/kernels/pixels.h"
#include "ops/bodies_window.h"

#include <math.h>

template <int W> struct alignas(W) Places { uint8_t v[W]; };

/* ---- the largest ---- */

template <class T, int W>
static __global__ void max_kernel(long n, MaxPool p, const T *x, T *y, uint8_t *place) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> to(i, p.ho, p.wo, p.c);
  long top = to.row * p.stride - p.padding, left = to.column * p.stride - p.padding;
  const T *image = x + to.image * p.h * p.w * p.c + to.channel;
  Pack<W> best;
  Places<W> at = {};
  for (int k = 0; k < W; k++) best.v[k] = -INFINITY;
  for (long r = 0; r < p.kernel; r++) {
    if (top + r < 0 || top + r >= p.h) continue;
    for (long c = 0; c < p.kernel; c++) {
      if (left + c < 0 || left + c >= p.w) continue;
      Pack<W> v = pack_load<W>(image + ((top + r) * p.w + left + c) * p.c);
      for (int k = 0; k < W; k++) {
        bool better = v.v[k] > best.v[k] || v.v[k] != v.v[k]; /* a NaN stays */
        best.v[k] = better ? v.v[k] : best.v[k];
        at.v[k] = better ? (uint8_t)(r * p.kernel + c) : at.v[k];
      }
    }
  }
  pack_store(y + to.at, best);
  *(Places<W> *)(place + to.at) = at;
}

int max_pool_on(CudaStream s, const MaxPool *p, Dtype dtype, const void *x, void *y, uint8_t *place) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = p->c % wide_of<T> == 0 && all_aligned16({x, y, place});
    LAUNCH_PIXELS(max_kernel, T, wide, s, p->images * p->ho * p->wo * p->c, *p, (const T *)x, (T *)y, place);
  });
  return launched("max_pool2d");
}

/* The windows along an axis that have place `at` in them, padding included: first .. last. */
struct Windows {
  long first, last;
  __device__ Windows(long at, long kernel, long stride, long count) {
    last = at / stride < count ? at / stride : count - 1;
    first = at < kernel ? 0 : (at - kernel) / stride + 1;
  }
};

template <class T, int W>
static __global__ void max_back_kernel(long n, MaxPool p, const T *dy, const uint8_t *place, T *dx,
                                       bool add) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> own(i, p.h, p.w, p.c);
  long row = own.row + p.padding, column = own.column + p.padding;
  Windows down(row, p.kernel, p.stride, p.ho), across(column, p.kernel, p.stride, p.wo);
  Pack<W> sum = {};
  for (long r = down.first; r <= down.last; r++)
    for (long c = across.first; c <= across.last; c++) {
      long from = ((own.image * p.ho + r) * p.wo + c) * p.c + own.channel;
      int tap = (int)((row - r * p.stride) * p.kernel + column - c * p.stride);
      Places<W> at = *(const Places<W> *)(place + from);
      Pack<W> d = pack_load<W>(dy + from);
      for (int k = 0; k < W; k++) sum.v[k] += at.v[k] == tap ? d.v[k] : 0;
    }
  pack_put(dx + own.at, sum, add);
}

int max_pool_back_on(CudaStream s, const MaxPool *p, Dtype dtype, const void *dy, const uint8_t *place,
                     void *dx, bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = p->c % wide_of<T> == 0 && all_aligned16({dy, place, dx});
    LAUNCH_PIXELS(max_back_kernel, T, wide, s, p->images * p->h * p->w * p->c, *p, (const T *)dy, place,
                  (T *)dx, add);
  });
  return launched("max_pool2d");
}

/* ---- the mean ---- */

template <class T, int W> static __global__ void mean_kernel(long n, Frame f, const T *x, T *y) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> to(i, f.count[0], f.count[1], f.c);
  long top = frame_first(&f, 0, to.row), left = frame_first(&f, 1, to.column);
  float share = frame_share(&f, to.row, to.column);
  const T *image = x + to.image * f.size[0] * f.size[1] * f.c + to.channel;
  Pack<W> sum = {};
  for (long r = top > 0 ? top : 0; r < top + f.kernel[0] && r < f.size[0]; r++)
    for (long c = left > 0 ? left : 0; c < left + f.kernel[1] && c < f.size[1]; c++) {
      Pack<W> v = pack_load<W>(image + (r * f.size[1] + c) * f.c);
      for (int k = 0; k < W; k++) sum.v[k] += v.v[k];
    }
  for (int k = 0; k < W; k++) sum.v[k] *= share;
  pack_store(y + to.at, sum);
}

int avg_pool_on(CudaStream s, long images, const Frame *f, Dtype dtype, const void *x, void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH_PIXELS(mean_kernel, T, (f->c % wide_of<T> == 0 && all_aligned16({x, y})), s,
                  images * f->count[0] * f->count[1] * f->c, *f, (const T *)x, (T *)y);
  });
  return launched("avg_pool2d");
}

template <class T, int W>
static __global__ void mean_back_kernel(long n, Frame f, const T *dy, T *dx, bool add) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> own(i, f.size[0], f.size[1], f.c);
  Windows down(own.row + f.before[0], f.kernel[0], f.stride[0], f.count[0]);
  Windows across(own.column + f.before[1], f.kernel[1], f.stride[1], f.count[1]);
  Pack<W> sum = {};
  for (long r = down.first; r <= down.last; r++)
    for (long c = across.first; c <= across.last; c++) {
      Pack<W> d = pack_load<W>(dy + ((own.image * f.count[0] + r) * f.count[1] + c) * f.c + own.channel);
      float share = frame_share(&f, r, c);
      for (int k = 0; k < W; k++) sum.v[k] += d.v[k] * share;
    }
  pack_put(dx + own.at, sum, add);
}

int avg_pool_back_on(CudaStream s, long images, const Frame *f, Dtype dtype, const void *dy, void *dx,
                     bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH_PIXELS(mean_back_kernel, T, (f->c % wide_of<T> == 0 && all_aligned16({dy, dx})), s,
                  images * f->size[0] * f->size[1] * f->c, *f, (const T *)dy, (T *)dx, add);
  });
  return launched("avg_pool2d");
}
