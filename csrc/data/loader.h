/* Loader: training samples from disk, augmented and put together into batches by threads of its own that
 * never touch Lua. What batch b of epoch e holds is a pure function of (seed, e, b): independent of the
 * number of workers, and resumable from those two numbers. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/augment.h"

typedef struct LoaderOptions {
  long width, height; /* of every sample */
  long batch;         /* samples; the last batch of an epoch may hold fewer */
  long workers;       /* threads, at least 1 */
  uint64_t seed;
  bool shuffle;
  Augment augment;
  Labelling labelling;
} LoaderOptions;

typedef struct Batch {
  long epoch, index; /* which one it is, both from 0 */
  Tensor *image;     /* N×H×W×3 uint8 */
  Tensor *label;     /* N×H×W int32: 1 person, 2 object, 3 background, 0 ignored */
  Tensor *maps;      /* M×H×W float32 responsibility of each hand; MAP_IGNORED where there is no picture */
  Tensor *points;    /* M×2 float32 query points */
  Tensor *image_index; /* M int32: the image, from 1, that each hand is in */
} Batch;

typedef struct Loader Loader;

/* paths: n sample files (see sample_write), copied. NULL with a message. */
Loader *loader_new(const char *const *paths, long n, const LoaderOptions *options);
void loader_free(Loader *l);
long loader_batches(const Loader *l); /* of one epoch */

/* The batch to deliver next. Waits for nothing; batches made in advance are thrown away. */
void loader_seek(Loader *l, long epoch, long index);

/* The next batch, waiting for it if need be; epochs follow each other without end. The tensors are the
 * caller's. 0 with a message when a sample could not be read, or on Ctrl-C; the next call tries the same
 * batch again. */
int loader_next(Loader *l, Batch *out);
void batch_free(Batch *b);

/* Which of the paths, from 0, could not be read when loader_next last failed; -1 when that was not why. */
long loader_damaged(const Loader *l);

/* Samples on disk: one .npz with image, maps, person, points, content. Not synced: whoever reads a damaged
 * one makes it again. `folder`: where it lies until it is whole, NULL for its own folder. */
int sample_write(const char *path, const Sample *s, const char *folder);
int sample_read(const char *path, Sample *out);
void sample_free(Sample *s);

#endif
