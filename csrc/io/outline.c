/* See outline.h. */
#include "io/outline.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- polygons ---- */

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double coordinate(const Polygons *p, long i) { return p->border ? trunc(p->xy[i]) : p->xy[i]; }

/* Where edges cross the line y: an edge has its upper end, not its lower one. → how many, into `at`. */
static long crossings(const Polygons *p, double y, double *at) {
  long n = 0, first = 0;
  for (long k = 0; k < p->count; first += p->counts[k++])
    for (long i = 0; i < p->counts[k]; i++) {
      long a = first + i, b = first + (i + 1) % p->counts[k];
      double ya = coordinate(p, 2 * a + 1), yb = coordinate(p, 2 * b + 1);
      if ((ya <= y) == (yb <= y)) continue;
      double xa = coordinate(p, 2 * a), xb = coordinate(p, 2 * b);
      at[n++] = xa + (y - ya) / (yb - ya) * (xb - xa);
    }
  qsort(at, (size_t)n, sizeof *at, ascending);
  return n;
}

static long bounded(double v, long high) { return v < 0 ? 0 : v > (double)high ? high : (long)v; }

static void fill_row(uint8_t *row, long width, const double *at, long n, double shift) {
  for (long i = 0; i + 1 < n; i += 2) {
    long from = bounded(ceil(at[i] - shift), width), to = bounded(ceil(at[i + 1] - shift), width);
    if (to > from) memset(row + from, 1, (size_t)(to - from));
  }
}

/* The pixels of an edge, one a step along its longer axis; of what lies outside only as much as the steps within. */
static void draw_edge(uint8_t *mask, long height, long width, const double *a, const double *b) {
  double dx = b[0] - a[0], dy = b[1] - a[1], steps = fmax(fabs(dx), fabs(dy));
  double low = 0, high = steps;
  const double end[2] = {(double)width - 1, (double)height - 1}, d[2] = {dx, dy};
  for (int axis = 0; axis < 2 && steps > 0; axis++) {
    if (d[axis] == 0) continue;
    double t0 = (-1 - a[axis]) / d[axis] * steps, t1 = (end[axis] + 1 - a[axis]) / d[axis] * steps;
    low = fmax(low, floor(fmin(t0, t1))), high = fmin(high, ceil(fmax(t0, t1)));
  }
  for (double t = low; t <= high; t++) {
    double x = floor(a[0] + (steps > 0 ? dx * t / steps : 0) + 0.5);
    double y = floor(a[1] + (steps > 0 ? dy * t / steps : 0) + 0.5);
    if (x >= 0 && y >= 0 && x <= end[0] && y <= end[1]) mask[(long)y * width + (long)x] = 1;
  }
}

static void draw_borders(const Polygons *p, uint8_t *mask, long height, long width) {
  long first = 0;
  for (long k = 0; k < p->count; first += p->counts[k++])
    for (long i = 0; i < p->counts[k]; i++) {
      long a = first + i, b = first + (i + 1) % p->counts[k];
      double from[2] = {coordinate(p, 2 * a), coordinate(p, 2 * a + 1)};
      double to[2] = {coordinate(p, 2 * b), coordinate(p, 2 * b + 1)};
      draw_edge(mask, height, width, from, to);
    }
}

Tensor *mask_of_polygons(const Polygons *p, long height, long width) {
  long points = 0;
  for (long k = 0; k < p->count; k++) points += p->counts[k];
  double *at = malloc(sizeof *at * (size_t)(points + 1));
  if (!at) return fail_memory("mask: expected memory for %ld points, found none left", points), NULL;
  Tensor *t = tensor_zeros(U8, 2, (long[]){height, width});
  uint8_t *mask = t ? tensor_write(t) : NULL;
  for (long y = 0; mask && y < height; y++)
    fill_row(mask + y * width, width, at, crossings(p, (double)y + p->shift, at), p->shift);
  if (mask && p->border) draw_borders(p, mask, height, width);
  free(at);
  return t;
}

