/* See mask.h. A value is all that one pixel holds: its grey, its index, its colour, with its alpha. */
#include "io/mask.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED = 32, LANE = 16, LANE_MASK = 0xFFFF };

/* The channels of a pixel in lanes of 16 bits, the first one highest of those used. */
typedef uint64_t Value;

typedef struct Values {
  Value list[LISTED + 1]; /* one more than is listed: enough to know that there are more */
  int count;
  Value varying; /* bits that differ between pixels */
} Values;

static Value value_at(const Samples *s, long i) {
  const uint8_t *narrow = (const uint8_t *)s->data + i * s->channels;
  const uint16_t *wide = (const uint16_t *)s->data + i * s->channels;
  Value v = 0;
  for (int c = 0; c < s->channels; c++) v = v << LANE | (s->depth == 16 ? wide[c] : narrow[c]);
  return v;
}

static int ascending(const void *a, const void *b) {
  Value x = *(const Value *)a, y = *(const Value *)b;
  return (x > y) - (x < y);
}

/* The values in use, ascending: all of them, or LISTED + 1. */
static Values survey(const Samples *s) {
  Values v = {.count = 0};
  Value first = value_at(s, 0), last = ~first;
  for (long i = 0; i < s->width * s->height; i++) {
    Value value = value_at(s, i);
    if (value == last) continue;
    last = value;
    v.varying |= value ^ first;
    int k = 0;
    while (k < v.count && v.list[k] != value) k++;
    if (k == v.count && k <= LISTED) v.list[v.count++] = value;
  }
  qsort(v.list, (size_t)v.count, sizeof *v.list, ascending);
  return v;
}

/* ---- what two values say ---- */

static bool colour_set(const Samples *s, Value v) { return (s->alpha ? v >> LANE : v) != 0; }
static bool alpha_set(Value v) { return (v & LANE_MASK) != 0; }

/* Which of two values is the one that is set: its index, or -1 when they do not tell. Colour and alpha both
 * may tell; they must not contradict each other. */
static int set_of_two(const Samples *s, const Value *two) {
  int by_colour = colour_set(s, two[1]) - colour_set(s, two[0]);
  int by_alpha = s->alpha ? alpha_set(two[1]) - alpha_set(two[0]) : 0;
  int sum = by_colour + by_alpha;
  return sum == 0 ? -1 : sum > 0;
}

/* ---- resized masks ---- */

/* The lane that tells all: channels that vary must vary as one. -1 if there is none. */
static int only_lane(const Samples *s, Value varying) {
  int lanes[4], n = 0;
  for (int c = 0; c < s->channels; c++)
    if (varying >> (c * LANE) & LANE_MASK) lanes[n++] = c * LANE;
  for (long i = 0; n > 1 && i < s->width * s->height; i++) {
    Value v = value_at(s, i);
    for (int k = 1; k < n; k++)
      if ((v >> lanes[k] & LANE_MASK) != (v >> lanes[0] & LANE_MASK)) return -1;
  }
  return n ? lanes[0] : -1;
}

/* The lowest and highest value within `reach` pixels of (x, y). */
typedef struct Range {
  unsigned low, high;
} Range;

static Range around(const Samples *s, int lane, long x, long y, long reach) {
  Range r = {LANE_MASK, 0};
  for (long v = y - reach < 0 ? 0 : y - reach; v <= y + reach && v < s->height; v++)
    for (long u = x - reach < 0 ? 0 : x - reach; u <= x + reach && u < s->width; u++) {
      unsigned value = value_at(s, v * s->width + u) >> lane & LANE_MASK;
      if (value < r.low) r.low = value;
      if (value > r.high) r.high = value;
    }
  return r;
}

/* Tells a mask that was resized from a map of labels. Areas (3×3 pixels of one value) of the first are 0 or
 * the largest value, and cover half of the picture; what lies between is seams, with both a lower and a
 * higher value within two pixels (three quarters of it: filters ring, specks fade). Small masks under five
 * filters, shrunk to a quarter and grown twofold, keep 89 % in areas and 88 % of the rest on seams. */
