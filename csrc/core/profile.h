/* What ran when: the record behind co.profile. Between profile_start and profile_stop every op, every
 * backward and every named scope leaves an event with its times and the bytes it touched; at any other time
 * the only cost is a look at `profiling`. For the one thread that runs Lua. */
#ifndef CORE_PROFILE_H
#define CORE_PROFILE_H

#include "core/tensor.h"

typedef enum EventKind { EVENT_FORWARD, EVENT_BACKWARD, EVENT_SCOPE } EventKind;

typedef struct Event {
  const char *name; /* borrowed: must live until the events were read */
  EventKind kind;
  long parent;          /* the event that was open when this one began; -1: none */
  int64_t begin, end;   /* nanoseconds since the start */
  size_t read, written; /* bytes of tensors */
  double flops;         /* 0: unknown */
  long launches;        /* kernels that a GPU started meanwhile, of events inside this one too */
  bool fallback;        /* the CPU computed it in place of its device */
  int rank;             /* shape of the first result; -1: none */
  long shape[RANK_MAX];
} Event;

typedef struct EventList {
  const Event *event; /* stays until profile_forget */
  long count, lost;   /* lost: those beyond the limit, or beyond memory */
  int64_t duration;   /* nanoseconds from start to stop */
} EventList;

extern bool profiling;

/* 0 with a message when a record is under way. */
int profile_start(void);
EventList profile_stop(void);
void profile_forget(void);

/* Opens an event; -1 when it cannot be kept. Only while profiling. */
long profile_begin(const char *name, EventKind kind);
/* Closes it, and whatever an error left open inside, and returns it to be filled in; NULL for -1. */
Event *profile_end(long event);

#endif
