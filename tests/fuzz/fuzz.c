/* One execution: the input lies in a memory file, the reader reads it, and it is judged
 *   - that it returns, with a message of one line or with tensors whose every byte can be read;
 *   - that its heap never held more than the reader's bound, and that tensors never asked for more;
 *   - that nothing is left behind: no byte of heap, no open file;
 *   - one time in eight, that a second reading gives the same bytes though new memory holds others.
 * The sanitizers judge the rest. Assumes AddressSanitizer: its hooks count the heap. */
#include "fuzz.h"

#include "backend/start.h"
#include "core/error.h"
#include "core/memory.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* Of sanitizer/allocator_interface.h, which gcc does not bring along. */
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                              void (*)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *block);

enum {
  FILLED = 1 << 15
}; /* new blocks up to this size are filled: above, calloc trusts the system's zeros */

const FuzzReader *fuzz_reader;
int fuzz_thorough;

static size_t live, peak;
static size_t most, most_size; /* the most heap that a file took, and its size */
static int file, fill;
static char path[64];

void fuzz_found(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fprintf(stderr, "FOUND %s: ", fuzz_reader->name);
  vfprintf(stderr, format, list);
  fprintf(stderr, "\n");
  va_end(list);
  abort();
}

/* ---- the heap ---- */

static void on_malloc(const volatile void *block, size_t size) {
  live += size;
  if (live > peak) peak = live;
  if (size <= FILLED) memset((void *)(uintptr_t)block, fill, size);
}

static void on_free(const volatile void *block) {
  if (block) live -= __sanitizer_get_allocated_size(block);
}

/* ---- what a reader gives ---- */

void fuzz_line(const char *text) {
  if (!*text) fuzz_found("failed without a message");
  for (const unsigned char *at = (const unsigned char *)text; *at; at++)
    if (*at < 0x20 || *at == 0x7F) fuzz_found("a control byte in its message: %s", text);
}

void fuzz_failed(void) {
  fuzz_line(error_message());
  if (failed_for_memory() && fuzz_reader->how != FUZZ_PIPE)
    fuzz_found("asked for more than its bound: %s", error_message());
}

void fuzz_give(Bundle *out, Tensor *t) {
  if (!t)
    fuzz_failed();
  else if (!bundle_add(out, "", 0, t))
    fuzz_found("%s", error_message());
}

/* A number made of all that was read: every byte is looked at. */
static uLong sum_of(const Bundle *b) {
  uLong sum = crc32(0, NULL, 0);
  for (long i = 0; i < b->count; i++) {
    const Tensor *t = b->items[i].tensor;
    sum = crc32_z(sum, (const Bytef *)b->items[i].name, strlen(b->items[i].name));
    sum = crc32_z(sum, (const Bytef *)t->shape, (size_t)t->rank * sizeof *t->shape);
    sum = crc32_z(sum, tensor_data(t), tensor_bytes(t));
  }
  for (long i = 0; i < b->notes_count; i++) {
    sum = crc32_z(sum, (const Bytef *)b->notes[i].key, strlen(b->notes[i].key));
    sum = crc32_z(sum, (const Bytef *)b->notes[i].value, strlen(b->notes[i].value));
  }
  return sum;
}

static int first_free_file(void) {
  int fd = fcntl(file, F_DUPFD, 0);
  close(fd);
  return fd;
}

/* ---- executions ---- */

static void put(const uint8_t *data, size_t size) {
  if (ftruncate(file, (off_t)size) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
    fuzz_found("expected a memory file of %zu bytes, found none", size);
}

/* What stands beside the numbers of tensors, which may fill the rest of a bound. */
enum { HANDLES = 4096 };

static uLong execute(size_t size, size_t bound) {
  size_t before = live;
  peak = live;
  memory_set_limit(bound - HANDLES);
  Bundle out = {0};
  fuzz_reader->read(path, &out);
  uLong sum = sum_of(&out);
  if (peak - before > bound) fuzz_found("took %zu bytes of heap, expected at most %zu", peak - before, bound);
  if (peak - before > most) {
    most = peak - before;
    most_size = size;
  }
  bundle_free(&out);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t bound = fuzz_reader->floor + fuzz_reader->factor * size +
                 (fuzz_reader->pixels ? fuzz_reader->pixels(data, size) : 0);
  int free_file = first_free_file();
  size_t before = live;
  put(data, size);
  uLong sum = execute(size, bound);
  if (live > before || fuzz_thorough || crc32_z(0, data, size) % 8 == 0) {
    before = live; /* what is made once for all stays */
    fill ^= 0xFF;
    if (execute(size, bound) != sum) fuzz_found("gave other numbers when it read the file again");
    if (live > before && fuzz_reader->how != FUZZ_LUA)
      fuzz_found("left %zu bytes of heap behind", live - before);
  }
  if (first_free_file() != free_file) fuzz_found("left a file open");
  return 0;
}

static void report(void) {
  fprintf(stderr, "HEAP %s: at most %zu bytes, of a file of %zu\n", fuzz_reader->name, most, most_size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  const char *name = getenv("COHESIV_READER");
  for (const FuzzReader *r = fuzz_readers; r->name; r++)
    if (name && strcmp(r->name, name) == 0) fuzz_reader = r;
  if (!fuzz_reader) {
    fprintf(stderr, "COHESIV_READER: expected the name of a reader, found %s; they are\n",
            name ? name : "none");
    for (const FuzzReader *r = fuzz_readers; r->name; r++) fprintf(stderr, "  %s\n", r->name);
    exit(2);
  }
  if (!core_start()) fuzz_found("did not start: %s", error_message());
  file = memfd_create("input", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  fill = 0xA5;
  if (file < 0 || !__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free)) {
    fprintf(stderr, "expected a memory file and AddressSanitizer's hooks, found none\n");
    exit(2);
  }
  atexit(report);
  return 0;
}
