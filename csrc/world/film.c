/* Lens and sensor: vignette, exposure and contrast curve, noise, softness and a little sharpening, bytes.
 * Noise is added before the softness, so that it is correlated over neighbours as in compressed video. */
#include "world/render.h"

#include "core/random.h"

enum { CURVE = 2048 };

/* Linear light to the camera's response: gamma, an S-curve, a shoulder instead of clipping. */
static void response(const Film *f, float *curve) {
  for (int i = 0; i <= CURVE; i++) {
    float x = 4.0f * (float)i / CURVE * f->exposure;
    float shoulder = x < 0.7f ? x : 0.7f + 0.3f * (1 - expf(-(x - 0.7f) / 0.3f));
    float g = powf(shoulder, 1 / 2.2f);
    curve[i] = g + f->contrast * g * (1 - g) * (2 * g - 1);
  }
}

static float through(const float *curve, float x) {
  float at = clampf(x, 0, 3.999f) * (CURVE / 4.0f);
  int i = (int)at;
  return mixf(curve[i], curve[i + 1], at - (float)i);
}

/* Four roughly normal numbers from a block of Philox: sums of four bytes each. */
static void noise4(uint64_t seed, uint64_t frame, uint64_t pixel, float out[4]) {
  uint32_t w[4];
  random_block(seed, frame, pixel, w);
  for (int k = 0; k < 4; k++) {
    uint32_t sum = (w[k] & 255) + (w[k] >> 8 & 255) + (w[k] >> 16 & 255) + (w[k] >> 24);
    out[k] = ((float)sum - 510.0f) * (1 / 147.8f);
  }
}

/* Three taps across and three down: `side` is the weight of each neighbour. */
static void soften(float *image, float *spare, int w, int h, float side) {
  float middle = 1 - 2 * side;
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      for (int c = 0; c < 3; c++) {
        const float *row = image + 3 * (size_t)y * (size_t)w;
        int l = x ? x - 1 : x, r = x + 1 < w ? x + 1 : x;
        spare[3 * ((size_t)y * (size_t)w + (size_t)x) + (size_t)c] =
            middle * row[3 * x + c] + side * (row[3 * l + c] + row[3 * r + c]);
      }
  for (int y = 0; y < h; y++) {
    const float *row = spare + 3 * (size_t)y * (size_t)w;
    const float *up = spare + 3 * (size_t)(y ? y - 1 : y) * (size_t)w;
    const float *down = spare + 3 * (size_t)(y + 1 < h ? y + 1 : y) * (size_t)w;
    float *out = image + 3 * (size_t)y * (size_t)w;
    for (int i = 0; i < 3 * w; i++) out[i] = middle * row[i] + side * (up[i] + down[i]);
  }
}

void film_develop(Render *r, int t, unsigned char *rgb) {
  const Scene *s = r->scene;
  const Film *f = &s->film;
  float curve[CURVE + 1], reach = 1 / hypotf(0.5f * (float)s->width, 0.5f * (float)s->height);
  int w = s->width, h = s->height;
  response(f, curve);
  float *px = r->light;
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++, px += 3) {
      float dx = ((float)x - 0.5f * (float)w) * reach, dy = ((float)y - 0.5f * (float)h) * reach, noise[4];
      float shade = 1 - f->vignette * (dx * dx + dy * dy);
      const float balance[3] = {f->balance.x, f->balance.y, f->balance.z};
      noise4(s->seed, (uint64_t)t + 1, (uint64_t)y * (uint64_t)w + (uint64_t)x, noise);
      for (int c = 0; c < 3; c++) {
        float g = through(curve, px[c] * shade * balance[c]);
        float strength = 1.2f - 0.5f * g; /* after the curve the shadows are the noisier ones */
        px[c] = g + strength * (f->noise * noise[3] + f->chroma * noise[c]);
      }
    }
  float side =
      0.5f * (1 - expf(-f->soft * f->soft)); /* a three-tap kernel of variance soft² for small soft */
  soften(r->light, r->spare, w, h, minf(side, 0.31f));
  size_t n = 3 * (size_t)w * (size_t)h;
  for (size_t i = 0; i < n; i++) rgb[i] = (unsigned char)(clampf(r->light[i], 0, 1) * 255 + 0.5f);
}