/* ---- runs ---- */

Tensor *mask_of_runs(const long *runs, long count, long height, long width) {
  long pixels = height * width, sum = 0;
  for (long i = 0; i < count; i++) {
    if (runs[i] < 0 || runs[i] > pixels - sum)
      return fail("mask: expected runs of %ld pixels (%ldx%ld), found more", pixels, width, height), NULL;
    sum += runs[i];
  }
  if (sum != pixels)
    return fail("mask: expected runs of %ld pixels (%ldx%ld), found %ld", pixels, width, height, sum), NULL;
  Tensor *t = tensor_zeros(U8, 2, (long[]){height, width});
  uint8_t *mask = t ? tensor_write(t) : NULL;
  for (long i = 0, at = 0; mask && i < count; at += runs[i++])
    for (long k = at; i % 2 && k < at + runs[i]; k++) mask[k % height * width + k / height] = 1;
  return t;
}

long runs_of_text(const char *text, size_t size, long *runs) {
  enum { GROUP = 5, MORE = 0x20, SIGN = 0x10, LARGEST = 6 };
  long n = 0;
  for (size_t i = 0; i < size; n++) {
    int64_t value = 0;
    int groups = 0, c;
    do {
      if (i == size) return fail("mask: expected whole runs, found the text's end within one"), -1;
      c = (unsigned char)text[i++] - '0';
      if (c < 0 || c > 63) return fail("mask: expected runs as COCO packs them, found byte %d", c + '0'), -1;
      if (groups == LARGEST + 1) return fail("mask: expected runs of pixels, found a larger number"), -1;
      value |= (int64_t)(c & (MORE - 1)) << (GROUP * groups++);
    } while (c & MORE);
    if (c & SIGN) value -= (int64_t)1 << (GROUP * groups);
    if (n > 2) value += runs[n - 2];
    if (value < 0) return fail("mask: expected runs of 0 or more pixels, found %ld", (long)value), -1;
    runs[n] = (long)value;
  }
  return n;
}

/* ---- places and labels ---- */

int mask_place(const Tensor *t, Place *p) {
  const uint8_t *mask = tensor_data(t);
  long height = t->shape[0], width = t->shape[1], n = 0;
  double sum_x = 0, sum_y = 0, nearest = INFINITY;
  *p = (Place){.left = width, .top = height, .right = -1, .bottom = -1};
  for (long i = 0; i < height * width; i++) {
    if (!mask[i]) continue;
    long x = i % width, y = i / width;
    sum_x += (double)x, sum_y += (double)y, n++;
    if (x < p->left) p->left = x;
    if (x > p->right) p->right = x;
    if (y < p->top) p->top = y;
    p->bottom = y;
  }
  for (long i = 0; n && i < height * width; i++) {
    double dx = (double)(i % width) - sum_x / (double)n, dy = (double)(i / width) - sum_y / (double)n;
    if (!mask[i] || dx * dx + dy * dy >= nearest) continue;
    nearest = dx * dx + dy * dy, p->x = i % width, p->y = i / width;
  }
  return n > 0;
}

static int increasing(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

long labels_in(const Tensor *labels, long *values, long most) {
  const int32_t *from = tensor_data(labels);
  long n = 0;
  for (long i = 0; i < labels->size; i++) {
    if (i && from[i] == from[i - 1]) continue;
    long k = 0;
    while (k < n && values[k] != from[i]) k++;
    if (k < n) continue;
    if (n == most) return fail("labels: expected at most %ld values in a picture, found more", most), -1;
    values[n++] = from[i];
  }
  qsort(values, (size_t)n, sizeof *values, increasing);
  return n;
}

Tensor *mask_of_label(const Tensor *labels, long value) {
  Tensor *t = tensor_new(U8, 2, labels->shape);
  uint8_t *mask = t ? tensor_write(t) : NULL;
  const int32_t *from = tensor_data(labels);
  for (long i = 0; mask && i < t->size; i++) mask[i] = from[i] == value;
  return t;
}
