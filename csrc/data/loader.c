/* The threads behind loader.h. A ring of slots: batch number b (counted over epochs) lives in slot b % SLOTS;
 * workers take the numbers in turn, the consumer waits for its own. */
#include "data/collate.h"
#include "data/loader.h"

#include "core/error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 3, WORKERS_MAX = 64 };

typedef enum { EMPTY, BUSY, READY, FAILED, TOLD } State; /* TOLD: of its failure the caller knows */

typedef struct Place {
  State state;
  unsigned long generation; /* of the seek that it was made for */
  Batch batch;
  char message[1024];
  long damaged; /* which sample could not be read, or -1 */
} Place;

struct Loader {
  LoaderOptions o;
  char **paths;
  double *share; /* how often an epoch holds each sample, in the mean; NULL: once */
  long n, batches;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread[WORKERS_MAX];
  long threads;
  bool stop;
  unsigned long generation; /* counts seeks: work begun before the last one is thrown away */
  long taken, delivered;    /* batch numbers: next to be made, next to be handed out */
  long damaged;             /* of the failure told last */
  Place place[SLOTS];
};

static void batch_free(Batch *b) { tensor_release_all(b->field, FIELDS_MAX); }

/* The n samples at u, u + 1, … of the line on which each has its share of length (systematic resampling). */
static void resample(const Loader *l, double u, long *order) {
  double end = 0;
  long at = 0;
  for (long i = 0; i < l->n; i++)
    for (end += l->share[i]; at < l->n && (double)at + u < end;) order[at++] = i;
  while (at < l->n) order[at++] = l->n - 1; /* rounding */
}

