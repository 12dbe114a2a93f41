/* Saliency in three steps, all in Lab, where distances are roughly what eyes see:
 *   contrast   |mean of a small window − mean of a large one|, summed over three sizes (sums from integral
 * images) border     Mahalanobis distance to the colours of each of the four border strips, the smallest but
 * one: an object may touch one side, the background touches more product of both, smoothed, stretched to [0,
 * 1] Windows scale with the image, so its size matters little. Everything is O(pixels). */
#include "data/saliency.h"

#include "core/error.h"
#include "core/memory.h"

#include <math.h>
#include <string.h>

enum { SCALES = 3 };

static float linear(float v) { return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f); }

static float cube(float t) { return t > 0.008856f ? cbrtf(t) : 7.787f * t + 16.0f / 116; }

/* sRGB to CIE Lab (D65). lab: n×3. */
static void to_lab(const uint8_t *rgb, long n, float *lab) {
  float table[256];
  for (int i = 0; i < 256; i++) table[i] = linear((float)i / 255);
  for (long i = 0; i < n; i++) {
    float r = table[rgb[i * 3]], g = table[rgb[i * 3 + 1]], b = table[rgb[i * 3 + 2]];
    float x = cube((0.4124f * r + 0.3576f * g + 0.1805f * b) / 0.9505f);
    float y = cube(0.2126f * r + 0.7152f * g + 0.0722f * b);
    float z = cube((0.0193f * r + 0.1192f * g + 0.9505f * b) / 1.089f);
    lab[i * 3] = 116 * y - 16, lab[i * 3 + 1] = 500 * (x - y), lab[i * 3 + 2] = 200 * (y - z);
  }
}

/* sums: (height+1)×(width+1)×channels, the sum of everything above and left. */
static void integrate(const float *image, long height, long width, long channels, double *sums) {
  long stride = (width + 1) * channels;
  memset(sums, 0, (size_t)stride * sizeof *sums);
  for (long y = 0; y < height; y++) {
    double *row = sums + (y + 1) * stride, *above = row - stride, run[3] = {0};
    for (long c = 0; c < channels; c++) row[c] = 0;
    for (long x = 0; x < width; x++)
      for (long c = 0; c < channels; c++) {
        run[c] += image[(y * width + x) * channels + c];
        row[(x + 1) * channels + c] = above[(x + 1) * channels + c] + run[c];
      }
  }
}

/* Mean over the square of side 2r+1 around (x, y), cut at the image's border. */
static void window_mean(const double *sums, long height, long width, long channels, long x, long y, long r,
                        float *mean) {
  long x0 = x - r < 0 ? 0 : x - r, x1 = x + r + 1 > width ? width : x + r + 1;
  long y0 = y - r < 0 ? 0 : y - r, y1 = y + r + 1 > height ? height : y + r + 1;
  long stride = (width + 1) * channels;
  double area = (double)((x1 - x0) * (y1 - y0));
  for (long c = 0; c < channels; c++) {
    const double *s = sums + c;
    mean[c] = (float)((s[y1 * stride + x1 * channels] - s[y0 * stride + x1 * channels] -
                       s[y1 * stride + x0 * channels] + s[y0 * stride + x0 * channels]) /
                      area);
  }
}

/* Colour statistics of one border strip: mean and the inverse of the covariance (6 numbers, symmetric). */
typedef struct Strip {
  float mean[3], inverse[6]; /* xx xy xz yy yz zz */
} Strip;

