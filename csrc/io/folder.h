/* Folders and what lies in them. */
#ifndef IO_FOLDER_H
#define IO_FOLDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct Listing {
  char **names;
  long count;
} Listing;

/* The names in a folder, hidden ones left out, sorted by bytes. 0 with a message. */
int folder_list(const char *path, Listing *out);
void listing_free(Listing *l);

/* Makes the folder and those above it that are missing. */
int folder_make(const char *path);

typedef struct Status {
  int kind; /* 'f' file, 'd' folder, 'o' other, 0 nothing there */
  int64_t size;
  int64_t modified; /* nanoseconds since 1970 */
} Status;

/* What lies at a path; never fails: what cannot be seen counts as nothing. */
Status path_status(const char *path);

#endif
