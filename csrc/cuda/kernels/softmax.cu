/* A team a row (team.h), a member W neighbours, which move 16 bytes at a time, or one; what a row is read for again comes
 * from the cache. */
#include "cuda/kernels/softmax.h"

#include "cuda/kernels/numbers.h"
#include "cuda/kernels/sums.h"

#include <math.h>

enum { WIDTH = 8 };

/* A member's walk over its row, W numbers from k on; those beyond the last row have nothing to walk over. */
#define EACH_OF_ROW(k, team, rows, c)                                                                        \
  for (long k = (team).rank * W; (team).row < (rows) && k < (c); k += (team).size * W)

/* W numbers of a row from k on. */
template <int W> static __device__ inline Pack<W> of_row(const Numbers &x, long k) {
  return load<W>(x, k, k + W, true);
}

template <int W> static __device__ inline void to_row(const Numbers &x, long k, Pack<W> v, bool add = false) {
  if (add) {
    Pack<W> old = of_row<W>(x, k);
    for (int j = 0; j < W; j++) v.v[j] += old.v[j];
  }
  store(x, k, k + W, true, v);
}

/* Starts kernel<LONG, W>(team size, …) with teams for rows > 0 rows of c numbers of aligned memory. */
static bool in_lines(long c) { return c % WIDTH == 0; }
#define LAUNCH_ROWS(kernel, s, rows, c, aligned, ...)                                                        \
  do {                                                                                                       \
    if (in_lines(c) && aligned)                                                                              \
      LAUNCH_TEAMS(kernel, WIDTH, s, rows, c, __VA_ARGS__);                                                  \
    else                                                                                                     \
      LAUNCH_TEAMS(kernel, 1, s, rows, c, __VA_ARGS__);                                                      \
  } while (0)

template <int W, class Team>
static __device__ inline float row_top(const Team &team, long rows, long c, const Numbers &x) {
  float top = -INFINITY;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) top = Larger()(top, v.v[j]);
  }
  return team.all(top, Larger());
}

template <int W, class Team>
static __device__ inline float row_exp_sum(const Team &team, long rows, long c, const Numbers &x, float top) {
  float sum = 0;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) sum += expf(v.v[j] - top);
  }
  return team.all(sum, Add());
}

/* ---- softmax, log_softmax ---- */

template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    softmax_kernel(int size, long rows, long c, Numbers x, Numbers y, bool logarithm) {
  Team<LONG> team(size);
  x = after(x, team.row * c);
  y = after(y, team.row * c);
  float top = row_top<W>(team, rows, c, x), sum = row_exp_sum<W>(team, rows, c, x, top);
  float log_sum = top + logf(sum), scale = 1 / sum;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) v.v[j] = logarithm ? v.v[j] - log_sum : expf(v.v[j] - top) * scale;
    to_row(y, k, v);
  }
}

int softmax_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, void *y, bool logarithm) {
  if (!rows || !c) return 1;
  LAUNCH_ROWS(softmax_kernel, s, rows, c, (aligned16(x) && aligned16(y)), rows, c, numbers_of(x, dtype),
              numbers_of(y, dtype), logarithm);
  return launched("softmax");
}

template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    softmax_back_kernel(int size, long rows, long c, Numbers y, Numbers dy, Numbers dx, bool add,
                        bool logarithm) {
  Team<LONG> team(size);
  y = after(y, team.row * c);
  dy = after(dy, team.row * c);
  dx = after(dx, team.row * c);
  float along = 0;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(y, k), d = of_row<W>(dy, k);
    for (int j = 0; j < W; j++) along += d.v[j] * (logarithm ? 1 : v.v[j]);
  }
  along = team.all(along, Add());
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(y, k), d = of_row<W>(dy, k);
    for (int j = 0; j < W; j++)
      v.v[j] = logarithm ? d.v[j] - expf(v.v[j]) * along : v.v[j] * (d.v[j] - along);
    to_row(dx, k, v, add);
  }
}

int softmax_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *y, const void *dy, void *dx,
                    bool add, bool logarithm) {
  if (!rows || !c) return 1;
  LAUNCH_ROWS(softmax_back_kernel, s, rows, c, (all_aligned16({y, dy, dx})), rows, c, numbers_of(y, dtype),
              numbers_of(dy, dtype), numbers_of(dx, dtype), add, logarithm);
  return launched("softmax");
}

/* ---- cross_entropy ---- */

/* What a label says: a class, 0: none, -1: neither. */
static __device__ inline long class_of(float label, long c) {
  long k = label >= 0 && label <= (float)c ? (long)label : -1;
  return (float)k == label ? k : -1;
}

/* partial: of each block the sum of the losses and their number. */
template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    entropy_kernel(int size, long rows, long c, Numbers x, const float *label, float *lse, float *partial,
                   Refusals refusals) {
  Team<LONG> team(size);
  x = after(x, team.row * c);
  float top = row_top<W>(team, rows, c, x), own = top + logf(row_exp_sum<W>(team, rows, c, x, top)), loss = 0,
        count = 0;
  if (team.row < rows && team.rank == 0) {
    long k = class_of(label[team.row], c);
    lse[team.row] = own;
    if (k < 0) refuse_on(refusals, REFUSE_CLASS, (double)c, (double)label[team.row], 0);
    if (k > 0) loss = own - number_at(x, k - 1), count = 1;
  }
  loss = block_sum(loss);
  count = block_sum(count);
  if (threadIdx.x) return;
  partial[2 * blockIdx.x] = loss;
  partial[2 * blockIdx.x + 1] = count;
}

