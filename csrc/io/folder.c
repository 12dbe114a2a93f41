/* Listing, making and looking: see folder.h. */
#include "io/folder.h"

#include "core/error.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void listing_free(Listing *l) {
  for (long i = 0; i < l->count; i++) free(l->names[i]);
  free(l->names);
  *l = (Listing){0};
}

static int list_all(DIR *folder, const char *path, Listing *out) {
  long room = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (!entry) return errno == 0 || fail("%s: expected a readable folder, found: %s", path, strerror(errno));
    if (entry->d_name[0] == '.') continue;
    if (out->count == room) {
      room = room ? 2 * room : 64;
      char **more = realloc(out->names, (size_t)room * sizeof *more);
      if (!more) return fail("%s: expected memory for %ld names, found none left", path, room);
      out->names = more;
    }
    if (!(out->names[out->count] = strdup(entry->d_name)))
      return fail("%s: expected memory for a name, found none left", path);
    out->count++;
  }
}

int folder_list(const char *path, Listing *out) {
  *out = (Listing){0};
  DIR *folder = opendir(path);
  if (!folder) return fail("%s: expected a readable folder, found: %s", path, strerror(errno));
  int ok = list_all(folder, path, out);
  closedir(folder);
  if (!ok) listing_free(out);
  if (out->count) qsort(out->names, (size_t)out->count, sizeof *out->names, by_bytes);
  return ok;
}

int folder_make(const char *path) {
  if (path_status(path).kind == 'd') return 1;
  char *copy = strdup(path);
  if (!copy) return fail("%s: expected memory for a name, found none left", path);
  int error = 0;
  for (char *at = copy + 1; copy[0] && !error;
       at++) { /* each prefix that ends before a slash or at the end */
    char keep = *at;
    if (keep != '/' && keep) continue;
    *at = 0;
    if (mkdir(copy, 0777) != 0 && errno != EEXIST) error = errno;
    *at = keep;
    if (!keep) break;
  }
  free(copy);
  if (!error && path_status(path).kind != 'd') error = ENOTDIR;
  return !error || fail("%s: expected a folder to be made, found: %s", path, strerror(error));
}

Status path_status(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) return (Status){0};
  return (Status){S_ISREG(st.st_mode)   ? 'f'
                  : S_ISDIR(st.st_mode) ? 'd'
                                        : 'o',
                  st.st_size, st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec};
}
