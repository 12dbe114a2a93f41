/* Which bones move a point of the skin. Along a finger the weight passes from bone to half-bent joint to the
 * next bone; between fingers and palm it goes by the distance to each one's flesh. */
#include "world/hand_parts.h"

/* Splits what is left of the weight at a joint: t is 0 before it, 1 behind it. */
static float pass(float *weight, int before, int half, float left, float t) {
  weight[before] += left * maxf(0, 1 - 2 * t);
  weight[half] += left * (1 - fabsf(2 * t - 1));
  return left * maxf(0, 2 * t - 1);
}

static void finger_weights(const Hand *h, int f, V3 p, float share, float *weight) {
  int before = BONE_PALM;
  for (int s = 0; s < 3; s++) {
    int k = 3 * f + s;
    float y = pose_local(&h->rest[k], p).y, a = (s || !f ? 1.0f : 1.25f) * h->radius[1 + 4 * f + s];
    share = pass(weight, before, BONE_HALF + k, share, ramp(-a, a, y));
    before = BONE_FIRST + k;
  }
  weight[before] += share;
}

void hand_weights(Hand *h) {
  for (int i = 0; i < h->mesh.vertices; i++) {
    V3 p = h->mesh.p[i];
    float weight[HAND_BONES] = {0}, share[FINGERS + 1], sum = 0, mm = 0.001f * h->size;
    for (int f = 0; f < FINGERS; f++)
      share[f] = expf(-maxf(0, hand_finger_distance(h, f, p)) / ((f ? 1.6f : 3.5f) * mm));
    share[FINGERS] = expf(-maxf(0, hand_palm_distance(h, p)) / (1.6f * mm));
    for (int f = 0; f <= FINGERS; f++) sum += share[f];
    for (int f = 0; f < FINGERS; f++) finger_weights(h, f, p, share[f] / sum, weight);
    weight[BONE_PALM] += share[FINGERS] / sum;
    float palm = weight[BONE_PALM];
    weight[BONE_PALM] = 0;
    weight[BONE_PALM] += pass(weight, BONE_FOREARM, BONE_WRIST, palm, ramp(-34 * mm, 16 * mm, p.y));
    sum = 0;
    for (int k = 0; k < INFLUENCES; k++) { /* the largest few */
      int best = 0;
      for (int b = 1; b < HAND_BONES; b++)
        if (weight[b] > weight[best]) best = b;
      h->bone[i][k] = (unsigned char)best, h->weight[i][k] = weight[best];
      sum += weight[best];
      weight[best] = -1;
      if (h->weight[i][k] < 0) h->weight[i][k] = 0;
    }
    for (int k = 0; k < INFLUENCES; k++) h->weight[i][k] /= sum;
  }
}
