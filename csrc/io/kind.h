/* What a file is, by its first bytes: for the message of a reader that expected something else, so that a web
 * page, a Git LFS pointer or a renamed archive is called that. Nothing is read differently because of it. */
#ifndef IO_KIND_H
#define IO_KIND_H

#include "io/file.h"

enum {
  KIND_HEAD = 512, /* bytes that tell most; fewer do, and then tell less */
  KIND_TEXT = 112  /* room for a phrase */
};

/* A phrase that goes on after "found ": "an HTML page", "a Git LFS pointer (git lfs pull gets the file)", "a
 * PNG picture", "text (\"Not Found\")"; NULL where the bytes tell nothing. It may be written to `room`. */
const char *kind_of_bytes(char room[KIND_TEXT], const void *head, size_t size);

/* The same of an open file; "an empty file" of one without bytes. */
const char *kind_of_source(char room[KIND_TEXT], const Source *s);

/* Leaves "NAME: expected EXPECTED, found …" with what the bytes are ("another kind" where nothing tells);
 * returns 0. */
int fail_kind_of(const char *name, const void *head, size_t size, const char *expected);
int fail_kind(const Source *s, const char *expected);

#endif
