/* The list of events and the one that is open; parents make it a tree. */
#include "core/profile.h"

#include "core/device.h"
#include "core/error.h"

#include <stdlib.h>

enum { EVENTS_MAX = 1 << 18 };

bool profiling;

static Event *events;
static long count, capacity, lost, open_event;
static int64_t origin;

static int64_t now(void) { return device_cpu()->mark(device_cpu()); }

int profile_start(void) {
  if (profiling) return fail("profile: expected no other profile under way");
  count = lost = 0;
  open_event = -1;
  origin = now();
  return profiling = true;
}

/* Closes what is open, down to an event. */
static void close_to(long event, int64_t end) {
  for (; open_event >= event; open_event = events[open_event].parent) {
    events[open_event].end = end;
    events[open_event].launches += device_launches();
  }
}

EventList profile_stop(void) {
  int64_t end = now() - origin;
  profiling = false;
  close_to(0, end);
  return (EventList){events, count, lost, end};
}

void profile_forget(void) {
  free(events);
  events = NULL;
  count = capacity = 0;
}

static bool has_room(void) {
  if (count < capacity) return true;
  if (count == EVENTS_MAX) return false;
  long wanted = capacity ? capacity * 2 : 1024;
  Event *more = realloc(events, (size_t)wanted * sizeof *more);
  if (!more) return false;
  events = more;
  capacity = wanted;
  return true;
}

long profile_begin(const char *name, EventKind kind) {
  if (!has_room()) {
    lost++;
    return -1;
  }
  events[count] = (Event){.name = name,
                          .kind = kind,
                          .parent = open_event,
                          .begin = now() - origin,
                          .launches = -device_launches(),
                          .rank = -1};
  return open_event = count++;
}

Event *profile_end(long event) {
  if (event < 0 || event >= count) return NULL;
  int64_t end = now() - origin;
  close_to(event, end);
  return &events[event];
}