/* The samples of one epoch in their order (Fisher-Yates). */
static void epoch_order(const Loader *l, long epoch, long *order) {
  Random r;
  random_start(&r, l->o.seed, (uint64_t)epoch);
  if (l->share) resample(l, random_uniform(&r), order);
  for (long i = 0; i < l->n && !l->share; i++) order[i] = i;
  for (long i = l->n - 1; i > 0 && l->o.shuffle; i--) {
    long j = random_below(&r, i + 1), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
}

/* The rank's part of a batch: the first of its samples in the epoch's order, and how many they are. */
static long part_of(const Loader *l, long index, long *first) {
  long start = index * l->o.batch, all = l->n - start < l->o.batch ? l->n - start : l->o.batch;
  long from = all * l->o.rank / l->o.count, to = all * (l->o.rank + 1) / l->o.count;
  *first = start + from;
  return to - from;
}

long loader_samples(const Loader *l, long epoch, long index, long *out, long room) {
  long first, count = part_of(l, index, &first);
  if (count > room) count = room;
  long *order = malloc(sizeof(long) * (size_t)l->n);
  if (!order) {
    fail_memory("loader: out of memory for the order of %ld samples", l->n);
    return -1;
  }
  epoch_order(l, epoch, order);
  for (long i = 0; i < count; i++) out[i] = order[first + i];
  free(order);
  return count;
}

/* *damaged: the sample that could not be read, -1 where that was not why it failed. */
static int make_batch(const Loader *l, long number, Batch *b, long *damaged) {
  memset(b, 0, sizeof *b);
  *damaged = -1;
  b->epoch = number / l->batches;
  b->index = number % l->batches;
  long first, count = part_of(l, b->index, &first);
  long *order = malloc(sizeof(long) * (size_t)l->n);
  Tensor *(*samples)[FIELDS_MAX] = calloc((size_t)count + 1, sizeof *samples);
  int ok = order && samples ? 1 : fail_memory("loader: out of memory for a batch of %ld", count);
  if (ok) epoch_order(l, b->epoch, order);
  for (long i = 0; ok && i < count; i++) {
    Random r; /* of this place in this epoch, whatever batch it falls into */
    const uint64_t stream = ((uint64_t)b->epoch << 32) + (uint64_t)(first + i);
    random_start(&r, l->o.seed ^ 0xC3A5C3A5C3A5C3A5UL, stream);
    const long which[2] = {order[first + i], random_below(&r, l->n)};
    random_start(&r, l->o.seed ^ 0x5A3C5A3C5A3C5A3CUL, stream);
    int of = -1;
    ok = l->o.source.read(&l->o.source, (const char *[]){l->paths[which[0]], l->paths[which[1]]}, &r,
                          samples[i], &of);
    if (!ok && of >= 0) *damaged = which[of];
  }
  ok = ok && collate(&l->o.source, samples, count, b->field);
  for (long i = 0; samples && i < count; i++) tensor_release_all(samples[i], FIELDS_MAX);
  free(samples);
  free(order);
  if (!ok) batch_free(b);
  return ok;
}

static void *work(void *arg) {
  Loader *l = arg;
  pthread_mutex_lock(&l->lock);
  while (!l->stop) {
    Place *p = &l->place[l->taken % SLOTS];
    if (l->taken >= l->delivered + SLOTS || p->state != EMPTY) {
      pthread_cond_wait(&l->changed, &l->lock);
      continue;
    }
    long number = l->taken++;
    unsigned long generation = p->generation = l->generation;
    p->state = BUSY;
    pthread_mutex_unlock(&l->lock);
    Batch b;
    long damaged;
    int ok = make_batch(l, number, &b, &damaged);
    pthread_mutex_lock(&l->lock);
    if (generation != l->generation || l->stop) { /* nobody wants it any more */
      if (ok) batch_free(&b);
      p->state = EMPTY;
    } else {
      p->state = ok ? READY : FAILED;
      p->damaged = damaged;
      if (ok)
        p->batch = b;
      else
        snprintf(p->message, sizeof p->message, "%s", error_message());
    }
    pthread_cond_broadcast(&l->changed);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

/* Copies of what the samples are. */
static int keep_samples(Loader *l, const char *const *paths, const double *weights) {
  double sum = 0;
  for (long i = 0; i < l->n; i++)
    if (!(l->paths[i] = strdup(paths[i]))) return 0;
  if (!weights) return 1;
  if (!(l->share = malloc(sizeof *l->share * (size_t)l->n))) return 0;
  for (long i = 0; i < l->n; i++) sum += weights[i];
  for (long i = 0; i < l->n; i++) l->share[i] = weights[i] / sum * (double)l->n;
  return 1;
}

Loader *loader_new(const char *const *paths, const double *weights, long n, const LoaderOptions *options) {
  if (options->count < 1 || options->rank < 0 || options->rank >= options->count) {
    fail("loader: expected a rank of 1 to %ld, found %ld", options->count, options->rank + 1);
    return NULL;
  }
  if (n < 1 || options->batch < 1 || options->workers < 1 || options->workers > WORKERS_MAX) {
    fail("loader: expected samples, a batch of 1 or more and 1 to %d workers, found %ld, %ld and %ld",
         WORKERS_MAX, n, options->batch, options->workers);
    return NULL;
  }
  Loader *l = calloc(1, sizeof *l);
  if (!l || !(l->paths = calloc((size_t)n, sizeof *l->paths))) {
    free(l);
    fail_memory("loader: out of memory for %ld samples", n);
    return NULL;
  }
  l->o = *options;
  l->n = n;
  l->batches = (n + l->o.batch - 1) / l->o.batch;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->changed, NULL);
  const int ok = keep_samples(l, paths, weights);
  for (; ok && l->threads < l->o.workers; l->threads++)
    if (pthread_create(&l->thread[l->threads], NULL, work, l)) break;
  if (!l->threads) {
    loader_free(l);
    if (ok)
      fail_memory("loader: expected memory for a thread, found none to be had");
    else
      fail_memory("loader: out of memory for %ld samples", n);
    return NULL;
  }
  return l;
}

void loader_free(Loader *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  for (long i = 0; i < l->threads; i++) pthread_join(l->thread[i], NULL);
  for (int i = 0; i < SLOTS; i++)
    if (l->place[i].state == READY) batch_free(&l->place[i].batch);
  for (long i = 0; i < l->n; i++) free(l->paths[i]);
  free(l->paths);
  free(l->share);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->changed);
  free(l);
}

long loader_batches(const Loader *l) { return l->batches; }
long loader_batch(const Loader *l) { return l->o.batch < l->n ? l->o.batch : l->n; }
const SampleSource *loader_source(const Loader *l) { return &l->o.source; }

/* Begins anew with batch `number`. Holds the lock. */
static void restart(Loader *l, long number) {
  l->generation++;
  l->taken = l->delivered = number;
  for (int i = 0; i < SLOTS; i++) {
    Place *p = &l->place[i];
    if (p->state == READY) batch_free(&p->batch);
    if (p->state != BUSY)
      p->state = EMPTY; /* a busy one empties itself when its worker sees the new generation */
  }
  pthread_cond_broadcast(&l->changed);
}

void loader_seek(Loader *l, long epoch, long index) {
  pthread_mutex_lock(&l->lock);
  restart(l, epoch * l->batches + index);
  pthread_mutex_unlock(&l->lock);
}

int loader_next(Loader *l, Batch *out) {
  int ok = 1;
  pthread_mutex_lock(&l->lock);
  l->damaged = -1;
  Place *p = &l->place[l->delivered % SLOTS];
  if (p->state == TOLD) restart(l, l->delivered); /* whoever mended what was wrong gets the batch after all */
  while (ok && !((p->state == READY || p->state == FAILED) && p->generation == l->generation)) {
    struct timespec until; /* wakes now and then to look for Ctrl-C */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&l->changed, &l->lock, &until);
    if (interrupted) ok = fail("interrupted");
  }
  if (ok && p->state == FAILED) {
    ok = fail("%s", p->message);
    p->state = TOLD;
    l->damaged = p->damaged;
  } else if (ok) {
    *out = p->batch;
    memset(&p->batch, 0, sizeof p->batch);
    p->state = EMPTY;
    l->delivered++;
    pthread_cond_broadcast(&l->changed);
  }
  pthread_mutex_unlock(&l->lock);
  return ok;
}

long loader_damaged(const Loader *l) { return l->damaged; }
