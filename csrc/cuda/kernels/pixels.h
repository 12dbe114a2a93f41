/* A thread for W neighbouring channels of every pixel of channels-last images, which it moves at once. C++. */
#ifndef CUDA_KERNELS_PIXELS_H
#define CUDA_KERNELS_PIXELS_H

#include "cuda/kernels/channels.h"

template <int W> struct Pixel {
  long image, row, column, channel, at; /* at: the first of its numbers, counted through all images */
  __device__ Pixel(long i, long h, long w, long c) {
    long units = c / W, pixel = i / units, line = pixel / w;
    at = i * W;
    channel = (i - pixel * units) * W;
    column = pixel - line * w;
    image = line / h;
    row = line - image * h;
  }
};

/* LAUNCHes kernel<T, W> with that many threads for n numbers, the first argument of which is their number; W: as many
 * as move at once where `wide`, else 1. */
#define LAUNCH_PIXELS(kernel, T, wide, s, n, ...)                                                            \
  do {                                                                                                       \
    constexpr int W_ = wide_of<T>;                                                                           \
    long n_ = (n);                                                                                           \
    if (n_ && (wide))                                                                                        \
      LAUNCH((kernel<T, W_>), blocks_for(n_ / W_), THREADS, 0, s, n_ / W_, __VA_ARGS__);                     \
    else if (n_)                                                                                             \
      LAUNCH((kernel<T, 1>), blocks_for(n_), THREADS, 0, s, n_, __VA_ARGS__);                                \
  } while (0)

#endif
