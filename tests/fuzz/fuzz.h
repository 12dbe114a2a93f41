/* What the harnesses share: a table of readers, each of which reads one file and hands over what it found.
 * fuzz.c runs them on the inputs of libFuzzer or of replay.c and judges. */
#ifndef FUZZ_H
#define FUZZ_H

#include "io/array.h"

typedef struct FuzzReader {
  const char *name; /* of its corpus too */
  void (*read)(const char *path, Bundle *out);
  /* The bytes of heap that a file may cost: floor + factor · its size + what its pixels take. */
  size_t floor, factor;
  size_t (*pixels)(const uint8_t *data, size_t size); /* bytes for the pixels it claims; NULL: none */
  void (*mend)(uint8_t *data, size_t size);           /* sets the checksums right; NULL: has none */
  enum {
    FUZZ_STRICT,
    FUZZ_PIPE,
    FUZZ_LUA
  } how; /* a pipe has no size: it may ask for more than its bound, and
             is refused; Lua leaves garbage that it collects later */
} FuzzReader;

extern const FuzzReader fuzz_readers[]; /* ends with a name of NULL */
/* The one that $COHESIV_READER names. */
extern const FuzzReader *fuzz_reader;
/* Judge every input twice, not one in eight. */
extern int fuzz_thorough;

/* One execution each; the names are libFuzzer's. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding: says why and aborts. */
void fuzz_found(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Adds a tensor to what was read; NULL: the reader has failed, and its message is judged. */
void fuzz_give(Bundle *out, Tensor *t);
/* Judges the message of a reader that has failed. */
void fuzz_failed(void);
/* One line without control bytes, or it is a finding. */
void fuzz_line(const char *text);

/* checksums.c */
void mend_png(uint8_t *data, size_t size);
void mend_zip(uint8_t *data, size_t size);
void mend_pack(uint8_t *data, size_t size);

/* lua.c: readers that are written in Lua, over the core's own JSON. */
void fuzz_hands(const char *path, Bundle *out);
void fuzz_queries(const char *path, Bundle *out);

#endif
