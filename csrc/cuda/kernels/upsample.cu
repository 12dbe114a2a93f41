/* Every number of the result is moved by one thread; of backward every number of a gradient. */
#include "cuda/kernels/upsample.h"

#include "cuda/kernels/pixels.h"

template <class T, int W>
static __global__ void up_kernel(long n, Upsample u, const T *x, const T *skip, T *y) {
  long i = INDEX;
  if (i >= n) return;
  Pixel<W> to(i, 2 * u.h, 2 * u.w, u.cx + u.cs);
  long above = (to.image * u.h + to.row / 2) * u.w + to.column / 2;
  long beside = (to.image * 2 * u.h + to.row) * 2 * u.w + to.column;
  const T *from =
      to.channel < u.cx ? x + above * u.cx + to.channel : skip + beside * u.cs + to.channel - u.cx;
  pack_store(y + to.at, pack_load<W>(from));
}

template <class T> static bool is_wide(const Upsample *u) {
  return u->cx % wide_of<T> == 0 && u->cs % wide_of<T> == 0;
}

int upsample_on(CudaStream s, const Upsample *u, Dtype dtype, const void *x, const void *skip, void *y) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = is_wide<T>(u) && all_aligned16({x, skip, y});
    LAUNCH_PIXELS(up_kernel, T, wide, s, u->images * u->h * u->w * 4 * (u->cx + u->cs), *u, (const T *)x,
                  (const T *)skip, (T *)y);
  });
  return launched("upsample2");
}

template <class T, int W>
static __global__ void up_back_kernel(long n, Upsample u, const T *dy, T *dx, bool add) {
  long i = INDEX;
  if (i >= n) return;
  long c = u.cx + u.cs, row = 2 * u.w * c;
  Pixel<W> own(i, u.h, u.w, u.cx);
  const T *p = dy + (own.image * 2 * u.h + 2 * own.row) * row + 2 * own.column * c + own.channel;
  Pack<W> sum = pack_load<W>(p), b = pack_load<W>(p + c), d = pack_load<W>(p + row),
          e = pack_load<W>(p + row + c);
  for (int k = 0; k < W; k++) sum.v[k] = (sum.v[k] + b.v[k]) + (d.v[k] + e.v[k]);
  pack_put(dx + own.at, sum, add);
}

int upsample_back_on(CudaStream s, const Upsample *u, Dtype dtype, const void *dy, void *dx, bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = is_wide<T>(u) && all_aligned16({dy, dx});
    LAUNCH_PIXELS(up_back_kernel, T, wide, s, u->images * u->h * u->w * u->cx, *u, (const T *)dy, (T *)dx,
                  add);
  });
  return launched("upsample2");
}

template <class T, int W>
static __global__ void skip_back_kernel(long n, Upsample u, const T *dy, T *dskip, bool add) {
  long i = INDEX;
  if (i >= n) return;
  long units = u.cs / W, pixel = i / units, channel = (i - pixel * units) * W;
  pack_put(dskip + i * W, pack_load<W>(dy + pixel * (u.cx + u.cs) + u.cx + channel), add);
}

int upsample_skip_back_on(CudaStream s, const Upsample *u, Dtype dtype, const void *dy, void *dskip,
                          bool add) {
  with_type(dtype, [&](auto t) {
    TYPE_OF(t);
    bool wide = is_wide<T>(u) && all_aligned16({dy, dskip});
    LAUNCH_PIXELS(skip_back_kernel, T, wide, s, u->images * u->h * u->w * 4 * u->cs, *u, (const T *)dy,
                  (T *)dskip, add);
  });
  return launched("upsample2_cat");
}
