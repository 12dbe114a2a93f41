/* Which method computes a convolution, where a table says otherwise than the rule on shapes: choices that
 * were set (from a run's record, say), or measured on this machine by tuning.
 *
 *   empty ──algo_set──> consulted by every convolution <──algo_autotune(false)── tuning
 *
 * While tuning, every convolution that could be computed by several methods takes them in turn and tells how
 * long each took; afterwards the fastest is its choice. Results for one table do not depend on the number of
 * threads. All functions may be called from any thread; an empty table costs one atomic load. */
#ifndef BACKEND_CONV_ALGO_H
#define BACKEND_CONV_ALGO_H

#include <stdatomic.h>
#include <stdbool.h>

/* What is chosen, and between which methods (algo_methods). */
typedef enum AlgoTask { ALGO_CORRELATION, ALGO_WEIGHT_GRADIENT, ALGO_UPCONV, ALGO_TASKS } AlgoTask;

enum { ALGO_SIZES = 12, ALGO_METHODS = 4 };

typedef struct AlgoKey {
  long task, size[ALGO_SIZES]; /* unused ones are 0 */
} AlgoKey;

extern const char *const algo_tasks[ALGO_TASKS];
extern const char *const algo_methods[ALGO_TASKS][ALGO_METHODS]; /* NULL behind the last */
/* What the sizes of a task are called; NULL behind the last. */
extern const char *const algo_sizes[ALGO_TASKS][ALGO_SIZES];

typedef struct Algo {
  int method;
  long entry;   /* of the table, while tuning; -1: not measured */
  double start; /* seconds */
} Algo;

extern atomic_bool algo_active;

/* The slow half of choose. */
Algo algo_look_up(const AlgoKey *key, unsigned fits, int usual);

/* The method for the key: `usual`, unless the table knows one that fits (bit i: method i does). */
#define ALGO_PICK(fits_, usual_, ...)                                                                        \
  (atomic_load(&algo_active) ? algo_look_up(&(AlgoKey){__VA_ARGS__}, fits_, usual_)                          \
                             : (Algo){.method = usual_, .entry = -1})

/* The clock starts anew: what went before is not part of what is chosen. */
void algo_restart(Algo *c);
/* The work is done. */
void algo_done(const Algo *c);

/* ---- the table ---- */

typedef struct AlgoRow {
  AlgoKey key;
  int method, usual;         /* usual: the rule's; -1: not known, the row was set */
  unsigned fits;             /* while and after tuning */
  long trials[ALGO_METHODS]; /* of each method, while and after tuning */
  double time[ALGO_METHODS]; /* seconds, the least of the trials */
} AlgoRow;

/* Adds or replaces a row; 0 with a message (memory). */
int algo_set(const AlgoKey *key, int method);
/* Empties the table. */
void algo_clear(void);
/* The i-th row (from 0) into *row; false when there is none. */
bool algo_row(long i, AlgoRow *row);

/* Starts tuning (rows of before stay), or ends it: rows that were measured then hold the fastest method; the
 * usual one stays where no other takes less than 95 % of its time. */
void algo_autotune(bool on);
/* The least number of trials of any method of any row under way. */
long algo_trials(void);

#endif
