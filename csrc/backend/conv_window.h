/* Copies of the part of an image that a block of windows sees, border of zeros included: small, dense, in the
 * cache, and nobody after it has to think of borders. For files that are compiled per instruction set. */
#ifndef BACKEND_CONV_WINDOW_H
#define BACKEND_CONV_WINDOW_H

#include "backend/isa.h"

#include <string.h>

/* Channels 0 … channels-1 of `lines` x `pixels` places from row y, column x of an image (h rows, w columns,
 * `pixel` floats from one pixel to the next) to `to`, dense; places outside the image become 0. */
static inline void copy_window(const float *image, long h, long w, long pixel, long channels, long y, long x,
                               long lines, long pixels, float *to) {
  long begin = x < 0 ? (-x < pixels ? -x : pixels) : 0, end = w - x < pixels ? w - x : pixels;
  if (end < begin) end = begin;
  for (long i = y; i < y + lines; i++) {
    bool outside = i < 0 || i >= h;
    long first = outside ? pixels : begin, last = outside ? pixels : end;
    memset(to, 0, (size_t)(first * channels) * sizeof *to);
    if (last > first) {
      const float *from = image + (i * w + x + first) * pixel;
      float *out = to + first * channels;
      if (channels == pixel)
        memcpy(out, from, (size_t)((last - first) * channels) * sizeof *to);
      else if (channels % LANES == 0)
        for (long j = first; j < last; j++, from += pixel, out += channels)
          for (long k = 0; k < channels; k += LANES) vstore(out + k, vload(from + k));
      else
        for (long j = first; j < last; j++, from += pixel, out += channels)
          for (long k = 0; k < channels; k++) out[k] = from[k];
    }
    memset(to + last * channels, 0, (size_t)((pixels - last) * channels) * sizeof *to);
    to += pixels * channels;
  }
}

#endif
