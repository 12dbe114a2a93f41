/* Forward every number of a window fetches its own; backward every number of the image goes through the windows that
 * have it. */
#include "cuda/kernels/unfold.h"

#include "cuda/kernels/pixels.h"
#include "ops/bodies_window.h"

template <class T, int W> static __global__ void unfold_kernel(long n, Frame f, const T *x, T *y) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> to(i, f.count[0], f.count[1], f.kernel[0] * f.kernel[1] * f.c);
  long tap = to.channel / f.c;
  long row = frame_first(&f, 0, to.row) + tap / f.kernel[1] * f.dilation[0];
  long column = frame_first(&f, 1, to.column) + tap % f.kernel[1] * f.dilation[1];
  Pack<W> v = {};
  if (row >= 0 && row < f.size[0] && column >= 0 && column < f.size[1])
    v = pack_load<W>(x + ((to.image * f.size[0] + row) * f.size[1] + column) * f.c + to.channel % f.c);
  pack_store(y + to.at, v);
}

int unfold_on(CudaStream s, long images, const Frame *f, Dtype dtype, const void *x, void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH_PIXELS(unfold_kernel, T, (f->c % wide_of<T> == 0 && all_aligned16({x, y})), s,
                  images * f->count[0] * f->count[1] * f->kernel[0] * f->kernel[1] * f->c, *f, (const T *)x,
                  (T *)y);
  });
  return launched("unfold");
}

template <class T, int W>
static __global__ void unfold_back_kernel(long n, Frame f, const T *dy, T *dx, bool add) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> own(i, f.size[0], f.size[1], f.c);
  Pack<W> sum = {};
  for (long p = 0; p < f.kernel[0]; p++) {
    long y = frame_window(&f, 0, own.row, p);
    for (long q = 0; q < f.kernel[1] && y >= 0; q++) {
      long x = frame_window(&f, 1, own.column, q);
      if (x < 0) continue;
      long window = (own.image * f.count[0] + y) * f.count[1] + x;
      Pack<W> d = pack_load<W>(dy + ((window * f.kernel[0] + p) * f.kernel[1] + q) * f.c + own.channel);
      for (int k = 0; k < W; k++) sum.v[k] += d.v[k];
    }
  }
  pack_put(dx + own.at, sum, add);
}

int unfold_back_on(CudaStream s, long images, const Frame *f, Dtype dtype, const void *dy, void *dx,
                   bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    LAUNCH_PIXELS(unfold_back_kernel, T, (f->c % wide_of<T> == 0 && all_aligned16({dy, dx})), s,
                  images * f->size[0] * f->size[1] * f->c, *f, (const T *)dy, (T *)dx, add);
  });
  return launched("unfold");
}