static Strip strip_of(const float *lab, long width, long x0, long y0, long x1, long y1) {
  double n = (double)((x1 - x0) * (y1 - y0)), m[3] = {0}, v[6] = {0};
  for (long y = y0; y < y1; y++)
    for (long x = x0; x < x1; x++) {
      const float *p = lab + (y * width + x) * 3;
      for (int a = 0, k = 0; a < 3; a++) {
        m[a] += p[a];
        for (int b = a; b < 3; b++) v[k++] += (double)p[a] * p[b];
      }
    }
  for (int a = 0; a < 3; a++) m[a] /= n;
  for (int a = 0, k = 0; a < 3; a++)
    for (int b = a; b < 3; b++, k++)
      v[k] = v[k] / n - m[a] * m[b] + (a == b ? 25 : 0); /* 5 units of tolerance */
  double c0 = v[3] * v[5] - v[4] * v[4], c1 = v[2] * v[4] - v[1] * v[5], c2 = v[1] * v[4] - v[2] * v[3];
  double det = v[0] * c0 + v[1] * c1 + v[2] * c2;
  return (Strip){{(float)m[0], (float)m[1], (float)m[2]},
                 {(float)(c0 / det), (float)(c1 / det), (float)(c2 / det),
                  (float)((v[0] * v[5] - v[2] * v[2]) / det), (float)((v[1] * v[2] - v[0] * v[4]) / det),
                  (float)((v[0] * v[3] - v[1] * v[1]) / det)}};
}

/* How unlike the border a colour is: the second smallest of the four Mahalanobis distances. */
static float border_distance(const Strip strip[4], const float *p) {
  float first = INFINITY, second = INFINITY;
  for (int s = 0; s < 4; s++) {
    float x = p[0] - strip[s].mean[0], y = p[1] - strip[s].mean[1], z = p[2] - strip[s].mean[2];
    const float *i = strip[s].inverse;
    float d = i[0] * x * x + i[3] * y * y + i[5] * z * z + 2 * (i[1] * x * y + i[2] * x * z + i[4] * y * z);
    if (d < first)
      second = first, first = d;
    else if (d < second)
      second = d;
  }
  return sqrtf(second > 0 ? second : 0);
}

static void stretch(float *map, long n) {
  float low = INFINITY, high = -INFINITY;
  for (long i = 0; i < n; i++) low = fminf(low, map[i]), high = fmaxf(high, map[i]);
  float by = high > low ? 1 / (high - low) : 0;
  for (long i = 0; i < n; i++) map[i] = (map[i] - low) * by;
}

static void saliency(const float *lab, double *sums, long height, long width, float *out) {
  long side = height < width ? height : width, n = height * width, rim = side / 20 + 1;
  integrate(lab, height, width, 3, sums);
  for (long y = 0; y < height; y++)
    for (long x = 0; x < width; x++) {
      float total = 0, centre[3], around[3];
      for (long s = 0; s < SCALES; s++) {
        long r = side >> (6 - s);
        window_mean(sums, height, width, 3, x, y, r, centre);
        window_mean(sums, height, width, 3, x, y, 5 * r + 3, around);
        float l = centre[0] - around[0], a = centre[1] - around[1], b = centre[2] - around[2];
        total += sqrtf(l * l + a * a + b * b);
      }
      out[y * width + x] = total / SCALES;
    }
  stretch(out, n);
  rim = rim < side ? rim : side;
  Strip strip[4] = {
      strip_of(lab, width, 0, 0, width, rim), strip_of(lab, width, 0, height - rim, width, height),
      strip_of(lab, width, 0, 0, rim, height), strip_of(lab, width, width - rim, 0, width, height)};
  for (long i = 0; i < n; i++) {
    float d = border_distance(strip, lab + i * 3);
    out[i] = (out[i] + 0.2f) * d / (d + 2); /* 2 deviations count half */
  }
  integrate(out, height, width, 1, sums);
  for (long y = 0; y < height; y++)
    for (long x = 0; x < width; x++)
      window_mean(sums, height, width, 1, x, y, side / 40, out + y * width + x);
  stretch(out, n);
}

int saliency_map(const uint8_t *rgb, long height, long width, float *out) {
  if (height < 1 || width < 1) return fail("saliency: expected an image, found %ldx%ld", height, width);
  size_t lab_bytes = (size_t)(height * width) * 3 * sizeof(float);
  size_t sum_bytes = (size_t)((height + 1) * (width + 1)) * 3 * sizeof(double);
  float *lab = memory_take(lab_bytes);
  double *sums = lab ? memory_take(sum_bytes) : NULL;
  if (sums) {
    to_lab(rgb, height * width, lab);
    saliency(lab, sums, height, width, out);
  }
  memory_give(sums, sums ? sum_bytes : 0);
  memory_give(lab, lab ? lab_bytes : 0);
  return sums != NULL;
}
