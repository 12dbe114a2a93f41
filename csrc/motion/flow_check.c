/* The forward-backward check of two flows on the CPU. */
#include "core/bilinear.h"
#include "core/pool.h"
#include "motion/flow_parts.h"

enum { ROWS = 32 }; /* of a chunk */

typedef struct Job {
  const float *forward, *backward;
  long h, w;
  float a, b;
  uint8_t *valid;
} Job;

static int check_chunk(void *arg, long chunk) {
  const Job *j = arg;
  const long last = (chunk + 1) * ROWS < j->h ? (chunk + 1) * ROWS : j->h;
  for (long y = chunk * ROWS; y < last; y++)
    for (long x = 0; x < j->w; x++) {
      const long at = y * j->w + x;
      const float u = j->forward[2 * at], v = j->forward[2 * at + 1], px = (float)x + u, py = (float)y + v;
      j->valid[at] = 0;
      if (!(px >= 0 && px <= (float)(j->w - 1) && py >= 0 && py <= (float)(j->h - 1))) continue; /* NaN too */
      const long left = (long)px, above = (long)py;
      const Bilinear b = bilinear_at(left, above, px - (float)left, py - (float)above, j->w, j->h, j->w);
      const float bu = bilinear_floats(&b, j->backward, 2), bv = bilinear_floats(&b, j->backward + 1, 2);
      const float du = u + bu, dv = v + bv;
      j->valid[at] = du * du + dv * dv <= j->a * (u * u + v * v + bu * bu + bv * bv) + j->b;
    }
  return 1;
}

int flow_check_pixels(Device *d, const float *forward, const float *backward, long h, long w, float a,
                      float b, uint8_t *valid) {
  Job job = {forward, backward, h, w, a, b, valid};
  return (void)d, parallel((h + ROWS - 1) / ROWS, check_chunk, &job);
}
