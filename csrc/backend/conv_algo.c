/* The table of choices (see conv_algo.h): some hundred rows at most, looked up one after the other, which
 * is nothing beside a convolution. */
#include "backend/conv_algo.h"

#include "core/error.h"
#include "core/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const algo_tasks[ALGO_TASKS] = {"convolution", "weight_gradient", "upconv2d"};
const char *const algo_methods[ALGO_TASKS][ALGO_METHODS] = {{"winograd6", "winograd4", "grouped", "direct"},
                                                            {"winograd6", "winograd4", "grouped", "direct"},
                                                            {"taps", "joined"}};
const char *const algo_sizes[ALGO_TASKS][ALGO_SIZES] = {
    {"images", "height", "width", "input", "groups", "kernel_height", "kernel_width", "step", "grid_height",
     "grid_width", "output", "packed"},
    {"images", "height", "width", "input", "groups", "kernel_height", "kernel_width", "stride", "padding",
     "output"},
    {"images", "height", "width", "input", "skip", "output", "packed"}};

static const double BETTER = 0.95; /* of the usual method's time: less is no noise */

atomic_bool algo_active;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static AlgoRow *rows;
static long count, room;
static bool tuning;

/* One thread's own time where it works alone: others may use the processor meanwhile. */
static double seconds(void) {
  struct timespec t;
  clock_gettime(pool_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static AlgoRow *find(const AlgoKey *key) {
  for (long i = 0; i < count; i++)
    if (!memcmp(&rows[i].key, key, sizeof *key)) return &rows[i];
  return NULL;
}

static AlgoRow *add(const AlgoKey *key) {
  if (count == room) {
    long more = room ? 2 * room : 64;
    AlgoRow *bigger = realloc(rows, (size_t)more * sizeof *rows);
    if (!bigger) return NULL;
    rows = bigger;
    room = more;
  }
  rows[count] = (AlgoRow){.key = *key, .method = -1, .usual = -1};
  return &rows[count++];
}

static bool has(unsigned fits, int method) { return method >= 0 && fits >> method & 1; }

/* The method of the row that was tried least. */
static int next_trial(const AlgoRow *r) {
  int next = -1;
  for (int m = 0; m < ALGO_METHODS; m++)
    if (has(r->fits, m) && (next < 0 || r->trials[m] < r->trials[next])) next = m;
  return next;
}

Algo algo_look_up(const AlgoKey *key, unsigned fits, int usual) {
  Algo c = {.method = usual, .entry = -1};
  if (!(fits & (fits - 1))) return c; /* there is no other */
  pthread_mutex_lock(&lock);
  AlgoRow *r = find(key);
  if (tuning && !r) r = add(key); /* without memory: not measured */
  if (r && tuning) {
    r->fits = fits;
    r->usual = usual;
    if (r->method < 0) r->method = usual;
    c.method = next_trial(r);
    r->trials[c.method]++;
    c.entry = r - rows;
  } else if (r && has(fits, r->method))
    c.method = r->method;
  pthread_mutex_unlock(&lock);
  algo_restart(&c);
  return c;
}

void algo_restart(Algo *c) {
  if (c->entry >= 0) c->start = seconds();
}

void algo_done(const Algo *c) {
  if (c->entry < 0) return;
  double took = seconds() - c->start;
  pthread_mutex_lock(&lock);
  if (tuning && c->entry < count) {
    double *least = &rows[c->entry].time[c->method];
    if (*least == 0 || took < *least) *least = took;
  }
  pthread_mutex_unlock(&lock);
}

int algo_set(const AlgoKey *key, int method) {
  pthread_mutex_lock(&lock);
  AlgoRow *r = find(key);
  if (!r) r = add(key);
  if (r) *r = (AlgoRow){.key = *key, .method = method, .usual = -1};
  atomic_store(&algo_active, count > 0);
  pthread_mutex_unlock(&lock);
  return r || fail("out of memory: a choice of method");
}

void algo_clear(void) {
  pthread_mutex_lock(&lock);
  free(rows);
  rows = NULL;
  count = room = 0;
  atomic_store(&algo_active, tuning);
  pthread_mutex_unlock(&lock);
}

bool algo_row(long i, AlgoRow *row) {
  pthread_mutex_lock(&lock);
  bool there = i >= 0 && i < count;
  if (there) *row = rows[i];
  pthread_mutex_unlock(&lock);
  return there;
}

static void decide(AlgoRow *r) {
  int best = r->usual;
  for (int m = 0; m < ALGO_METHODS; m++)
    if (r->time[m] > 0 && r->time[m] < r->time[best] && r->time[m] < BETTER * r->time[r->usual]) best = m;
  r->method = best;
}

void algo_autotune(bool on) {
  pthread_mutex_lock(&lock);
  for (long i = 0; i < count; i++) {
    if (on) {
      memset(rows[i].trials, 0, sizeof rows[i].trials);
      memset(rows[i].time, 0, sizeof rows[i].time);
      rows[i].fits = 0;
    } else if (tuning && rows[i].fits)
      decide(&rows[i]);
  }
  tuning = on;
  atomic_store(&algo_active, on || count > 0);
  pthread_mutex_unlock(&lock);
}

long algo_trials(void) {
  long fewest = -1;
  pthread_mutex_lock(&lock);
  for (long i = 0; i < count; i++) {
    if (!rows[i].fits) continue;
    long n = rows[i].trials[next_trial(&rows[i])];
    if (fewest < 0 || n < fewest) fewest = n;
  }
  pthread_mutex_unlock(&lock);
  return fewest < 0 ? 0 : fewest;
}
