/* One mask out of the values of a picture: which pixels are set. */
#ifndef IO_MASK_H
#define IO_MASK_H

#include "core/tensor.h"

/* A picture as it is stored. data: one byte per sample, two for depth 16; channels last. */
typedef struct Samples {
  const char *path; /* for messages */
  const void *data;
  long width, height;
  int channels, depth;
  bool alpha;   /* the last channel is one */
  bool palette; /* samples are indices */
} Samples;

/* uint8 H×W of 0 and 1. A mask has two values, and 0 is not set: 0 and 1, 0 and 128, index 0 and index 7,
 * black and a colour, transparent and opaque. Where one value fills the picture, it is all set or not at all.
 * A grey mask that was resized, with seams between 0 and the largest value, is set from half of that on. NULL
 * with a message that lists the values for all else: of a map of labels nobody knows which is meant. */
Tensor *mask_of(const Samples *s);

/* int32 H×W: the value of each pixel: an index, a grey, or red + 256 green + 65536 blue; alpha is dropped. NULL with a
 * message for colours of 16 bits. */
Tensor *labels_of(const Samples *s);

#endif