static bool resized(const Samples *s, int lane) {
  unsigned top = (1u << s->depth) - 1;
  long ends[2] = {0, 0}, areas = 0, between = 0, seams = 0;
  for (long y = 0; y < s->height; y++)
    for (long x = 0; x < s->width; x++) {
      unsigned value = value_at(s, y * s->width + x) >> lane & LANE_MASK;
      int end = value == 0 || value == top;
      Range near = around(s, lane, x, y, 1);
      int area = near.low == near.high;
      if (end) {
        ends[value != 0]++;
        areas += area;
        continue;
      }
      if (area) return false;
      Range far = around(s, lane, x, y, 2);
      between++;
      seams += far.low < value && value < far.high;
    }
  return ends[0] && ends[1] && 2 * areas >= s->width * s->height && 4 * seams >= 3 * between;
}

/* ---- messages ---- */

/* "7" or "(128,0,0)" into `text`; the length. */
static int value_text(const Samples *s, Value v, char *text, size_t size) {
  unsigned c[4] = {0};
  for (int k = 0; k < s->channels; k++) c[k] = v >> ((s->channels - 1 - k) * LANE) & LANE_MASK;
  switch (s->channels) {
  case 1: return snprintf(text, size, "%u", c[0]);
  case 2: return snprintf(text, size, "(%u,%u)", c[0], c[1]);
  case 3: return snprintf(text, size, "(%u,%u,%u)", c[0], c[1], c[2]);
  default: return snprintf(text, size, "(%u,%u,%u,%u)", c[0], c[1], c[2], c[3]);
  }
}

static int refuse(const Samples *s, const Values *v) {
  char text[LISTED * sizeof " (65535,65535,65535,65535)"] = "";
  size_t at = 0;
  for (int k = 0; k < v->count && k < LISTED; k++) {
    if (k) text[at++] = ' ';
    at += (size_t)value_text(s, v->list[k], text + at, sizeof text - at);
  }
  const char *wanted = v->count > 2 ? "two values" : "0 and one other value";
  if (v->count > LISTED)
    return fail("%s: expected a mask of %s, found more than %d: %s ...", s->path, wanted, LISTED, text);
  return fail("%s: expected a mask of %s, found %d%s: %s", s->path, wanted, v->count,
              s->palette ? " of a palette" : "", text);
}

/* A pixel is set when its value, shifted and cut to `bits`, lies in low .. high. */
typedef struct Rule {
  int shift;
  Value bits, low, high;
} Rule;

static int rule_of(const Samples *s, Rule *rule) {
  Values v = survey(s);
  if (v.count == 1) { /* colour where nothing is seen: all or nothing? */
    bool set = colour_set(s, v.list[0]);
    if (s->alpha && set && !alpha_set(v.list[0])) return refuse(s, &v);
    *rule = (Rule){0, 0, !set, 0};
    return 1;
  }
  if (v.count == 2) {
    int which = set_of_two(s, v.list);
    if (which < 0) return refuse(s, &v);
    *rule = (Rule){0, ~(Value)0, v.list[which], v.list[which]};
    return 1;
  }
  int lane = s->palette || s->depth < 8 ? -1 : only_lane(s, v.varying);
  if (lane < 0 || !resized(s, lane)) return refuse(s, &v);
  *rule = (Rule){lane, LANE_MASK, (Value)1 << (s->depth - 1), LANE_MASK};
  return 1;
}

Tensor *mask_of(const Samples *s) {
  Rule rule;
  if (!rule_of(s, &rule)) return NULL;
  Tensor *mask = tensor_new(U8, 2, (long[]){s->height, s->width});
  uint8_t *to = mask ? tensor_write(mask) : NULL;
  for (long i = 0; to && i < mask->size; i++) {
    Value v = value_at(s, i) >> rule.shift & rule.bits;
    to[i] = v >= rule.low && v <= rule.high;
  }
  if (mask && !to) {
    tensor_release(mask);
    return NULL;
  }
  return mask;
}

Tensor *labels_of(const Samples *s) {
  int colours = s->channels - s->alpha;
  if (s->depth == 16 && colours > 1)
    return fail("%s: expected labels in a palette, in grey or in 8-bit colours, found 16-bit colours",
                s->path),
           NULL;
  Tensor *t = tensor_new(I32, 2, (long[]){s->height, s->width});
  int32_t *to = t ? tensor_write(t) : NULL;
  for (long i = 0; to && i < t->size; i++) {
    const uint8_t *narrow = (const uint8_t *)s->data + i * s->channels;
    const uint16_t *wide = (const uint16_t *)s->data + i * s->channels;
    to[i] = s->depth == 16 ? wide[0] : narrow[0];
    for (int c = 1; c < colours; c++) to[i] |= narrow[c] << (8 * c);
  }
  return t;
}