/* One block. */
static __global__ void __launch_bounds__(THREADS)
    entropy_mean_kernel(long blocks, const float *partial, float *y, float *weight, const int32_t *refused) {
  float loss = 0, count = 0;
  for (long b = threadIdx.x; b < blocks; b += THREADS) {
    loss += partial[2 * b];
    count += partial[2 * b + 1];
  }
  loss = block_sum(loss);
  count = block_sum(count);
  if (threadIdx.x) return;
  *y = *refused ? NAN : count > 0 ? loss / count : 0;
  *weight = count > 0 ? 1 / count : 0;
}

static long entropy_blocks(long rows, long c, bool aligned) {
  long units = in_lines(c) && aligned ? c / WIDTH : c;
  return is_long(units) ? rows : (long)blocks_for(rows * team_size(units));
}

size_t entropy_scratch(long rows, long c) {
  long wide = entropy_blocks(rows, c, true), narrow = entropy_blocks(rows, c, false);
  return 2 * (size_t)(wide > narrow ? wide : narrow);
}

int entropy_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, const float *label, float *lse,
               float *y, float *weight, float *scratch, Refusals refusals) {
  if (rows) {
    LAUNCH_ROWS(entropy_kernel, s, rows, c, (aligned16(x)), rows, c, numbers_of(x, dtype), label, lse,
                scratch, refusals);
    if (!launched("cross_entropy")) return 0;
  }
  LAUNCH(entropy_mean_kernel, 1, THREADS, 0, s, entropy_blocks(rows, c, aligned16(x)), scratch, y, weight,
         refusals.call);
  return launched("cross_entropy");
}

template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    entropy_back_kernel(int size, long rows, long c, Numbers x, const float *label, const float *lse,
                        const float *dy, const float *weight, const int32_t *refused, Numbers dx, bool add) {
  Team<LONG> team(size);
  if (team.row >= rows) return;
  long own = *refused ? 0 : class_of(label[team.row], c);
  float g = own > 0 ? *dy * *weight : 0, sum = lse[team.row];
  x = after(x, team.row * c);
  dx = after(dx, team.row * c);
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) {
      float d = own > 0 ? g * expf(v.v[j] - sum) : 0;
      v.v[j] = k + j == own - 1 ? d - g : d;
    }
    to_row(dx, k, v, add);
  }
}

int entropy_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, const float *label,
                    const float *lse, const float *dy, const float *weight, const int32_t *refused, void *dx,
                    bool add) {
  if (!rows || !c) return 1;
  LAUNCH_ROWS(entropy_back_kernel, s, rows, c, (aligned16(x) && aligned16(dx)), rows, c, numbers_of(x, dtype),
              label, lse, dy, weight, refused, numbers_of(dx, dtype), add);
  return launched("cross_entropy");
}

/* ---- normalise ---- */

template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    normalise_kernel(int size, long rows, long c, Numbers x, float *inverse, Numbers y) {
  Team<LONG> team(size);
  x = after(x, team.row * c);
  y = after(y, team.row * c);
  float squares = 0;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) squares += v.v[j] * v.v[j];
  }
  float length = sqrtf(team.all(squares, Add())), scale = 1 / (length < 1e-8f ? 1e-8f : length);
  if (team.row < rows && team.rank == 0) inverse[team.row] = scale;
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k);
    for (int j = 0; j < W; j++) v.v[j] *= scale;
    to_row(y, k, v);
  }
}

int normalise_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, float *inverse, void *y) {
  if (!rows || !c) return 1;
  LAUNCH_ROWS(normalise_kernel, s, rows, c, (aligned16(x) && aligned16(y)), rows, c, numbers_of(x, dtype),
              inverse, numbers_of(y, dtype));
  return launched("normalise");
}

template <bool LONG, int W>
static __global__ void __launch_bounds__(THREADS)
    normalise_back_kernel(int size, long rows, long c, Numbers x, const float *inverse, Numbers dy,
                          Numbers dx, bool add) {
  Team<LONG> team(size);
  float scale = team.row < rows ? inverse[team.row] : 0, along = 0;
  x = after(x, team.row * c);
  dy = after(dy, team.row * c);
  dx = after(dx, team.row * c);
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k), d = of_row<W>(dy, k);
    for (int j = 0; j < W; j++) along += v.v[j] * d.v[j];
  }
  along = team.all(along, Add());
  along = scale < 1e8f ? along * scale * scale : 0; /* below the smallest length the scale is a constant */
  EACH_OF_ROW(k, team, rows, c) {
    Pack<W> v = of_row<W>(x, k), d = of_row<W>(dy, k);
    for (int j = 0; j < W; j++) v.v[j] = scale * (d.v[j] - v.v[j] * along);
    to_row(dx, k, v, add);
  }
}

int normalise_back_on(CudaStream s, long rows, long c, Dtype dtype, const void *x, const float *inverse,
                      const void *dy, void *dx, bool add) {
  if (!rows || !c) return 1;
  LAUNCH_ROWS(normalise_back_kernel, s, rows, c, (all_aligned16({x, dy, dx})), rows, c, numbers_of(x, dtype),
              inverse, numbers_of(dy, dtype), numbers_of(dx, dtype), add);
  return launched("normalise");
}
