/* Levels of maps from cuts: see level.h. */
#include "motion/level.h"

#include "motion/map_kernels.h"

enum { LEVELS = 256 };

/* The responsibility of hand k above which its map agrees best with its cut, and how well; of equals the middle one. */
static double agreed(long pixels, int channels, int k, const float *map, const float *cut, double *best) {
  long in[LEVELS] = {0}, out[LEVELS] = {0}, all = 0;
  for (long i = 0; i < pixels; i++) {
    const float r = map[i * channels + k];
    const int level = r < 1 ? r > 0 ? (int)(r * LEVELS) : 0 : LEVELS - 1, mine = cut[i * channels + k] > 0.5f;
    (mine ? in : out)[level]++;
    all += mine;
  }
  *best = 0;
  int first = LEVELS / 2, last = LEVELS / 2;
  long found = 0, beside = 0;
  for (int level = LEVELS - 1; level > 0; level--) {
    found += in[level], beside += out[level];
    const double iou = all + beside > 0 ? (double)found / (double)(all + beside) : 0;
    if (iou > *best) *best = iou, last = level;
    if (iou == *best && iou > 0) first = level;
  }
  return (first + last) / 2.0 / LEVELS;
}

void level_maps(long pixels, int hands, const float *map, const float *cut, float *out, double *agreement) {
  const int channels = hands + 1;
  double odds[HANDS_MAX];
  for (int k = 0; k < hands; k++) {
    const double at = agreed(pixels, channels, k, map, cut, agreement + k);
    odds[k] = (1 - at) / at;
  }
  for (long i = 0; i < pixels; i++) {
    const float *from = map + i * channels;
    float *to = out + i * channels;
    double sum = from[hands];
    for (int k = 0; k < hands; k++) sum += odds[k] * from[k];
    for (int k = 0; k < hands; k++) to[k] = (float)(odds[k] * from[k] / sum);
    to[hands] = (float)(from[hands] / sum);
  }
}
