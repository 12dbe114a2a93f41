/* Where hand and object touch: pixels of one mask near the other. The exact Euclidean distance is needed only
 * up to a small radius, so a column pass (vertical distance) and a windowed row pass inside the hand's
 * neighbourhood do. */
#include "data/metrics.h"

#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Box {
  long x0, y0, x1, y1; /* inclusive */
} Box;

static int bounds(const uint8_t *mask, long height, long width, Box *box) {
  *box = (Box){width, height, -1, -1};
  for (long y = 0; y < height; y++)
    for (long x = 0; x < width; x++)
      if (mask[y * width + x]) {
        if (x < box->x0) box->x0 = x;
        if (x > box->x1) box->x1 = x;
        if (y < box->y0) box->y0 = y;
        if (y > box->y1) box->y1 = y;
      }
  return box->x1 >= 0;
}

/* Marks in out the pixels of `mask` within `radius` of `other`, inside the box. gap: height of box × width of
 * box. */
static void near(const uint8_t *mask, const uint8_t *other, long width, Box box, double radius, int *gap,
                 uint8_t *out) {
  long w = box.x1 - box.x0 + 1, h = box.y1 - box.y0 + 1, reach = (long)radius;
  const int far = 1 << 14; /* beyond any radius, and its square fits an int */
  for (long x = 0; x < w; x++) {
    int d = far;
    for (long y = 0; y < h; y++) {
      d = other[(box.y0 + y) * width + box.x0 + x] ? 0 : d < far ? d + 1 : far;
      gap[y * w + x] = d;
    }
    d = far;
    for (long y = h - 1; y >= 0; y--) {
      d = gap[y * w + x] == 0 ? 0 : d < far ? d + 1 : far;
      if (d < gap[y * w + x]) gap[y * w + x] = d;
    }
  }
  for (long y = 0; y < h; y++)
    for (long x = 0; x < w; x++) {
      long i = (box.y0 + y) * width + box.x0 + x;
      if (!mask[i] || out[i]) continue;
      for (long dx = -reach; dx <= reach && !out[i]; dx++) {
        if (x + dx < 0 || x + dx >= w) continue;
        double dy = gap[y * w + x + dx];
        out[i] = (double)(dx * dx) + dy * dy <= radius * radius;
      }
    }
}

int metrics_contact(const uint8_t *hand, const uint8_t *object, long height, long width, double reach,
                    uint8_t *out) {
  Box box;
  memset(out, 0, (size_t)(height * width));
  if (!bounds(hand, height, width, &box)) return 1;
  double w = (double)(box.x1 - box.x0 + 1), h = (double)(box.y1 - box.y0 + 1);
  double radius = reach * sqrt(w * w + h * h);
  long grow = (long)radius + 1;
  box.x0 = box.x0 > grow ? box.x0 - grow : 0, box.y0 = box.y0 > grow ? box.y0 - grow : 0;
  box.x1 = box.x1 + grow < width ? box.x1 + grow : width - 1;
  box.y1 = box.y1 + grow < height ? box.y1 + grow : height - 1;
  int *gap = malloc((size_t)(box.x1 - box.x0 + 1) * (size_t)(box.y1 - box.y0 + 1) * sizeof *gap);
  if (!gap) return fail("contact: expected memory for distances, found none");
  near(hand, object, width, box, radius, gap, out);
  near(object, hand, width, box, radius, gap, out);
  free(gap);
  return 1;
}
