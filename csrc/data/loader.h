/* Loader: samples from disk, put together into batches by threads of its own that never touch Lua. A source
 * says what a sample is: named tensors, read from a file. A list of Fields says how those of several samples
 * become a batch's. What batch b of epoch e holds is a pure function of (seed, e, b): independent of the
 * number of workers, and resumable from those two numbers. Of several processes (ranks) each gets its part of
 * every batch, so that all of them together have the batches of one. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/augment.h"

enum { FIELDS_MAX = 16 };

/* STACK: tensors of one shape, N×…; CONCAT: one behind the other along their first dimension; INDEX: int32,
 * which sample of the batch, from 1, each row of the CONCAT field `of` came from. */
typedef enum Collate { STACK, CONCAT, INDEX } Collate;
typedef struct Field {
  char name[32];
  Collate how;
  int of;
} Field;

/* Called by several threads at once. */
typedef struct SampleSource {
  int count; /* of fields */
  Field field[FIELDS_MAX];
  /* Fills out[i] for every field that is no INDEX; what it has filled is the caller's also when it fails. paths:
   * the sample's file, and that of another which it may be mixed with. r is of its place in this epoch.
   * *damaged: which of the files is to blame, or -1. 0 with a message. */
  int (*read)(const struct SampleSource *s, const char *const paths[2], Random *r, Tensor **out,
              int *damaged);
  /* of hands_source: what every sample is, and what becomes of it */
  long width, height, stride;
  Augment augment;
  Labelling labelling;
} SampleSource;

/* Samples of sample_write, augmented, at width × height: image N×H×W×3 uint8; label N×h×w int32 (1 person, 2
 * object, 3 background, 0 ignored), h = ⌈H / stride⌉ and so on; maps M×h×w float32, the responsibility of each
 * hand, MAP_IGNORED where there is no picture; points M×2 float32, query points in the pixels of maps;
 * image_index M int32. Takes width, height, stride, augment, labelling. */
void hands_source(SampleSource *s);

/* Samples that are arrays of those names in a .npz file, as they are. Takes count and field. 0 with a
 * message. */
int arrays_source(SampleSource *s);

typedef struct LoaderOptions {
  long batch;       /* samples, of all ranks together; the last batch of an epoch may hold fewer */
  long workers;     /* threads, at least 1 */
  long rank, count; /* this process, from 0, and how many there are */
  uint64_t seed;
  bool shuffle;
  SampleSource source;
} LoaderOptions;

typedef struct Batch {
  long epoch, index; /* which one it is, both from 0 */
  Tensor *field[FIELDS_MAX];
} Batch;

typedef struct Loader Loader;

/* paths: n sample files; weights: NULL, or n positive numbers: an epoch is of n samples still, but holds each as often
 * as its share of their sum tells, rounded up or down by chance. Both are copied. NULL with a message. */
Loader *loader_new(const char *const *paths, const double *weights, long n, const LoaderOptions *options);
void loader_free(Loader *l);
long loader_batches(const Loader *l); /* of one epoch, the same for every rank */
long loader_batch(const Loader *l);   /* samples in the largest one */
const SampleSource *loader_source(const Loader *l);

/* Which samples, from 0, batch `index` of `epoch` holds (both from 0), in their order: at most `room` of them.
 * How many they are, -1 with a message. */
long loader_samples(const Loader *l, long epoch, long index, long *out, long room);

/* The batch to deliver next. Waits for nothing; batches made in advance are thrown away. */
void loader_seek(Loader *l, long epoch, long index);

/* The next batch, waiting for it if need be; epochs follow each other without end. The tensors are the
 * caller's. 0 with a message when a sample could not be read, or on Ctrl-C; the next call tries the same
 * batch again. */
int loader_next(Loader *l, Batch *out);

/* Which of the paths, from 0, could not be read when loader_next last failed; -1 when that was not why. */
long loader_damaged(const Loader *l);

/* Samples on disk: one .npz with image, maps, person, points, content. Not synced: whoever reads a damaged
 * one makes it again. `folder`: where it lies until it is whole, NULL for its own folder. */
int sample_write(const char *path, const Sample *s, const char *folder);
int sample_read(const char *path, Sample *out);
void sample_free(Sample *s);

#endif
