/* What the bodies say of one number, for four neighbours a thread. */
#include "cuda/launch.h" /* before the bodies: they are CUDA's here */

#include "cuda/kernels/four.h"
#include "cuda/kernels/optim.h"
#include "ops/bodies_lerp.h"

static __global__ void __launch_bounds__(THREADS)
    adamw_kernel(long n, bool aligned, struct adamw_step step, float *p, float *m, float *v, const float *g) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four fp = load(p, i, n, whole), fm = load(m, i, n, whole), fv = load(v, i, n, whole),
       fg = load(g, i, n, whole);
  for (int k = 0; k < WIDTH; k++) adamw_update(step, fp.v + k, fm.v + k, fv.v + k, fg.v[k]);
  store(p, i, n, whole, fp);
  store(m, i, n, whole, fm);
  store(v, i, n, whole, fv);
}

int adamw_on(CudaStream s, long n, struct adamw_step step, float *p, float *m, float *v, const float *g) {
  bool aligned = aligned16(p) && aligned16(m) && aligned16(v) && aligned16(g);
  if (!n) return 1;
  LAUNCH(adamw_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned, step, p, m, v, g);
  return launched("adamw");
}

static __global__ void __launch_bounds__(THREADS)
    sgd_kernel(long n, bool aligned, struct sgd_step step, float *p, float *v, const float *g) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four fp = load(p, i, n, whole), fg = load(g, i, n, whole);
  if (v) {
    Four fv = load(v, i, n, whole);
    for (int k = 0; k < WIDTH; k++) sgd_update(step, fp.v + k, fv.v + k, fg.v[k]);
    store(v, i, n, whole, fv);
  } else
    for (int k = 0; k < WIDTH; k++) sgd_plain(step, fp.v + k, fg.v[k]);
  store(p, i, n, whole, fp);
}

int sgd_on(CudaStream s, long n, struct sgd_step step, float *p, float *v, const float *g) {
  bool aligned = aligned16(p) && aligned16(v) && aligned16(g); /* v may be NULL, which is */
  if (!n) return 1;
  LAUNCH(sgd_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned, step, p, v, g);
  return launched("sgd");
}

static __global__ void __launch_bounds__(THREADS)
    lerp_kernel(long n, bool aligned, float share, float *to, const float *from) {
  long i = INDEX * WIDTH;
  if (i >= n) return;
  bool whole = aligned && i + WIDTH <= n;
  Four t = load(to, i, n, whole), f = load(from, i, n, whole);
  for (int k = 0; k < WIDTH; k++) lerp_update(share, t.v + k, f.v[k]);
  store(to, i, n, whole, t);
}

int lerp_on(CudaStream s, long n, float share, float *to, const float *from) {
  if (!n) return 1;
  LAUNCH(lerp_kernel, blocks_for(n, THREADS * WIDTH), THREADS, 0, s, n, aligned16(to) && aligned16(from),
         share, to, from);
  return launched("lerp");
}
