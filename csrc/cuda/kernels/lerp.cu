/* What the body says of one number, for four neighbours a thread. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/four.h"
#include "cuda/kernels/lerp.h"
#include "cuda/kernels/numbers.h"
#include "ops/bodies_lerp.h"

static __global__ void __launch_bounds__(THREADS)
    lerp_kernel(long n, bool aligned, float share, Numbers to, Numbers from) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four t = load<WIDTH>(to, i, n, whole), f = load<WIDTH>(from, i, n, whole);
  for (int k = 0; k < WIDTH; k++) lerp_update(share, t.v + k, f.v[k]);
  store(to, i, n, whole, t);
}

int lerp_on(CudaStream s, long n, float share, Dtype dtype, void *to, const void *from) {
  if (!n) return 1;
  LAUNCH(lerp_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned16(to) && aligned16(from),
         share, numbers_of(to, dtype), numbers_of(from, dtype));
  return launched("lerp");
}
