/* Colour mixtures by expectation maximisation, started from samples that are far apart. Deterministic. */
#include "motion/mixture.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 10, SAMPLES = 3000 };

static const float spread = 25.0f; /* least variance of a component: noise of 5 grey values */

static float square_distance(const float *a, const float *b) {
  float d = 0;
  for (int i = 0; i < 3; i++) d += (a[i] - b[i]) * (a[i] - b[i]);
  return d;
}

/* Weight, mean and covariance of a component from its moments. */
static void set_component(Mixture *m, int k, const double *s /* 10 moments */, double total) {
  double w = s[0], c[6], mean[3] = {s[1] / w, s[2] / w, s[3] / w};
  c[0] = s[4] / w - mean[0] * mean[0] + spread;
  c[1] = s[5] / w - mean[0] * mean[1];
  c[2] = s[6] / w - mean[0] * mean[2];
  c[3] = s[7] / w - mean[1] * mean[1] + spread;
  c[4] = s[8] / w - mean[1] * mean[2];
  c[5] = s[9] / w - mean[2] * mean[2] + spread;
  double a = c[3] * c[5] - c[4] * c[4], b = c[2] * c[4] - c[1] * c[5], d = c[1] * c[4] - c[2] * c[3];
  double det = c[0] * a + c[1] * b + c[2] * d;
  double inverse[6] = {
      a, b, d, c[0] * c[5] - c[2] * c[2], c[1] * c[2] - c[0] * c[4], c[0] * c[3] - c[1] * c[1]};
  for (int i = 0; i < 3; i++) m->mean[k][i] = (float)mean[i];
  for (int i = 0; i < 6; i++) m->inverse[k][i] = (float)(inverse[i] / det);
  m->log_weight[k] = (float)(log(w / total) - 0.5 * log(det) - 1.5 * log(2 * M_PI));
}

static void add_moments(double *s, double w, const float *c) {
  const double m[10] = {1,           c[0],        c[1],        c[2],        c[0] * c[0],
                        c[0] * c[1], c[0] * c[2], c[1] * c[1], c[1] * c[2], c[2] * c[2]};
  for (int i = 0; i < 10; i++) s[i] += w * m[i];
}

/* Seeds: the mean, then again and again the sample whose weighted squared distance to the nearest seed is
 * largest on average over a neighbourhood of samples; one sample alone may be an outlier, so distances are
 * capped. */
static int seeds_of(const float *colours, const float *weights, long count, int k, float seeds[][3]) {
  const float cap = 60 * 60;
  int n = 0;
  double s[10] = {0};
  for (long i = 0; i < count; i++) add_moments(s, weights[i], colours + 3 * i);
  for (int i = 0; i < 3; i++) seeds[0][i] = (float)(s[1 + i] / s[0]);
  for (n = 1; n < k; n++) {
    double sum[4] = {0};
    for (long i = 0; i < count; i++) { /* the mean of what lies far from every seed */
      float nearest = cap;
      for (int j = 0; j < n; j++) {
        float d = square_distance(colours + 3 * i, seeds[j]);
        nearest = d < nearest ? d : nearest;
      }
      double w = weights[i] * (double)nearest * nearest;
      sum[0] += w;
      for (int c = 0; c < 3; c++) sum[1 + c] += w * colours[3 * i + c];
    }
    if (!(sum[0] > 0)) break;
    for (int c = 0; c < 3; c++) seeds[n][c] = (float)(sum[1 + c] / sum[0]);
  }
  return n;
}

static int maximise(Mixture *m, const float *colours, const float *weights, long count, int k) {
  float seeds[MIXTURE_MAX][3];
  double total = 0, s[MIXTURE_MAX][10];
  for (long i = 0; i < count; i++) total += weights[i];
  if (!(total >= 4)) return 0;
  while (k > 1 && total < 30 * k) k--;
  k = seeds_of(colours, weights, count, k, seeds);
  memset(s, 0, sizeof s);
  for (long i = 0; i < count; i++) { /* every colour to its nearest seed */
    int best = 0;
    for (int j = 1; j < k; j++)
      if (square_distance(colours + 3 * i, seeds[j]) < square_distance(colours + 3 * i, seeds[best]))
        best = j;
    add_moments(s[best], weights[i], colours + 3 * i);
  }
  for (int round = 0;; round++) {
    m->n = 0;
    for (int j = 0; j < k; j++)
      if (s[j][0] > 1e-3 * total) set_component(m, m->n++, s[j], total);
    if (round == ROUNDS) return 1;
    k = m->n;
    memset(s, 0, sizeof s);
    for (long i = 0; i < count; i++) {
      float p[MIXTURE_MAX], sum = 1e-30f;
      for (int j = 0; j < k; j++) sum += p[j] = expf(mixture_component_log(m, j, colours + 3 * i));
      for (int j = 0; j < k; j++) add_moments(s[j], weights[i] * p[j] / sum, colours + 3 * i);
    }
  }
}

/* At most SAMPLES pixels, evenly out of those of positive weight. */
static long gather(const float *all, const float *all_weights, long n, float *colours, float *weights) {
  long positive = 0, taken = 0, seen = 0;
  for (long i = 0; i < n; i++) positive += all_weights[i] > 0;
  const long step = (positive + SAMPLES - 1) / SAMPLES;
  for (long i = 0; i < n; i++)
    if (all_weights[i] > 0 && seen++ % step == 0) {
      memcpy(colours + 3 * taken, all + 3 * i, 3 * sizeof *colours);
      weights[taken++] = all_weights[i];
    }
  return taken;
}

int mixture_fit(Mixture *m, const float *colours, const float *weights, long count, int k) {
  float samples[3 * SAMPLES], sample_weights[SAMPLES];
  const long taken = gather(colours, weights, count, samples, sample_weights);
  return maximise(m, samples, sample_weights, taken, k);
}
