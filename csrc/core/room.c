/* See room.h. A file that cannot be read, or holds no number, is no limit. */
#include "core/room.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* What a thread maps beside tensors: OpenBLAS's buffer (128 MB where it has AVX-512 kernels), its stack, and
 * a heap of its own; and what everything else needs, libraries and pictures being read. */
enum { THREAD_ROOM = 208 << 20, OTHER_ROOM = 96 << 20 };

/* The number behind `name` in a file, or the first one when name is "". 1 when there is one. */
static int number_in(const char *path, const char *name, size_t *value) {
  char line[256];
  size_t length = strlen(name);
  int found = 0;
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  while (!found && fgets(line, sizeof line, f))
    found = !strncmp(line, name, length) && sscanf(line + length, "%zu", value) == 1;
  fclose(f);
  return found;
}

static size_t less(size_t limit, size_t used) { return limit > used ? limit - used : 0; }

static void least(size_t *room, size_t other) {
  if (other < *room) *room = other;
}

/* One control group; the names of its files in both versions. */
static void group_room(const char *folder, int version, size_t *room) {
  static const char *const names[3][3] = {
      {0},
      {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
      {"memory.max", "memory.current", "inactive_file "}};
  char path[640];
  size_t limit, used = 0, files = 0;
  snprintf(path, sizeof path, "%s/%s", folder, names[version][0]);
  if (!number_in(path, "", &limit)) return;
  snprintf(path, sizeof path, "%s/%s", folder, names[version][1]);
  number_in(path, "", &used);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  number_in(path, names[version][2], &files);
  least(room, less(limit, less(used, files)));
}

/* The groups of this process, from its own up to the root: a limit anywhere counts. */
static void groups_room(size_t *room) {
  char line[512];
  FILE *f = fopen("/proc/self/cgroup", "r");
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
    if (!group) continue;
    *group++ = 0;
    int version = !strcmp(kinds + 1, "memory") ? 1 : !kinds[1] ? 2 : 0;
    for (char *end = group + strlen(group); version && end; end = strrchr(group, '/')) {
      char folder[560];
      *end = 0;
      snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s", version == 1 ? "/memory" : "", group);
      group_room(folder, version, room);
    }
  }
  fclose(f);
}

size_t room_memory(void) {
  size_t room = SIZE_MAX, available;
  if (number_in("/proc/meminfo", "MemAvailable:", &available)) room = available << 10;
  groups_room(&room);
  return room;
}

size_t room_address(void) {
  static const struct {
    int resource;
    const char *name;
  } limits[] = {{RLIMIT_AS, "VmSize:"}, {RLIMIT_DATA, "VmData:"}};
  size_t room = SIZE_MAX, used;
  for (int i = 0; i < 2; i++) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)limits[i].resource, &limit) || limit.rlim_cur == RLIM_INFINITY)
      continue;
    if (number_in("/proc/self/status", limits[i].name, &used)) least(&room, less(limit.rlim_cur, used << 10));
  }
  return room;
}

size_t room_for_tensors(int threads) {
  size_t room = room_address();
  return room == SIZE_MAX ? room : less(room, (size_t)threads * THREAD_ROOM + OTHER_ROOM);
}
