/* See upconv.h. Output row 2 q + p sees the map's rows q - 1 .. q + 1. Tap t of 4 stands for the taps 2 - t and 3 - t of
 * 3, as far as there are such. */
#include "cuda/kernels/upconv.h"

#include "cuda/kernels/numbers.h"
#include "cuda/launch.h"

enum { SIDE = 32, HIGH = THREADS / SIDE, THREE = 3 * 3, FOUR = 4 * 4 };

/* A tile on its way from rows of `from` to columns, turned in shared memory: read(row, column), write(column, row, v). */
template <class Read, class Write>
static __device__ inline void turn(long row0, long rows, long column0, long columns, Read read, Write write) {
  __shared__ float tile[SIDE][SIDE + 1];
  int along = threadIdx.x % SIDE;
  for (int i = threadIdx.x / SIDE; i < SIDE; i += HIGH)
    tile[i][along] = row0 + i < rows && column0 + along < columns ? read(row0 + i, column0 + along) : 0;
  __syncthreads();
  for (int i = threadIdx.x / SIDE; i < SIDE; i += HIGH)
    if (column0 + i < columns && row0 + along < rows) write(column0 + i, row0 + along, tile[along][i]);
}

/* Blocks: tiles of channels fastest, then of outputs, then taps. */
struct TapTile {
  long o, c;
  int tap;
  __device__ TapTile(unsigned tiles_o, unsigned tiles_c) {
    c = (long)(blockIdx.x % tiles_c) * SIDE;
    o = (long)(blockIdx.x / tiles_c % tiles_o) * SIDE;
    tap = (int)(blockIdx.x / tiles_c / tiles_o);
  }
};

/* Behind the blocks of tiles are those of skip's n weights. */
static __global__ void __launch_bounds__(THREADS)
    sum_taps_kernel(unsigned tiles_o, unsigned tiles_c, long o, long c, long channels, Numbers weights,
                    Numbers sums, long n, Numbers skip) {
  unsigned tiles = tiles_o * tiles_c * FOUR;
  if (blockIdx.x >= tiles) {
    long i = (long)(blockIdx.x - tiles) * THREADS + threadIdx.x, rest = channels - c;
    if (i < n) put_number(skip, i, number_at(weights, i / rest * channels + c + i % rest));
    return;
  }
  TapTile t(tiles_o, tiles_c);
  int ty = t.tap / 4, tx = t.tap % 4;
  turn(
      t.o, o, t.c, c,
      [&](long out, long channel) {
        float v = 0;
        for (int y = max(0, 2 - ty); y <= min(2, 3 - ty); y++)
          for (int x = max(0, 2 - tx); x <= min(2, 3 - tx); x++)
            v += number_at(weights, (out * THREE + y * 3 + x) * channels + channel);
        return v;
      },
      [&](long channel, long out, float v) { put_number(sums, (channel * FOUR + t.tap) * o + out, v); });
}

/* Number i of skip's gradient to its place. */
static __device__ inline void place_skip(long i, long n, long c, long channels, const Numbers &skip,
                                         float *weights, bool add) {
  long rest = channels - c;
  if (i >= n) return;
  float *to = weights + i / rest * channels + c + i % rest;
  *to = (add ? *to : 0) + number_at(skip, i);
}

/* Behind the blocks of tiles are those of skip's n numbers. */
static __global__ void __launch_bounds__(THREADS)
    share_taps_kernel(unsigned tiles_o, unsigned tiles_c, long o, long c, long channels, Numbers sums, long n,
                      Numbers skip, float *weights, bool add) {
  unsigned tiles = tiles_o * tiles_c * THREE;
  if (blockIdx.x >= tiles)
    return place_skip((long)(blockIdx.x - tiles) * THREADS + threadIdx.x, n, c, channels, skip, weights, add);
  TapTile t(tiles_o, tiles_c);
  int y = t.tap / 3, x = t.tap % 3;
  turn(
      t.c, c, t.o, o,
      [&](long channel, long out) {
        long from = (channel * FOUR + (2 - y) * 4 + 2 - x) * o + out;
        return number_at(sums, from) + number_at(sums, from + o) +
               (number_at(sums, from + 4 * o) + number_at(sums, from + 5 * o));
      },
      [&](long out, long channel, float v) {
        float *to = weights + (out * THREE + t.tap) * channels + channel;
        *to = (add ? *to : 0) + v;
      });
}

int upconv_sum_taps_on(CudaStream s, long o, long c, long channels, const void *weights, Dtype dtype,
                       Dtype to, void *sums, void *skip) {
  unsigned tiles_o = blocks_for(o, SIDE), tiles_c = blocks_for(c, SIDE);
  long n = o * THREE * (channels - c);
  unsigned blocks = tiles_o * tiles_c * FOUR + blocks_for(n);
  if (!blocks) return 1;
  LAUNCH(sum_taps_kernel, blocks, THREADS, 0, s, tiles_o, tiles_c, o, c, channels, numbers_of(weights, dtype),
         numbers_of(sums, to), n, numbers_of(skip, to));
  return launched("upconv2d");
}

int upconv_share_taps_on(CudaStream s, long o, long c, long channels, const void *sums, Dtype sums_dtype,
                         const void *skip, Dtype skip_dtype, float *weights, bool add) {
  unsigned tiles_o = blocks_for(o, SIDE), tiles_c = blocks_for(c, SIDE);
  long n = o * THREE * (channels - c);
  unsigned blocks = tiles_o * tiles_c * THREE + blocks_for(n);
  if (!blocks) return 1;
  LAUNCH(share_taps_kernel, blocks, THREADS, 0, s, tiles_o, tiles_c, o, c, channels,
         numbers_of(sums, sums_dtype), n, numbers_of(skip, skip_dtype), weights, add);
  return launched("upconv2d");
}
