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

/* LAUNCHes kernel<4> or kernel<1> with that many threads for n numbers, the first argument of which is their number. */
#define LAUNCH_PIXELS(kernel, fours, s, n, ...)                                                              \
  do {                                                                                                       \
    long n_ = (n);                                                                                           \
    if (n_ && (fours))                                                                                       \
      LAUNCH(kernel<4>, blocks_for(n_ / 4), THREADS, 0, s, n_ / 4, __VA_ARGS__);                             \
    else if (n_)                                                                                             \
      LAUNCH(kernel<1>, blocks_for(n_), THREADS, 0, s, n_, __VA_ARGS__);                                     \
  } while (0)

#endif
