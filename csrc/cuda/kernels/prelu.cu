/* Four neighbours a thread, whose weights move at once where the channels are a multiple of four. */
#include "cuda/kernels/prelu.h"

#include "cuda/kernels/four.h"
#include "cuda/kernels/numbers.h"

/* The weights of the numbers i .. i + 3. */
static __device__ inline Four weights(const float *weight, long i, long c, bool fours) {
  Four f;
  long channel = c == 1 ? 0 : i % c;
  if (fours) return load(weight, channel, c, true);
  for (int k = 0; k < WIDTH; k++) {
    f.v[k] = weight[channel];
    channel = channel + 1 == c ? 0 : channel + 1;
  }
  return f;
}

static __global__ void __launch_bounds__(THREADS)
    prelu_kernel(long n, long c, bool aligned, bool fours, Numbers x, const float *weight, Numbers y) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four fx = load<WIDTH>(x, i, n, whole), w = weights(weight, i, c, fours);
  for (int k = 0; k < WIDTH; k++) fx.v[k] = fx.v[k] > 0 ? fx.v[k] : fx.v[k] * w.v[k];
  store(y, i, n, whole, fx);
}

static bool in_fours(long c, const float *weight) { return c % WIDTH == 0 && aligned16(weight); }

int prelu_on(CudaStream s, long n, long c, Dtype dtype, const void *x, const float *weight, void *y) {
  if (!n) return 1;
  LAUNCH(prelu_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, c, aligned16(x) && aligned16(y),
         in_fours(c, weight), numbers_of(x, dtype), weight, numbers_of(y, dtype));
  return launched("prelu");
}

static __global__ void __launch_bounds__(THREADS)
    prelu_back_kernel(long n, long c, bool aligned, bool fours, Numbers x, const float *weight, Numbers dy,
                      Numbers dx, bool add, float *slope) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four fx = load<WIDTH>(x, i, n, whole), fd = load<WIDTH>(dy, i, n, whole);
  if (dx.data) {
    Four w = weights(weight, i, c, fours), to = {};
    if (add) to = load<WIDTH>(dx, i, n, whole);
    for (int k = 0; k < WIDTH; k++) to.v[k] += fx.v[k] > 0 ? fd.v[k] : fd.v[k] * w.v[k];
    store(dx, i, n, whole, to);
  }
  if (slope) {
    for (int k = 0; k < WIDTH; k++) fd.v[k] = fx.v[k] > 0 ? 0 : fx.v[k] * fd.v[k];
    store(slope, i, n, whole, fd);
  }
}

int prelu_back_on(CudaStream s, long n, long c, Dtype dtype, const void *x, const float *weight,
                  const void *dy, void *dx, bool add, float *slope) {
  bool aligned = aligned16(x) && aligned16(dy) && aligned16(dx) && aligned16(slope); /* NULL is */
  if (!n) return 1;
  LAUNCH(prelu_back_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, c, aligned, in_fours(c, weight),
         numbers_of(x, dtype), weight, numbers_of(dy, dtype), numbers_of(dx, dtype), add, slope);
  return launched("prelu");
}
