/* Which method computes a convolution, where a table says otherwise than the rule on shapes: choices that
 * were set (from a run's record, say), or measured on this machine by tuning.
 *
 *   empty ──choice_set──> consulted by every convolution <──choice_tune(false)── tuning
 *
 * While tuning, every convolution that could be computed by several methods takes them in turn and tells how
 * long each took; afterwards the fastest is its choice. Results for one table do not depend on the number of
 * threads. All functions may be called from any thread; an empty table costs one atomic load. */
#ifndef BACKEND_CONV_CHOICE_H
#define BACKEND_CONV_CHOICE_H

#include <stdatomic.h>
#include <stdbool.h>

/* What is chosen, and between which methods (choice_methods). */
typedef enum ChoiceTask {
  CHOOSE_CORRELATION,
  CHOOSE_WEIGHT_GRADIENT,
  CHOOSE_UPCONV,
  CHOICE_TASKS
} ChoiceTask;

enum { CHOICE_SIZES = 12, CHOICE_METHODS = 4 };

typedef struct ChoiceKey {
  long task, size[CHOICE_SIZES]; /* unused ones are 0 */
} ChoiceKey;

extern const char *const choice_tasks[CHOICE_TASKS];
extern const char *const choice_methods[CHOICE_TASKS][CHOICE_METHODS]; /* NULL behind the last */
/* What the sizes of a task are called; NULL behind the last. */
extern const char *const choice_sizes[CHOICE_TASKS][CHOICE_SIZES];

typedef struct Choice {
  int method;
  long entry;   /* of the table, while tuning; -1: not measured */
  double start; /* seconds */
} Choice;

extern atomic_bool choice_active;

/* The slow half of choose. */
Choice choice_look_up(const ChoiceKey *key, unsigned fits, int usual);

/* The method for the key: `usual`, unless the table knows one that fits (bit i: method i does). */
#define CHOOSE(fits_, usual_, ...)                                                                           \
  (atomic_load(&choice_active) ? choice_look_up(&(ChoiceKey){__VA_ARGS__}, fits_, usual_)                    \
                               : (Choice){.method = usual_, .entry = -1})

/* The clock starts anew: what went before is not part of what is chosen. */
void choice_restart(Choice *c);
/* The work is done. */
void choice_done(const Choice *c);

/* ---- the table ---- */

typedef struct ChoiceRow {
  ChoiceKey key;
  int method, usual;           /* usual: the rule's; -1: not known, the row was set */
  unsigned fits;               /* while and after tuning */
  long trials[CHOICE_METHODS]; /* of each method, while and after tuning */
  double time[CHOICE_METHODS]; /* seconds, the least of the trials */
} ChoiceRow;

/* Adds or replaces a row; 0 with a message (memory). */
int choice_set(const ChoiceKey *key, int method);
/* Empties the table. */
void choice_clear(void);
/* The i-th row (from 0) into *row; false when there is none. */
bool choice_row(long i, ChoiceRow *row);

/* Starts tuning (rows of before stay), or ends it: rows that were measured then hold the fastest method; the
 * usual one stays where no other takes less than 95 % of its time. */
void choice_tune(bool on);
/* The least number of trials of any method of any row under way. */
long choice_trials(void);

#endif
