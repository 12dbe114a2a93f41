/* The list of named tensors that readers of several arrays return: see array.h.
 * Does not look for duplicates. */
#include "io/array.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more element; lists grow by doubling at powers of two. */
static void *grown(void *list, long count, size_t size) {
  if (count & (count - 1)) return list; /* not at a power of two: there is room */
  void *more = realloc(list, (size_t)(count ? 2 * count : 1) * size);
  if (!more) fail("memory: expected room for %ld names, found none left", count + 1);
  return more;
}

int bundle_add(Bundle *b, const char *name, size_t length, Tensor *t) {
  Named *items = t ? grown(b->items, b->count, sizeof *items) : NULL;
  if (items) b->items = items;
  char *copy = items ? strndup(name, length) : NULL;
  if (!copy) {
    if (items) fail("memory: expected room for a name, found none left");
    tensor_release(t);
    return 0;
  }
  b->items[b->count++] = (Named){copy, t};
  return 1;
}

int bundle_note(Bundle *b, const char *key, const char *value) {
  Note *notes = grown(b->notes, b->notes_count, sizeof *notes);
  if (!notes) return 0;
  b->notes = notes;
  Note note = {strdup(key), strdup(value)};
  if (!note.key || !note.value) {
    free(note.key);
    free(note.value);
    return fail("memory: expected room for a note, found none left");
  }
  b->notes[b->notes_count++] = note;
  return 1;
}

void bundle_free(Bundle *b) {
  for (long i = 0; i < b->count; i++) {
    free(b->items[i].name);
    tensor_release(b->items[i].tensor);
  }
  for (long i = 0; i < b->notes_count; i++) {
    free(b->notes[i].key);
    free(b->notes[i].value);
  }
  free(b->items);
  free(b->notes);
  *b = (Bundle){0};
}
