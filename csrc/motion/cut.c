/* Max-flow on the pixel grid with two search trees that are kept from one augmentation to the next. A frame of
 * nodes without edges runs around the image, so that every pixel has eight neighbours. */
#include "motion/cut.h"

#include "core/error.h"
#include "core/memory.h"

#include <math.h>
#include <string.h>

enum {
  WAYS = 8,        /* neighbours; way ^ 1 leads back */
  ROOT = WAYS,     /* parents that are no neighbours: the terminal, */
  ORPHAN,          /* none any more, */
  NONE,            /* none */
  UNIT = 1 << 10,  /* of a nat */
  FIXED = 1 << 30, /* to the terminal, more than all edges of a pixel carry */
  CHECK = 1 << 16  /* nodes between looks at Ctrl-C */
};

/* Trees: of the source (in), of the sink (out). */
enum { FREE, IN, OUT };

typedef struct Graph {
  long width, nodes; /* with the frame */
  long step[WAYS];
  int32_t *room;       /* nodes x WAYS: what the edges still carry */
  int32_t *terminal;   /* what the edge from the source (> 0) or to the sink (< 0) still carries */
  int32_t *seen, *far; /* when the distance to the terminal was found, and what it is */
  int32_t *next;       /* the list of active nodes; itself: the last; -1: not in it */
  int32_t *orphans;    /* a stack */
  uint8_t *tree, *parent;
  long first, last, orphan_count, now;
} Graph;

static void activate(Graph *g, long i) {
  if (g->next[i] >= 0) return;
  g->next[i] = (int32_t)i;
  if (g->last >= 0)
    g->next[g->last] = (int32_t)i;
  else
    g->first = i;
  g->last = i;
}

/* The next active node that is in a tree; -1: none. */
static long next_active(Graph *g) {
  while (g->first >= 0) {
    const long i = g->first;
    g->first = g->next[i] == i ? -1 : g->next[i];
    if (g->first < 0) g->last = -1;
    g->next[i] = -1;
    if (g->tree[i] != FREE) return i;
  }
  return -1;
}

/* What can still flow along the tree from a node's parent to it (IN), or from it to the parent (OUT). */
static int32_t *along(Graph *g, long i, int way, int tree) {
  return tree == IN ? &g->room[(i + g->step[way]) * WAYS + (way ^ 1)] : &g->room[i * WAYS + way];
}

static void orphan(Graph *g, long i) {
  g->parent[i] = ORPHAN;
  g->orphans[g->orphan_count++] = (int32_t)i;
}

/* The least room from a node to the terminal of its tree. */
static int32_t narrowest(Graph *g, long i, int tree, int32_t least) {
  for (; g->parent[i] != ROOT; i += g->step[g->parent[i]]) {
    const int32_t room = *along(g, i, g->parent[i], tree);
    least = room < least ? room : least;
  }
  const int32_t room = tree == IN ? g->terminal[i] : -g->terminal[i];
  return room < least ? room : least;
}

static void push(Graph *g, long i, int tree, int32_t flow) {
  while (g->parent[i] != ROOT) {
    const int way = g->parent[i];
    const long up = i + g->step[way];
    int32_t *down = &g->room[up * WAYS + (way ^ 1)], *climb = &g->room[i * WAYS + way];
    *(tree == IN ? down : climb) -= flow;
    *(tree == IN ? climb : down) += flow;
    if (!*(tree == IN ? down : climb)) orphan(g, i);
    i = up;
  }
  g->terminal[i] += tree == IN ? -flow : flow;
  if (!g->terminal[i]) orphan(g, i);
}

/* Sends what fits through the edge `way` from a node of IN to one of OUT, and along both trees. */
static void augment(Graph *g, long i, int way) {
  const long j = i + g->step[way];
  int32_t flow = narrowest(g, i, IN, g->room[i * WAYS + way]);
  flow = narrowest(g, j, OUT, flow);
  g->room[i * WAYS + way] -= flow;
  g->room[j * WAYS + (way ^ 1)] += flow;
  push(g, i, IN, flow);
  push(g, j, OUT, flow);
}

/* Steps from a node to its terminal; -1: an orphan is in between. Marks what it has walked. */
static long distance(Graph *g, long from) {
  long steps = 0, i = from;
  while (g->seen[i] != g->now && g->parent[i] < ROOT) i += g->step[g->parent[i]], steps++;
  if (g->parent[i] >= ORPHAN) return -1;
  if (g->seen[i] != g->now) g->seen[i] = (int32_t)g->now, g->far[i] = 1;
  const long end = i, whole = steps + g->far[end];
  for (i = from, steps = whole; i != end; i += g->step[g->parent[i]], steps--)
    g->seen[i] = (int32_t)g->now, g->far[i] = (int32_t)steps;
  return whole;
}

/* Finds an orphan another parent, or lets it go with all that hangs on it. */
static void adopt(Graph *g, long i) {
  const int tree = g->tree[i];
  long best = -1, nearest = 0;
  for (int way = 0; way < WAYS; way++) {
    const long j = i + g->step[way];
    if (g->tree[j] != tree || !*along(g, i, way, tree)) continue;
    const long d = distance(g, j);
    if (d >= 0 && (best < 0 || d < nearest)) best = way, nearest = d;
  }
  if (best >= 0) {
    g->parent[i] = (uint8_t)best, g->seen[i] = (int32_t)g->now, g->far[i] = (int32_t)nearest + 1;
    return;
  }
  for (int way = 0; way < WAYS; way++) {
    const long j = i + g->step[way];
    if (g->tree[j] != tree) continue;
    if (*along(g, i, way, tree)) activate(g, j);
    if (g->parent[j] == (way ^ 1)) orphan(g, j);
  }
  g->tree[i] = FREE, g->parent[i] = NONE;
}

