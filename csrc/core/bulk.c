/* See bulk.h. */
#include "core/bulk.h"

#include "core/pool.h"

#include <string.h>

enum { PIECE = 1 << 20 };

typedef struct Move {
  char *to;
  const char *from; /* NULL: zeros */
  size_t bytes;
} Move;

static int move_piece(void *arg, long c) {
  const Move *m = arg;
  size_t begin = (size_t)c * PIECE, n = m->bytes - begin < PIECE ? m->bytes - begin : PIECE;
  if (m->from)
    memcpy(m->to + begin, m->from + begin, n);
  else
    memset(m->to + begin, 0, n);
  return 1;
}

static int move(void *to, const void *from, size_t bytes) {
  Move m = {to, from, bytes};
  return parallel((long)((bytes + PIECE - 1) / PIECE), move_piece, &m);
}

int bulk_copy(void *to, const void *from, size_t bytes) { return move(to, from, bytes); }

int bulk_clear(void *to, size_t bytes) { return move(to, NULL, bytes); }