/* Grows the tree of a node by its neighbours; the way to a node of the other tree, or -1. */
static int grow(Graph *g, long i) {
  const int tree = g->tree[i];
  for (int way = 0; way < WAYS; way++) {
    const long j = i + g->step[way];
    if (!(tree == IN ? g->room[i * WAYS + way] : g->room[j * WAYS + (way ^ 1)])) continue;
    if (g->tree[j] == FREE) {
      g->tree[j] = (uint8_t)tree, g->parent[j] = (uint8_t)(way ^ 1);
      g->seen[j] = g->seen[i], g->far[j] = g->far[i] + 1;
      activate(g, j);
    } else if (g->tree[j] != tree)
      return way;
    else if (g->seen[j] <= g->seen[i] && g->far[j] > g->far[i] + 1) {
      g->parent[j] = (uint8_t)(way ^ 1);
      g->seen[j] = g->seen[i], g->far[j] = g->far[i] + 1;
    }
  }
  return -1;
}

/* Whether a node's tree can grow from it: inside of its tree it cannot, unless neighbours are let go (see adopt). */
static int can_grow(Graph *g, long i) {
  for (int way = 0; way < WAYS; way++) {
    const long j = i + g->step[way];
    if (g->tree[j] != g->tree[i] && *along(g, j, way ^ 1, g->tree[i])) return 1;
  }
  return 0;
}

static int flow(Graph *g) {
  g->first = g->last = -1;
  for (long i = 0; i < g->nodes; i++) {
    g->next[i] = -1, g->tree[i] = FREE, g->parent[i] = NONE, g->seen[i] = 0, g->far[i] = 1;
    if (g->terminal[i]) g->tree[i] = g->terminal[i] > 0 ? IN : OUT, g->parent[i] = ROOT;
  }
  for (long i = 0; i < g->nodes; i++)
    if (g->tree[i] != FREE && can_grow(g, i)) activate(g, i);
  g->now = 0;
  for (long i = next_active(g), turn = 1; i >= 0; turn++) {
    if (turn % CHECK == 0 && interrupted) return fail("interrupted");
    const int way = grow(g, i);
    if (way < 0) {
      i = next_active(g);
      continue;
    }
    g->now++;
    if (g->tree[i] == IN)
      augment(g, i, way);
    else
      augment(g, i + g->step[way], way ^ 1);
    while (g->orphan_count) adopt(g, g->orphans[--g->orphan_count]);
    if (g->tree[i] == FREE) i = next_active(g);
  }
  return 1;
}

static float difference(const float *a, const float *b) {
  const float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
  return x * x + y * y + z * z;
}

/* Half of the ways: the others lead back. */
static const int right[WAYS / 2] = {1, 0, 1, -1}, down[WAYS / 2] = {0, 1, 1, 1};

/* Edges between fixed pixels have nothing to carry. */
static void connect(Graph *g, const float *colours, const float *odds, long h, long w, float smooth) {
  double sum = 0, count = 0;
  for (int pass = 0; pass < 2; pass++) { /* the mean, then the edges */
    const float k = (float)(-0.5 / (sum / fmax(count, 1) + 1));
    for (long y = 0; y < h; y++)
      for (long x = 0; x < w; x++)
        for (int way = 0; way < WAYS / 2; way++) {
          const long u = x + right[way], v = y + down[way];
          if (u < 0 || u >= w || v >= h) continue;
          const float d = difference(colours + 3 * (y * w + x), colours + 3 * (v * w + u));
          if (!pass) {
            sum += d, count++;
            continue;
          }
          if (isinf(odds[y * w + x]) && isinf(odds[v * w + u])) continue;
          const float edge = smooth * expf(k * d) * (way < 2 ? 1 : (float)M_SQRT1_2);
          const long i = (y + 1) * g->width + x + 1, j = i + g->step[2 * way];
          g->room[i * WAYS + 2 * way] = g->room[j * WAYS + 2 * way + 1] = (int32_t)(edge * UNIT + 0.5f);
        }
  }
}

int cut_mask(const float *colours, long h, long w, const float *odds, float smooth, float *mask) {
  Graph g = {.width = w + 2, .nodes = (h + 2) * (w + 2)};
  for (int way = 0; way < WAYS / 2; way++) {
    g.step[2 * way] = down[way] * g.width + right[way];
    g.step[2 * way + 1] = -g.step[2 * way];
  }
  const size_t bytes = (size_t)g.nodes * ((WAYS + 5) * sizeof(int32_t) + 2);
  if (g.nodes > INT32_MAX) return fail("cut: expected at most 2^31 pixels, found %ldx%ld", h, w);
  char *block = memory_take(bytes);
  if (!block) return 0;
  memset(block, 0, bytes);
  g.room = (int32_t *)block;
  int32_t **list[] = {&g.terminal, &g.seen, &g.far, &g.next, &g.orphans};
  for (int i = 0; i < 5; i++) *list[i] = g.room + g.nodes * (WAYS + i);
  g.tree = (uint8_t *)(g.orphans + g.nodes), g.parent = g.tree + g.nodes;
  connect(&g, colours, odds, h, w, smooth);
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++) {
      const float o = odds[y * w + x];
      g.terminal[(y + 1) * g.width + x + 1] =
          isinf(o) ? (o > 0 ? FIXED : -FIXED) : (int32_t)(fmaxf(-50, fminf(50, o)) * UNIT);
    }
  int ok = flow(&g);
  for (long y = 0; ok && y < h; y++)
    for (long x = 0; x < w; x++) mask[y * w + x] = g.tree[(y + 1) * g.width + x + 1] == IN;
  memory_give(block, bytes);
  return ok;
}
